"""The checklist of docs/PERL-PARITY.md leads from a simulated Perl panel to this one, and back from each step.

`make test` goes back from the steps that change the database, `make cutover` from every step, and once more with
CUTOVER_ASSETS more assets, for which it prints how long each step took.
"""

import os
from contextlib import contextmanager
from types import SimpleNamespace

import installation
import pytest
from checklist import Shell, steps
from constants import NAME
from gpupanel.db import Database, schema
from gpupanel.devtools.bundle_factory import BundleWriter
from gpupanel.devtools.mariadb_server import MariaDBServer, THROWAWAY
from gpupanel.migration import table_specs, time_conversion
from perl_panel import ZONE, PerlPanel, fill

ASSETS = int(os.environ.get("CUTOVER_ASSETS", "0"))
# The steps from which the test goes back: with many assets only one, since each restores the whole database.
GO_BACK = {9} if ASSETS else set(range(1, 12)) if os.environ.get("CUTOVER") else {4, 7, 9, 11}
CONVERTED = 9  # the step that converts the times
ZONED = f"perl_time_zone = {ZONE}\n"


@pytest.fixture
def move(tmp_path):
    """The Perl panel with its library, and the files that the checklist needs."""
    assets_dir = tmp_path / "assets"
    (assets_dir / "sync").mkdir(parents=True)
    with MariaDBServer(installation.prepared(tmp_path / "mariadb"), *THROWAWAY) as server:
        admin, perl = Database(server.admin(), read_timeout=3600), PerlPanel(server, NAME, assets_dir)
        perl.create(admin)
        bundles = BundleWriter(assets_dir / "sync", assets_dir)
        photos = list(bundles.assets("first", 4, mix=("photo", "cover")))
        containers = [bundles.container(kind, "Coast", photos) for kind in ("gallery", "collection")]
        perl.bring(bundles.bundle("first", photos, containers), bundles.bundle("second", bundles.assets("second", 2)))
        if ASSETS:
            fill(admin, NAME, ASSETS)
        for name, database, zone in (("admin", NAME, ZONED), ("before", "before_cutover", "")):
            (tmp_path / f"{name}.conf").write_text(
                f"[database]\nunix_socket = {server.socket}\nuser = {server.admin().user}\nname = {database}\n{zone}"
                f"[mount]\nsync_dir = {assets_dir / 'sync'}\n"
            )
        (tmp_path / "before.mapping").write_text(f"[side]\ntime_zone = {ZONE}\n")
        for name, user in (("panel", "gpu_panel"), ("worker", "gpu_worker")):
            conf = installation.write(tmp_path / f"{name}.conf", server.socket, assets_dir, user)
            conf.write_text(conf.read_text().replace("[mount]", f"{ZONED}[mount]"))
        yield SimpleNamespace(
            server=server, admin=admin, perl=perl, bundles=bundles, folder=tmp_path,
            shell=Shell(tmp_path, server.socket),
        )
        admin.close()


def test_the_checklist_leads_to_this_system_and_back_from_each_step(move):
    after = {5: open_accounts, 7: run_side_by_side, CONVERTED: remove_zone, 11: import_here}
    assert [step.number for step in steps()] == list(range(1, 12))
    for step in steps():
        move.shell.run(step)
        after.get(step.number, lambda move: None)(move)
        assert is_local(move) == (step.number < CONVERTED), step.title
        if step.number in GO_BACK:
            with restored(move):
                go_back(move, step)
    if ASSETS:
        for number, seconds in move.shell.seconds.items():
            print(f"{ASSETS:,} assets: step {number} took {seconds:.1f} s")


def go_back(move, step):
    """Go back from a step: the Perl panel and worker work, and write and read local times."""
    for command in step.back:
        move.shell.command(command)
    name = f"after {step.number}"
    photos = list(move.bundles.assets(name, 2, mix=("photo", "cover")))
    sync_id = move.bundles.bundle(name, photos, [move.bundles.container("gallery", "Coast", photos)])
    move.perl.bring(sync_id)
    assert f"{sync_id} completed" in move.perl("list") and is_local(move)
    update = move.bundles.bundle(f"{name}, updated", photos, action="update")
    move.perl("scan")
    job = move.perl("queue", update).split()[1]
    move.perl("cancel", job)
    move.perl.bring(update)
    for brought in (sync_id, update):  # the next step finds the mount as it was
        for path in (move.perl.assets_dir / "sync").glob(f"{brought}.*"):
            path.unlink()


