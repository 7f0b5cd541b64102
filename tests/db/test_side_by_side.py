"""Two workers on one queue: a Perl job is left to a living worker, or reset after the threshold, in any zone."""

import dataclasses
import itertools
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
import worker_helpers
from constants import TREE
from gpupanel import job_queue, perl_time, workers
from gpupanel.db import Database
from gpupanel.doctor import queue_checks
from gpupanel.errors import ClaimLostError, InvalidStateError
from gpupanel.models import JobState
from gpupanel.web import status_bar
from gpupanel.web.pages import throughput_chart
from gpupanel.worker import claims, job_release, stale_jobs
from worker_helpers import enqueue, take

STALE = 900
# How long ago a time of the Perl worker is, beside the threshold of 900 s.
ALIVE, DEAD = 850, 950
ZONES = ("", "Europe/Vienna", "America/Los_Angeles", "Asia/Kolkata")
COLUMNS = [
    columns for size in (0, 1, 2) for columns in itertools.combinations(("claimed_at", "heartbeat_at"), size)
]


@pytest.fixture(params=ZONES)
def zoned(request, admin_db, worker_db):
    """(the worker's account for a Perl side in this zone, the zone)."""
    zone = ZoneInfo(request.param) if request.param else None
    db = Database(dataclasses.replace(worker_db.settings, perl_time_zone=zone))
    yield db, zone
    db.close()


def perl_claims(admin_db, job_id, zone, ages, token=None, batch_status="importing"):
    """Let the Perl worker claim a job: `ages` are column -> seconds ago, written in its zone."""
    [now] = [row["now"] for row in admin_db.execute("SELECT NOW(6) AS now")]
    local = {
        column: (now - timedelta(seconds=age)).replace(tzinfo=UTC).astimezone(zone or UTC).replace(tzinfo=None)
        for column, age in ages.items()
    }
    admin_db.execute(
        "UPDATE import_job SET state = 'running', worker = 'perl-host:4711', claim_token = COALESCE(%(token)s,"
        " claim_token), attempts = attempts + 1, claimed_at = %(claimed_at)s, heartbeat_at = %(heartbeat_at)s"
        " WHERE id = %(job_id)s",
        token=token, job_id=job_id, **({"claimed_at": None, "heartbeat_at": None} | local),
    )
    admin_db.execute("UPDATE ingest_batch SET status = %(status)s", status=batch_status)


@pytest.mark.parametrize("status", ["importing", "queued", "preflight_passed"])
def test_a_perl_job_in_any_state_is_left_to_a_living_worker_and_reset_after_a_dead_one(admin_db, zoned, status):
    db, zone = zoned
    jobs = enqueue(admin_db, 8 * len(COLUMNS))
    alive, dead = {}, {}
    kinds = itertools.product(COLUMNS, (ALIVE, DEAD), (False, True), (False, True))
    for job_id, (columns, age, was_long_ago, was_ours) in zip(jobs, kinds, strict=True):
        # Of two times the heartbeat counts; the claim may be long ago.
        ages = {column: age + 9000 * (was_long_ago and column != columns[-1]) for column in columns}
        token = perl_time.new_token("ours:1") if was_ours else None
        (alive if age == ALIVE or not columns else dead)[job_id] = columns, ages, token
        perl_claims(admin_db, job_id, zone, ages, token, status)
    assert db.run_transaction(stale_jobs.see_jobs_without_times) == 8
    assert set(db.run_read(stale_jobs.list_stale, STALE)) == set(dead)
    for job_id in jobs:
        done = db.run_transaction(stale_jobs.requeue_stale, job_id, STALE, 5, "ours:1")
        assert (job_id in dead) == (done is not None), (alive | dead)[job_id]
    for job_id in alive:  # none is left forever
        admin_db.execute(
            f"UPDATE import_job SET heartbeat_at = COALESCE(heartbeat_at, claimed_at) - INTERVAL {STALE} SECOND"
            f" WHERE id = {job_id}"
        )
        assert db.run_transaction(stale_jobs.requeue_stale, job_id, STALE, 5, "ours:1")


