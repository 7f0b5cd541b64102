"""A bundle that kills its worker fails after its attempts; a retry queues it again."""

import signal

import pytest
from campaign.environment import open_environment
from campaign import scenario, snapshot
from campaign.fault_proxy import FaultProxy
from gpupanel import config
from gpupanel.web.wsgi import application
from webtest import TestApp

ATTEMPTS = 5


class Poison(FaultProxy):
    """Kills the worker whenever it writes the assets of the first job."""

    def number(self, link, statement: str) -> int:
        if statement.startswith("INSERT INTO asset ("):
            link.signal(signal.SIGKILL)
        return super().number(link, statement)


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    with open_environment(tmp_path_factory.mktemp("poison")) as opened:
        yield opened


def by_command(environment, sync_id: str) -> None:
    released = environment.fork_server.start(
        "gpupanel", "queue", sync_id, "--config", str(environment.direct["gpupanel"])
    ).wait()
    assert released.status == 0, released.output


def by_click(environment, sync_id: str) -> None:
    """The button of the batch's own page, which says too why it is parked."""
    panel = application(config.load(environment.direct["gpupanel"]))
    operator = TestApp(panel, extra_environ={"REMOTE_USER": scenario.OPERATOR})
    page = operator.get(f"/admin/import-media.cgi?action=detail&sync_id={sync_id}")
    assert f"gave up after {ATTEMPTS} attempts" in page.text
    (form,) = [
        each for each in page.forms.values() if "do" in each.fields and each["do"].value_if_submitted() == "queue"
    ]
    assert "Queued as job" in form.submit("do").follow().text


@pytest.mark.parametrize("release", [by_command, by_click])
def test_a_bundle_that_kills_its_worker_is_parked_and_one_step_releases_it(environment, release):
    stage = scenario.STAGES["import"]
    undisturbed = {
        name: rows for name, rows in environment.reference(stage).items() if name in snapshot.library(environment.admin)
    }
    environment.restore(stage.before)
    for attempt in range(1, ATTEMPTS + 1):
        with Poison(environment.proxy_path, environment.server):
            assert environment.start(stage, environment.through["import-worker"]).wait().status == -signal.SIGKILL
        (job,) = environment.admin.execute("SELECT * FROM import_job WHERE state = 'running'")
        assert (job["id"], job["attempts"]) == (environment.job, attempt)
        environment.let_an_hour_pass()

    environment.finish()
    (batch,) = environment.admin.execute(
        "SELECT b.* FROM ingest_batch b JOIN import_job j ON j.batch_id = b.id AND j.id = %(job)s", job=environment.job
    )
    assert batch["status"] == "failed"
    assert batch["last_error"].startswith(f"gave up after {ATTEMPTS} attempts: the last worker ")
    states = environment.admin.execute(
        "SELECT state FROM import_job WHERE id <> %(job)s AND state <> 'completed'", job=environment.job
    )
    assert states == []
    assert snapshot.broken_invariants(environment.admin) == []

    release(environment, batch["sync_id"])
    environment.finish()
    assert snapshot.library(environment.admin) == undisturbed
    assert snapshot.broken_invariants(environment.admin) == []
