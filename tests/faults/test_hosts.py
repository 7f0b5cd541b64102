"""Workers on several machines: no job runs twice, a disconnected worker is fenced."""

import signal

import installation
import pytest
import worker_helpers
from constants import NAME, password
from gpupanel.db import Database
from gpupanel.devtools.mariadb_server import THROWAWAY
from gpupanel.db.expected import read_statements
from gpupanel.db import schema
from network import SUBNET, Network, needs_machines

pytestmark = [needs_machines, pytest.mark.long]  # a reply that the network swallowed is waited for up to a minute

PORT = 3306
BUNDLES = 60
PHOTOS = 60  # of the job that is cut off


@pytest.fixture(scope="module")
def network():
    """Four machines: the first runs the server, the others a worker each."""
    with Network(4) as cabled:
        yield cabled


@pytest.fixture(scope="module")
def server(tmp_path_factory, network):
    """A server for the other machines, with their accounts as in docs/install.md."""
    options = (*THROWAWAY, "--bind-address=0.0.0.0", f"--port={PORT}", "--skip-name-resolve")
    with installation.installed(tmp_path_factory.mktemp("host"), *options, within=network.within(1)) as running:
        admin = Database(running.admin(NAME))
        for statement in read_statements("grants.sql"):
            admin.execute(statement.replace("@localhost", f"@'{SUBNET}.%'"))
        for account in schema.ACCOUNTS:
            admin.execute(
                f"ALTER USER {account}@'{SUBNET}.%%' IDENTIFIED BY %(it)s ACCOUNT UNLOCK", it=password(account)
            )
        admin.close()
        yield running


@pytest.fixture
def start(admin_db, network, worker_conf):
    """`start(2)` starts a worker on machine 2; it ends with the test."""
    programs = worker_helpers.Programs()

    def on(machine: int, **options) -> worker_helpers.Program:
        conf = worker_helpers.with_options(worker_conf, f"on{machine}.conf", host=network.address(1), **options)
        return programs(conf, within=network.within(machine))

    yield on
    programs.end()


@pytest.fixture
def cut_off(admin_db, panel_db, worker_db, mount, bundles, network, start):
    """A worker on machine 2 that lost its network within a bundle an hour ago: (worker, sync_id, job id)."""
    photos = list(bundles.assets("many", PHOTOS, derivatives=("icon",)))
    sync_id = bundles.bundle("many", photos)
    (job_id,) = worker_helpers.queue(panel_db, mount, sync_id)
    with worker_helpers.held_back(admin_db, worker_db, photos[20]) as wait:
        worker = start(2, chunk_items=1, stale_minutes=0.05)
        wait()
        network.pull(2)
    worker_helpers.wait_until(
        lambda: worker_helpers.nobody_holds_a_row(admin_db), "the end of its transaction", every=0.15
    )
    assert worker_helpers.job(admin_db, job_id)["state"] == "running"
    worker_helpers.make_stale(admin_db, job_id)
    return worker, sync_id, job_id


def ends(worker: worker_helpers.Program) -> int:
    worker.send(signal.SIGTERM)
    return worker.ends()


def test_workers_on_three_hosts_take_each_job_once_although_one_is_cut_off_in_the_middle_of_its_own(
    admin_db, panel_db, mount, bundles, network, start, cut_off
):
    worker, sync_id, job_id = cut_off
    shared = list(bundles.assets("shared", 2, ("photo", "cover"), derivatives=("icon",)))
    jobs = worker_helpers.queue(
        panel_db,
        mount,
        *(
            bundles.bundle(
                f"bundle {n}", [*bundles.assets(f"bundle {n}", 3), *shared],
                [bundles.container("gallery", "All", shared)],
            )
            for n in range(BUNDLES)
        ),
    )
    others = [start(machine) for machine in (3, 4)]
    worker_helpers.wait_until(
        lambda: worker_helpers.job(admin_db, job_id)["state"] == "completed", "the end of its job"
    )
    events = worker_helpers.events(panel_db, sync_id)
    network.plug(2)
    worker.wait_for_line("This worker writes nothing more for it")
    worker_helpers.wait_until(lambda: states(admin_db) == {"completed"}, "the end of all jobs")
    assert [ends(each) for each in (worker, *others)] == [0, 0, 0]
    assert worker_helpers.events(panel_db, sync_id) == events
    attempts = {row["id"]: row["attempts"] for row in admin_db.execute("SELECT id, attempts FROM import_job")}
    assert attempts == {job_id: 2} | dict.fromkeys(jobs, 1)
    decided = admin_db.execute("SELECT decision, COUNT(*) AS n FROM ingest_batch_item GROUP BY decision")
    made = PHOTOS + 3 * BUNDLES + len(shared)
    assert {row["decision"]: row["n"] for row in decided if row["decision"] not in ("skipped", "linked")} == {
        "created": made
    }
    assert len(worker_helpers.rows(admin_db)["asset"]) == made


def states(admin_db) -> set[str]:
    return {row["state"] for row in admin_db.execute("SELECT DISTINCT state FROM import_job")}


def test_a_worker_that_was_cut_off_goes_on_with_other_jobs_when_it_is_back(
    admin_db, panel_db, worker_conf, mount, bundles, network, cut_off
):
    worker, sync_id, job_id = cut_off
    worker_helpers.drain(worker_conf)
    assert worker_helpers.job(admin_db, job_id)["state"] == "completed"
    assert worker_helpers.counts(panel_db, sync_id) == {"created": PHOTOS}
    rows, events = worker_helpers.rows(admin_db), worker_helpers.events(panel_db, sync_id)
    network.plug(2)
    (next_job,) = worker_helpers.queue(panel_db, mount, bundles.bundle("again", bundles.assets("again", 1)))
    worker_helpers.wait_until(lambda: worker_helpers.job(admin_db, next_job)["state"] == "completed", "its next job")
    assert ends(worker) == 0
    old = {asset["id"] for asset in rows["asset"]}
    assert [asset for asset in worker_helpers.rows(admin_db)["asset"] if asset["id"] in old] == rows["asset"]
    assert worker_helpers.events(panel_db, sync_id) == events
    assert worker_helpers.job(admin_db, job_id)["attempts"] == 2