def test_a_job_that_perl_claimed_under_a_token_of_ours_takes_no_write_of_our_worker(admin_db, worker_db):
    [job_id] = enqueue(admin_db, 1)
    ours = take(worker_db, "a")
    # As the Perl panel resets a job: it does not know the token.
    admin_db.execute(f"UPDATE import_job SET state = 'queued', heartbeat_at = NULL WHERE id = {job_id}")
    perl_claims(admin_db, job_id, None, {"claimed_at": 0})
    for write in (claims.heartbeat, lambda tx, claim: claims.advance(tx, claim, 1), claims.recount):
        with pytest.raises(ClaimLostError):
            worker_db.run_transaction(write, ours)
    with pytest.raises(ClaimLostError):
        worker_db.run_transaction(claims.fail, ours, "x")
    assert worker_db.run_read(claims.state_of_claim, ours) is None
    assert worker_db.run_read(claims.find_claim, ours.token, ours.worker) is None


def test_our_own_claims_are_in_utc_whatever_the_zone_of_the_perl_side_is(admin_db, zoned):
    db, _ = zoned
    [job_id] = enqueue(admin_db, 1)
    token = perl_time.new_token(worker_helpers.HOST)
    assert len(token) == 32
    db.run_transaction(claims.claim, claims.ClaimRequest(token, worker_helpers.HOST))
    for age, stale in ((ALIVE, []), (DEAD, [job_id])):
        admin_db.execute(f"UPDATE import_job SET heartbeat_at = NOW(6) - INTERVAL {age} SECOND")
        assert list(db.run_read(stale_jobs.list_stale, STALE)) == stale
        [row] = db.run_read(job_queue.list_active, JobState.RUNNING).rows
        assert age <= (row["now"] - row["heartbeat_at"]).total_seconds() < age + 60


def test_the_condition_of_the_docs_spares_our_claims_in_perls_sweep_and_no_claim_of_perl(admin_db, zoned):
    db, zone = zoned
    condition = f"AND {queue_checks.NOT_OUR_CLAIM}"
    assert f"\n    {condition}\n" in (TREE / "docs" / "PERL-PARITY.md").read_text()
    ours, theirs, again = sorted(enqueue(admin_db, 3))
    for job_id in (ours, again):  # Perl leaves our token in the second one
        request = claims.ClaimRequest(perl_time.new_token(worker_helpers.HOST), worker_helpers.HOST)
        admin_db.execute("UPDATE import_job SET priority = IF(id = %(id)s, 1, 100)", id=job_id)
        assert db.run_transaction(claims.claim, request).job_id == job_id
    for job_id in (theirs, again):
        perl_claims(admin_db, job_id, zone, {"claimed_at": DEAD, "heartbeat_at": DEAD})

    def sweep(more):
        local = datetime.now(zone or UTC).replace(tzinfo=None)
        rows = admin_db.execute("SELECT id FROM import_job WHERE state = 'running' AND heartbeat_at <"
                                f" %(now)s - INTERVAL 15 MINUTE {more} ORDER BY id", now=local)
        return [row["id"] for row in rows]

    is_east = datetime.now(zone or UTC).utcoffset() > timedelta(minutes=15)
    assert (ours in sweep("")) == is_east
    assert sweep(condition) == [theirs, again]


