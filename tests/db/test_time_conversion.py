"""cutover convert-times: the local times of the Perl side become UTC, in each zone and season, and ours stay."""

import dataclasses
import itertools
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
import worker_helpers
from gpupanel import job_queue, perl_time
from gpupanel.cli.main import main
from gpupanel.db import Database
from gpupanel.errors import InvalidInputError, InvalidStateError
from gpupanel.migration import table_specs, time_conversion
from gpupanel.migration.time_conversion import TO_LOCAL, TO_UTC

ZONE = ZoneInfo("Europe/Vienna")
# UTC times in both seasons, and around both changes of the clocks.
TIMES = [
    datetime(2024, 1, 15, 12), datetime(2024, 7, 15, 12, 0, 0, 250_000), datetime(2025, 3, 30, 0, 59, 59),
    datetime(2025, 3, 30, 1), datetime(2025, 10, 25, 22), datetime(2025, 10, 26, 1), datetime(2026, 11, 30, 23),
]


@pytest.fixture
def zoned(admin_db):
    db = Database(dataclasses.replace(admin_db.settings, perl_time_zone=ZONE))
    yield db
    db.close()


@pytest.fixture
def mixed(admin_db, panel_db, bundles, mount, worker_conf):
    """A ledger and library in which this system brought one bundle, and Perl another one at TIMES, in local time."""
    ours = bundles.bundle("ours", bundles.assets("ours", 2))
    worker_helpers.queue(panel_db, mount, ours)
    worker_helpers.drain(worker_conf)
    before = snapshot(admin_db)
    for number, at in enumerate(TIMES, 1):
        add_perl_rows(admin_db, number, at.replace(tzinfo=UTC).astimezone(ZONE).replace(tzinfo=None))
    return before


def add_perl_rows(db, number, local):
    for statement in (
        "INSERT INTO ingest_batch (id, sync_id, discovered_at, started_at, completed_at, updated_at)"
        " VALUES (%(n)s, UUID(), %(at)s, %(at)s, NULL, %(at)s)",
        "INSERT INTO import_job (batch_id, requested_by, state, worker, queued_at, claimed_at, heartbeat_at,"
        " finished_at) VALUES (%(n)s, 'x', 'completed', 'perl:1', %(at)s, %(at)s, %(at)s, %(at)s)",
        "INSERT INTO ingest_event (batch_id, event_type, payload, created_at) VALUES (%(n)s, 'scan', '{}', %(at)s)",
        "INSERT INTO ingest_batch_item (batch_id, asset_type, asset_hash, decision, updated_at)"
        " VALUES (%(n)s, 'photo', SHA2(%(n)s, 256), 'created', %(at)s)",
        "INSERT INTO asset (asset_type, asset_hash, last_batch_id, created_at, updated_at)"
        " VALUES ('photo', SHA2(%(n)s, 256), %(n)s, %(at)s, %(at)s)",
        "INSERT INTO asset_source (asset_id, document, sha256, created_at, updated_at)"
        " SELECT id, '{}', asset_hash, %(at)s, %(at)s FROM asset WHERE last_batch_id = %(n)s",
    ):
        db.execute(statement, n=number + 900_000, at=local)


def snapshot(db):
    """Return all rows of the compared tables, less the events of conversions."""
    return {
        table: [row for row in db.execute(f"SELECT * FROM {table} ORDER BY id")
                if row.get("event_type") != time_conversion.EVENT]
        for table in table_specs.BY_NAME
    }


def perl_times(db, table, column):
    key = "last_batch_id" if table == "asset" else "batch_id"
    rows = db.execute(f"SELECT {column} AS at FROM {table} WHERE {key} > 900000 ORDER BY {key}, id")
    return [row["at"] for row in rows if row["at"]]


def test_perls_times_become_utc_in_every_season_ours_stay_and_the_way_back_is_exact(mixed, admin_db, zoned):
    local = snapshot(admin_db)
    report = time_conversion.convert_times(zoned, TO_UTC, "jane")
    for table, column in (
        ("import_job", "queued_at"), ("import_job", "heartbeat_at"), ("ingest_event", "created_at"),
        ("ingest_batch_item", "updated_at"), ("asset", "created_at"), ("asset", "updated_at"),
    ):
        times = [time for time in perl_times(admin_db, table, column) if time.year < 2026 or time.month < 12]
        assert times == TIMES, (table, column)
    assert report.rows["import_job"] == report.rows["asset_source"] == len(TIMES)
    after = snapshot(admin_db)
    for table, rows in mixed.items():
        assert [row for row in after[table] if row in rows] == rows, table
    events = admin_db.execute(
        "SELECT DISTINCT payload, actor FROM ingest_event WHERE event_type = 'times_converted' ORDER BY 1"
    )
    assert events == [{
        "payload": f'{{"direction":"utc","kept":"{kept}","phase":"cutover","zone":"Europe/Vienna"}}', "actor": "jane",
    } for kept in ("", "discovered_at,started_at,completed_at,updated_at")]
    time_conversion.convert_times(zoned, TO_LOCAL, "jane")
    assert snapshot(admin_db) == local


