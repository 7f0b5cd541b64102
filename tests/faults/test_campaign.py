"""A short fault injection: some points and faults of each stage; `make faults` tries all."""

import random

import pytest
from campaign.environment import open_environment
from campaign import scenario, trial
from campaign.faults import SLOW

# How many trials of each stage, less those of the slow faults, which the full campaign has.
TRIALS = {"scan": 8, "preflight": 8, "queue": 8, "cancel": 4, "click preflight": 4, "click queue": 6, "click cancel": 3,
          "requested": 8, "import": 16, "release": 6, "reset": 8, "heartbeat": 6}


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    with open_environment(tmp_path_factory.mktemp("campaign")) as opened:
        yield opened


@pytest.fixture(scope="module")
def import_points(environment):
    return trial.points(environment, scenario.STAGES["import"])


@pytest.mark.parametrize("stage", scenario.STAGES)
def test_what_goes_wrong_at_any_point_leaves_the_same_library_and_a_true_story(environment, stage):
    quick = [each for each in trial.plan(environment, [stage]) if each.fault not in SLOW]
    chosen = random.Random(stage).sample(quick, TRIALS[stage])
    assert {str(each): problems for each in chosen if (problems := trial.run(environment, each))} == {}


def at(points, words: str) -> trial.Point:
    """Return the first point with these words."""
    return next(point for point in points if words in point.what)


@pytest.mark.parametrize("words, fault", [
    ("INSERT INTO asset (", "SIGSTOP, SIGCONT"), ("COMMIT", "SIGSTOP, SIGCONT"),
    ("UPDATE import_job j JOIN", "SIGSTOP, SIGCONT"), ("INSERT INTO asset_ai_run", "server killed"),
    ("COMMIT", "server restarted"),
])
def test_a_stopped_worker_or_a_lost_server_changes_nothing_in_the_end(environment, import_points, words, fault):
    assert trial.run(environment, trial.Trial(at(import_points, words), fault)) == []


@pytest.mark.parametrize("fault", ["cut short", "short read", "hang", "kill -9", "SIGTERM twice"])
@pytest.mark.parametrize("file", ["source.json", "photo.analysis.json", ".json"])
def test_a_file_that_ends_early_or_hangs_or_is_read_by_a_worker_that_dies_is_never_taken_for_what_it_should_be(
    environment, import_points, file, fault
):
    point = at([each for each in import_points if each.what.startswith("read")], file)
    assert trial.run(environment, trial.Trial(point, fault)) == []


def test_a_preflight_of_a_mount_that_hangs_ends_when_it_is_asked_to(environment):
    point = at(trial.points(environment, scenario.STAGES["preflight"]), "source/source.json")
    assert trial.run(environment, trial.Trial(point, "hang")) == []