def test_pages_show_the_times_of_a_perl_claim_in_utc(admin_db, zoned):
    db, zone = zoned
    [job_id] = enqueue(admin_db, 1)
    perl_claims(admin_db, job_id, zone, {"claimed_at": 100, "heartbeat_at": 10})
    batch_id = worker_helpers.job(admin_db, job_id)["batch_id"]
    running = db.run_read(job_queue.list_active, JobState.RUNNING).rows
    for row in (*running, *db.run_read(job_queue.list_of_batch, batch_id)):
        now = admin_db.execute("SELECT NOW(6) AS now")[0]["now"]
        assert [int((now - row[column]).total_seconds()) // 10 for column in ("claimed_at", "heartbeat_at")] == [10, 1]
    presence = db.run_read(workers.presence)
    assert presence.alive == 1 and 10 <= presence.age.total_seconds() < 60


@pytest.mark.parametrize("change", [
    datetime(2026, 3, 29, 1, tzinfo=UTC), datetime(2026, 10, 25, 1, tzinfo=UTC),  # the clocks of Vienna
])
def test_no_change_of_the_clocks_presumes_a_living_worker_dead_or_keeps_a_dead_one_for_over_an_hour(change):
    zone = ZoneInfo("Europe/Vienna")
    for minutes in range(-90, 150):
        now = change + timedelta(minutes=minutes)
        horizon = now - timedelta(seconds=STALE)
        limit = horizon.replace(tzinfo=None) + timedelta(seconds=perl_time.offset_seconds(zone, STALE, now))
        for seconds in range(0, 3 * 3600, 97):
            beat = now - timedelta(seconds=seconds)
            is_stale = beat.astimezone(zone).replace(tzinfo=None) < limit
            assert not (is_stale and seconds <= STALE), (now, beat)
            assert is_stale or seconds <= STALE + 3600, (now, beat)


def test_progress_of_a_job_that_perl_queued_without_a_total_is_counted(panel_db, admin_db, bundles, mount, worker_conf):
    sync_id = bundles.bundle("coast", bundles.assets("coast", 3))
    (job_id,) = worker_helpers.queue(panel_db, mount, sync_id)
    admin_db.execute("UPDATE import_job SET items_total = 0")
    assert "completed, 3 of 3 items" in worker_helpers.drain(worker_conf)
    job = worker_helpers.job(admin_db, job_id)
    assert (job["items_done"], job["items_total"]) == (3, 3)


# ------------------------------------------------------------------------------------------- who queued, who claimed


def queued_ago(admin_db, job_id, zone, seconds):
    """Let a job be queued so long ago, by Perl in its zone; by this system where `zone` is None, with its event."""
    [now] = [row["now"] for row in admin_db.execute("SELECT NOW(6) AS now")]
    at = now - timedelta(seconds=seconds)
    if zone is not None:
        at = at.replace(tzinfo=UTC).astimezone(zone).replace(tzinfo=None)
    admin_db.execute("UPDATE import_job SET queued_at = %(at)s WHERE id = %(id)s", at=at, id=job_id)
    actor, number = ("", f'"{job_id}"') if zone is not None else ("operator", job_id)
    admin_db.execute(
        "INSERT INTO ingest_event (batch_id, event_type, payload, actor) SELECT batch_id, 'job_queued', %(payload)s,"
        " %(actor)s FROM import_job WHERE id = %(id)s", payload=f'{{"job_id":{number}}}', actor=actor, id=job_id,
    )


def rows(db, name, **params):
    return db.run_read(lambda tx: tx.fetch_all(name, **params))


@pytest.mark.parametrize("oldest", ["ours", "perl"])
def test_the_age_of_a_queued_job_is_true_in_lists_status_alerts_and_checks_whoever_queued_it(admin_db, zoned, oldest):
    zone = zoned[1]
    db = Database(dataclasses.replace(admin_db.settings, perl_time_zone=zone))
    first, second = enqueue(admin_db, 2)
    zones = {first: None, second: zone or UTC} if oldest == "ours" else {first: zone or UTC, second: None}
    for job_id, seconds in ((first, 1000), (second, 500)):
        queued_ago(admin_db, job_id, zones[job_id], seconds)

    def age(row):
        [now] = [row["now"] for row in admin_db.execute("SELECT NOW(6) AS now")]
        return round((now - row["queued_at"]).total_seconds(), -2)

    listed = db.run_read(job_queue.list_queued)
    assert [(row["id"], age(row)) for row in listed] == [(first, 1000), (second, 500)]
    assert age(db.run_read(job_queue.job, second)) == 500
    assert [age(row) for row in db.run_read(job_queue.list_of_batch, listed[1]["batch_id"])] == [500]
    assert round(db.run_read(status_bar.load).oldest.total_seconds(), -2) == 1000
    for seconds, waits in ((900, True), (1200, False)):
        horizon = {"seconds": seconds, "perl_offset": perl_time.offset_seconds(zone, seconds)}
        since = datetime(2000, 1, 1)
        assert bool(rows(db, "notices.unclaimed", kind="no_worker", since=since, **horizon)) == waits
        assert bool(rows(db, "doctor.waiting", **horizon)) == waits
    db.close()


def test_the_latest_activity_and_the_items_of_an_hour_are_in_utc(admin_db, zoned):
    db, zone = zoned
    for job_id, ago in zip(enqueue(admin_db, 2), (600, 1200), strict=True):
        perl_claims(admin_db, job_id, zone, {"claimed_at": ago + 60, "heartbeat_at": ago})
        admin_db.execute(
            f"UPDATE import_job SET state = 'completed', finished_at = heartbeat_at, items_done = 5 WHERE id = {job_id}"
        )
    [row] = rows(db, "job_queue.last_worker_activity", perl_offset=perl_time.offset_seconds(zone, 0))
    assert round((row["now"] - row["seen"]).total_seconds(), -2) == 600
    chart = db.run_read(throughput_chart.load_chart)
    assert chart["total"] == 10 and sum(hour["items"] for hour in chart["hours"][-2:]) == 10


def is_foreign(db):
    try:
        db.run_read(workers.raise_if_foreign_claims)
    except InvalidStateError as error:
        assert "perl-host:4711, claimed job" in str(error)
        return True
    return False


def test_no_claim_of_ours_in_any_state_is_taken_for_one_of_another_program(admin_db, worker_db):
    assert not is_foreign(worker_db)
    enqueue(admin_db, 1)
    claim = take(worker_db, "a")
    assert not is_foreign(worker_db)
    worker_db.run_transaction(job_release.release, claim, "the mount is unavailable")
    assert not is_foreign(worker_db)
    claim = take(worker_db, "b")
    worker_db.run_transaction(claims.fail, claim, "broken")
    assert not is_foreign(worker_db)
    # A worker of an earlier version wrote tokens without the digest of its name.
    admin_db.execute("UPDATE import_job SET claim_token = REPEAT('a', 32)")
    assert not is_foreign(worker_db)


@pytest.mark.parametrize("after_ours", [False, True])
@pytest.mark.parametrize("ended", ["running", "queued", "completed", "failed"])
@pytest.mark.parametrize("ages", [{"claimed_at": 60}, {"claimed_at": 9 * 86400, "heartbeat_at": 60}, {}])
def test_a_claim_of_another_program_is_seen_also_under_a_token_of_ours(admin_db, zoned, after_ours, ended, ages):
    db, zone = zoned
    [job_id] = enqueue(admin_db, 1)
    if after_ours:
        db.run_transaction(job_release.release, take(db, "a"), "the mount is unavailable")
    perl_claims(admin_db, job_id, zone, ages)
    assert is_foreign(db)
    if ended != "queued":
        [local] = admin_db.execute(
            "SELECT NOW(6) + INTERVAL %(offset)s SECOND AS at", offset=perl_time.offset_seconds(zone, 0)
        )
        admin_db.execute(
            f"UPDATE import_job SET state = '{ended}', finished_at = IF('{ended}' = 'running', NULL, %(at)s)",
            at=local["at"],
        )
    else:
        admin_db.execute("UPDATE import_job SET state = 'queued', heartbeat_at = NULL")
    was_long_ago = ended == "queued" and ages.get("claimed_at", 0) > 8 * 86400
    assert is_foreign(db) != was_long_ago


def test_a_claim_of_another_program_is_forgotten_after_some_days(admin_db, zoned):
    db, zone = zoned
    [job_id] = enqueue(admin_db, 1)
    for days, seen in ((workers.FOREIGN_DAYS - 1, True), (workers.FOREIGN_DAYS + 1, False)):
        admin_db.execute("UPDATE import_job SET finished_at = NULL")
        perl_claims(admin_db, job_id, zone, {"claimed_at": days * 86400, "heartbeat_at": days * 86400})
        assert is_foreign(db) == seen
        admin_db.execute("UPDATE import_job SET state = 'failed', finished_at = heartbeat_at")
        assert is_foreign(db) == seen