@contextmanager
def restored(move):
    """Restore the database afterwards."""
    shell = move.shell
    shell.command(f"mariadb-dump --single-transaction {NAME} > now.sql")
    yield
    move.admin.execute("SET foreign_key_checks = 0")
    move.admin.execute(f"CREATE OR REPLACE DATABASE {NAME} CHARACTER SET latin1")
    shell.command(f"mariadb {NAME} < now.sql")


def open_accounts(move):
    for account in schema.ACCOUNTS:
        schema.open_account(move.server.admin(NAME), account, installation.password(account))


def remove_zone(move):
    for name in ("panel", "worker"):
        conf = move.folder / f"{name}.conf"
        conf.write_text(conf.read_text().replace(ZONED, ""))


def run_side_by_side(move):
    """Both sides queue and import; a Perl worker dies with a job, which this worker takes over when it is stale."""
    shell, perl = move.shell, move.perl
    ours, theirs, left = (
        move.bundles.bundle(name, move.bundles.assets(name, 3)) for name in ("ours", "theirs", "left behind")
    )
    perl("scan")
    perl("queue", left)
    perl("claim")
    shell.command(f"bin/gpupanel queue {ours} --config panel.conf")
    perl("queue", theirs)
    shell.command("bin/import-worker --once --config worker.conf")
    assert status(move) == {ours: "completed", theirs: "completed", left: "importing"}
    move.admin.execute(f"UPDATE {NAME}.import_job SET claimed_at = claimed_at - INTERVAL 16 MINUTE"
                       " WHERE state = 'running'")
    shell.command("bin/import-worker --once --config worker.conf")
    assert status(move) == {ours: "completed", theirs: "completed", left: "completed"}
    third = move.bundles.bundle("third", move.bundles.assets("third", 2))
    shell.command("bin/gpupanel scan --config panel.conf")
    shell.command(f"bin/gpupanel queue {third} --config panel.conf")
    assert f"imported {third}" in perl("work")
    assert move.admin.execute(f"SELECT id FROM {NAME}.import_job WHERE items_done > items_total") == []


def import_here(move):
    sync_id = move.bundles.bundle("last", move.bundles.assets("last", 2))
    move.shell.command("bin/gpupanel scan --config panel.conf")
    move.shell.command(f"bin/gpupanel queue {sync_id} --config panel.conf")
    move.shell.command("bin/import-worker --once --config worker.conf")
    assert status(move)[sync_id] == "completed"


def status(move):
    """Return sync_id -> status of the bundles that the Perl side did not bring alone."""
    rows = move.admin.execute(f"SELECT sync_id, status FROM {NAME}.ingest_batch ORDER BY id LIMIT 1000")
    return {row["sync_id"]: row["status"] for row in rows[2 + bool(ASSETS):]}


def is_local(move):
    """Whether the times of Perl's rows are two hours ahead; those that this system wrote never are."""
    ahead = set()
    for table in table_specs.BY_NAME:
        columns = " UNION ".join(
            f"SELECT MAX({column}) > NOW(6) + INTERVAL 60 MINUTE AS ahead FROM {NAME}.{table}"
            for column in time_conversion.time_columns(table)
            if move.admin.execute(f"SHOW COLUMNS FROM {NAME}.{table} LIKE '{column}'")
        )
        ahead |= {row["ahead"] for row in move.admin.execute(columns) if row["ahead"] is not None}
    if move.admin.execute(f"SHOW COLUMNS FROM {NAME}.ingest_event LIKE 'actor'"):
        ours = f"SELECT COUNT(*) AS n FROM {NAME}.ingest_event WHERE actor <> '' AND created_at > NOW(6)"
        assert move.admin.execute(ours) == [{"n": 0}]
    return 1 in ahead
