"""A bundle that kills its worker each time is parked, the queue goes on, and one command or click lets it try again."""

import signal

import pytest
from campaign import environment as lanes
from campaign import scenario, snapshot
from campaign.fault_proxy import FaultProxy
from gpupanel import config
from gpupanel.web.app import application
from webtest import TestApp

ATTEMPTS = 5


class Poison(FaultProxy):
    """Kills the worker whenever it writes the assets of the first job."""

    def number(self, link, statement: str) -> int:
        if statement.startswith("INSERT INTO asset ("):
            link.signal(signal.SIGKILL)
        return super().number(link, statement)


@pytest.fixture(scope="module")
def lane(tmp_path_factory):
    with lanes.open_environment(tmp_path_factory.mktemp("poison")) as opened:
        yield opened


def by_command(lane, sync_id: str) -> None:
    released = lane.zygote.start("gpupanel", "queue", sync_id, "--config", str(lane.direct["gpupanel"])).wait()
    assert released.status == 0, released.output


def by_click(lane, sync_id: str) -> None:
    """The button of the batch's own page, which says too why it is parked."""
    panel = application(config.load(lane.direct["gpupanel"]))
    operator = TestApp(panel, extra_environ={"REMOTE_USER": scenario.OPERATOR})
    page = operator.get(f"/admin/import-media.cgi?action=detail&sync_id={sync_id}")
    assert f"gave up after {ATTEMPTS} attempts" in page.text
    (form,) = [each for each in page.forms.values() if "do" in each.fields and each["do"].value_if_submitted() == "queue"]
    assert "Queued as job" in form.submit("do").follow().text


@pytest.mark.parametrize("release", [by_command, by_click])
def test_a_bundle_that_kills_its_worker_is_parked_and_one_step_releases_it(lane, release):
    stage = scenario.STAGES["import"]
    undisturbed = {name: rows for name, rows in lane.reference(stage).items() if name in snapshot.library(lane.admin)}
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
    assert snapshot.broken_invariants(lane.admin) == []

    release(lane, batch["sync_id"])
    lane.finish()
    assert snapshot.library(lane.admin) == undisturbed
    assert snapshot.broken_invariants(lane.admin) == []