@pytest.mark.parametrize("job", ["(SELECT MAX(id) FROM import_job)", "NULL"])  # Perl need not name its job in items
def test_the_way_back_is_exact_where_perl_imports_a_bundle_within_a_minute_of_our_queueing(
    panel_db, admin_db, zoned, bundles, mount, job,
):
    batch = worker_helpers.queue(panel_db, mount, bundles.bundle("shared", bundles.assets("shared", 2)))
    now = admin_db.execute("SELECT NOW(6) AS at")[0]["at"].replace(tzinfo=UTC).astimezone(ZONE).replace(tzinfo=None)
    for statement in (
        "UPDATE import_job SET state = 'completed', worker = 'perl:1', claimed_at = %(at)s, heartbeat_at = %(at)s,"
        " finished_at = %(at)s",
        "UPDATE ingest_batch SET status = 'completed', completed_at = %(at)s, updated_at = %(at)s",
        f"UPDATE ingest_batch_item SET decision = 'created', job_id = {job}, updated_at = %(at)s",
    ):
        admin_db.execute(statement, at=now)
    local = snapshot(admin_db)
    time_conversion.convert_times(zoned, TO_UTC, "jane")
    [row] = admin_db.execute("SELECT completed_at, discovered_at FROM ingest_batch")
    assert abs(row["completed_at"] - row["discovered_at"]) < timedelta(minutes=1), batch
    time_conversion.convert_times(zoned, TO_LOCAL, "jane")
    assert snapshot(admin_db) == local


@pytest.mark.parametrize("worker", [None, "ours:1"])  # also of a job that our worker had released
def test_the_end_of_our_job_is_local_if_perl_canceled_it_and_utc_if_we_did(
    panel_db, admin_db, zoned, bundles, mount, worker,
):
    for name in ("theirs", "ours"):
        worker_helpers.queue(panel_db, mount, bundles.bundle(name, bundles.assets(name, 1)))
    theirs, ours = (job["id"] for job in panel_db.run_read(job_queue.list_queued))
    token = worker and perl_time.new_token(worker)
    admin_db.execute("UPDATE import_job SET worker = %(worker)s, claim_token = %(token)s"
                     " WHERE id = %(id)s", worker=worker, token=token, id=theirs)
    panel_db.run_transaction(job_queue.cancel, ours, "jane")
    now = admin_db.execute("SELECT NOW(6) AS at")[0]["at"]
    at = now.replace(tzinfo=UTC).astimezone(ZONE).replace(tzinfo=None)
    admin_db.execute("UPDATE import_job SET state = 'canceled', finished_at = %(at)s WHERE id = %(id)s",
                     at=at, id=theirs)
    # Perl planned another bundle just after our panel had scanned it.
    worker_helpers.queue(panel_db, mount, bundles.bundle("planned", bundles.assets("planned", 1)))
    admin_db.execute("UPDATE ingest_batch_item SET planned = NULL, updated_at = %(at)s WHERE batch_id ="
                     " (SELECT MAX(id) FROM ingest_batch)", at=at)
    local = snapshot(admin_db)
    time_conversion.convert_times(zoned, TO_UTC, "jane")
    jobs = {job["id"]: job["finished_at"] for job in admin_db.execute("SELECT id, finished_at FROM import_job")}
    before = {job["id"]: job["finished_at"] for job in local["import_job"]}
    assert jobs == before | {theirs: now}
    assert admin_db.execute("SELECT updated_at AS at FROM ingest_batch_item ORDER BY id DESC LIMIT 1") == [{"at": now}]
    time_conversion.convert_times(zoned, TO_LOCAL, "jane")
    assert snapshot(admin_db) == local


