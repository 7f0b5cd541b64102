"""A bundle that kills its worker each time is parked, the queue goes on, and one command lets it try again."""

import signal

import pytest
from campaign import lane as lanes
from campaign import picture, story
from campaign.door import Door

ATTEMPTS = 5


class Poison(Door):
    """Kills the worker whenever it writes the assets of the first job."""

    def number(self, link, statement: str) -> int:
        if statement.startswith("INSERT INTO asset ("):
            link.signal(signal.SIGKILL)
        return super().number(link, statement)


@pytest.fixture(scope="module")
def lane(tmp_path_factory):
    with lanes.opened(tmp_path_factory.mktemp("poison")) as opened:
        yield opened


def test_a_bundle_that_kills_its_worker_is_parked_and_one_command_releases_it(lane):
    stage = story.STAGES["import"]
    undisturbed = {name: rows for name, rows in lane.reference(stage).items() if name in picture.library(lane.admin)}
    lane.restore(stage.before)
    for attempt in range(1, ATTEMPTS + 1):
        with Poison(lane.door_path, lane.server):
            assert lane.start(stage, lane.through["import-worker"]).wait().status == -signal.SIGKILL
        (job,) = lane.admin.execute("SELECT * FROM import_job WHERE state = 'running'")
        assert (job["id"], job["attempts"]) == (lane.job, attempt)
        lane.let_an_hour_pass()

    lane.finish()
    (batch,) = lane.admin.execute("SELECT b.* FROM ingest_batch b JOIN import_job j ON j.batch_id = b.id AND j.id = %(job)s", job=lane.job)
    assert batch["status"] == "failed"
    assert batch["last_error"].startswith(f"gave up after {ATTEMPTS} attempts: the last worker ")
    states = lane.admin.execute("SELECT state FROM import_job WHERE id <> %(job)s AND state <> 'completed'", job=lane.job)
    assert states == []
    assert picture.untruths(lane.admin) == []

    released = lane.zygote.start("gpupanel", "queue", batch["sync_id"], "--config", str(lane.direct["gpupanel"])).wait()
    assert released.status == 0, released.output
    lane.finish()
    assert picture.library(lane.admin) == undisturbed
    assert picture.untruths(lane.admin) == []
