"""A short fault injection: some points and faults of each stage; `make faults` tries all."""

import random

import pytest
from campaign.environment import open_environment
from campaign import scenario, trial
from campaign.faults import SLOW

# How many trials of each stage, less those of the slow faults, which the full campaign has.
TRIALS = {
    "scan": 2, "preflight": 2, "queue": 2, "hold": 1, "undo": 2, "seal": 1, "archive": 3, "restore": 2,
    "click queue": 2, "import": 8, "requested": 2, "release": 2, "reset": 3, "heartbeat": 2, "sweep": 1, "changed": 1,
    "import undo": 2,
}
# Trials of each other stage, which `make test-all` has.
OTHER_TRIALS = 4


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    with open_environment(tmp_path_factory.mktemp("campaign")) as opened:
        yield opened


@pytest.fixture(scope="module")
def import_points(environment):
    return trial.points(environment, scenario.STAGES["import"])


@pytest.fixture(scope="module")
def archive_points(environment):
    return trial.points(environment, scenario.STAGES["archive"])


def test_each_fault_is_tried_once_among_points_that_are_alike(environment):
    """The points of several bundles are alike; what is lost with commits is not."""
    every, chosen = (trial.plan(environment, ["archive"], every=every) for every in (True, False))
    tried = [(each.point.kin, each.fault) for each in chosen if each.fault not in trial.UNIQUE]
    assert len(tried) == len(set(tried)) < len(every)
    assert {kin for kin, _ in tried} == {each.point.kin for each in every}
    assert [each.point.number for each in chosen if each.fault in trial.UNIQUE] == [
        each.point.number for each in every if each.fault in trial.UNIQUE
    ]
    assert {each.fault for each in chosen} == {each.fault for each in every}


@pytest.mark.parametrize("stage", [
    stage if stage in TRIALS else pytest.param(stage, marks=pytest.mark.long) for stage in scenario.STAGES
])
def test_what_goes_wrong_at_any_point_leaves_the_same_library_and_a_true_story(environment, stage):
    quick = [each for each in trial.plan(environment, [stage]) if each.fault not in SLOW]
    chosen = random.Random(stage).sample(quick, TRIALS.get(stage, OTHER_TRIALS))
    assert {str(each): problems for each in chosen if (problems := trial.run(environment, each))} == {}


def at(points, words: str) -> trial.Point:
    """Return the first point with these words."""
    return next(point for point in points if words in point.what)


@pytest.mark.parametrize("words, fault", [
    ("INSERT INTO asset (", "SIGSTOP, SIGCONT"), ("COMMIT", "SIGSTOP, SIGCONT"),
    ("UPDATE import_job j JOIN", "SIGSTOP, SIGCONT"), ("INSERT INTO asset_ai_run", "server killed"),
    ("COMMIT", "server restarted"), ("INSERT INTO asset_collection (", "commits lost"),
])
def test_a_stopped_worker_or_a_lost_server_changes_nothing_in_the_end(environment, import_points, words, fault):
    assert trial.run(environment, trial.Trial(at(import_points, words), fault)) == []


@pytest.mark.parametrize("file, fault", [
    *(("source.json", fault) for fault in ("cut short", "short read", "hang", "kill -9", "SIGTERM twice")),
    ("photo.analysis.json", "cut short"), (".json", "cut short"),
])
def test_a_file_that_ends_early_or_hangs_or_is_read_by_a_worker_that_dies_is_never_taken_for_what_it_should_be(
    environment, import_points, file, fault
):
    point = at([each for each in import_points if each.what.startswith("read")], file)
    assert trial.run(environment, trial.Trial(point, fault)) == []


@pytest.mark.parametrize("words, fault", [
    ("write", "torn"), ("write", "flipped bit"), ("rename", "kill -9"), ("fsync", "EIO"),
    ("DELETE FROM ingest_event", "commits lost"), ("UPDATE ingest_archive", "kill -9 before"),
])
def test_an_archive_that_is_torn_or_whose_server_loses_its_record_loses_no_row(
    environment, archive_points, words, fault
):
    assert trial.run(environment, trial.Trial(at(archive_points, words), fault)) == []


def test_a_preflight_of_a_mount_that_hangs_ends_when_it_is_asked_to(environment):
    point = at(trial.points(environment, scenario.STAGES["preflight"]), "source/source.json")
    assert trial.run(environment, trial.Trial(point, "hang")) == []