def test_a_second_conversion_is_refused_and_a_dry_run_writes_nothing(mixed, admin_db, zoned):
    before = snapshot(admin_db)
    assert sum(time_conversion.preview(zoned, TO_UTC, "jane").rows.values()) > 5 * len(TIMES)
    assert snapshot(admin_db) == before
    with pytest.raises(InvalidStateError, match="in its local zone already"):
        time_conversion.convert_times(zoned, TO_LOCAL, "jane")
    time_conversion.convert_times(zoned, TO_UTC, "jane")
    after = snapshot(admin_db)
    with pytest.raises(InvalidStateError, match="in UTC already: jane converted them at 2026-"):
        time_conversion.convert_times(zoned, TO_UTC, "bob")
    assert snapshot(admin_db) == after


def test_a_job_of_this_system_is_known_by_its_token_and_one_that_perl_took_is_not(admin_db, zoned):
    token = perl_time.new_token("ours:1")
    add_perl_rows(admin_db, 1, datetime(2026, 6, 1, 12))
    admin_db.execute("UPDATE import_job SET worker = 'ours:1', claim_token = %(token)s", token=token)
    add_perl_rows(admin_db, 2, datetime(2026, 6, 1, 12))
    time_conversion.convert_times(zoned, TO_UTC, "jane")
    rows = admin_db.execute("SELECT queued_at, claimed_at, finished_at FROM import_job ORDER BY id")
    noon, ten = datetime(2026, 6, 1, 12), datetime(2026, 6, 1, 10)
    assert [list(row.values()) for row in rows] == [[ten, noon, noon], [ten, ten, ten]]


def test_nothing_is_converted_while_a_job_runs_or_without_a_zone(admin_db, zoned):
    add_perl_rows(admin_db, 1, datetime(2026, 6, 1, 12))
    admin_db.execute("UPDATE import_job SET state = 'running'")
    with pytest.raises(InvalidStateError, match=r"Job \d+ runs on perl:1; nothing was converted"):
        time_conversion.convert_times(zoned, TO_UTC, "jane")
    with pytest.raises(InvalidInputError, match="perl_time_zone is not set"):
        time_conversion.convert_times(admin_db, TO_UTC, "jane")


def test_a_batch_without_an_active_job_is_not_drained_until_its_statement_is_executed(admin_db, worker_conf, capsys):
    add_perl_rows(admin_db, 1, datetime(2026, 6, 1, 12))
    [batch] = admin_db.execute("SELECT sync_id FROM ingest_batch")
    admin_db.execute("UPDATE ingest_batch SET status = 'importing'")
    command = ["cutover", "drained", "--config", str(worker_conf)]
    assert main(command) == 1
    statement = capsys.readouterr().out.partition("Reset them: ")[2].partition(";")[0]
    assert batch["sync_id"] in statement
    admin_db.execute(statement)
    assert main(command) == 0 and capsys.readouterr().out == "No job is queued, running or held.\n"


def test_nothing_is_converted_while_records_of_ours_are_in_an_archive(mixed, admin_db, zoned):
    [batch] = admin_db.execute("SELECT batch_id FROM ingest_result LIMIT 1")
    admin_db.execute(
        "INSERT INTO ingest_archive (batch_id, file, first_receipt_id, receipt_id, result_id, event_id, items, root)"
        " VALUES (%(id)s, 'archive.gz', 1, 1, 1, 1, 1, '')", id=batch["batch_id"],
    )
    before = snapshot(admin_db)
    with pytest.raises(InvalidStateError, match="is in an archive") as refused:
        time_conversion.convert_times(zoned, TO_UTC, "jane")
    assert "restore-archive" in refused.value.hint and snapshot(admin_db) == before
    admin_db.execute("UPDATE ingest_archive SET restored_at = NOW(6)")
    assert time_conversion.convert_times(zoned, TO_UTC, "jane").rows["ingest_batch"]


@pytest.mark.parametrize("name", ["Europe/Vienna", "America/St_Johns", "Australia/Lord_Howe", "Asia/Kolkata", "UTC"])
def test_each_offset_of_a_zone_is_found_with_the_second_of_its_change(name):
    zone = ZoneInfo(name)
    steps = list(time_conversion.offsets(zone, datetime(2005, 1, 1), datetime(2027, 1, 1)))
    for before, after in itertools.pairwise(steps):
        for at, seconds in ((after.since, after.seconds), (after.since - timedelta(seconds=1), before.seconds)):
            assert at.replace(tzinfo=UTC).astimezone(zone).utcoffset() == timedelta(seconds=seconds)
    assert len(steps) == {"Asia/Kolkata": 1, "UTC": 1}.get(name, 45)
