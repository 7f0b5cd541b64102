"""Snapshots of ledger and library, without ids and times, and checks that the events agree with them."""

import json
import re
from collections import Counter, defaultdict

from constants import TABLES
from gpupanel.db import queries
from worker_helpers import MEANING

BATCHES = """SELECT sync_id, status, plan, last_error, manifest_sha256, manifest_summary, item_count, container_count,
             started_at IS NULL AS unplanned, completed_at IS NULL AS open FROM ingest_batch"""
JOBS = """SELECT b.sync_id, j.state, j.items_done, j.items_total, j.priority, j.requested_by FROM import_job j
          JOIN ingest_batch b ON b.id = j.batch_id"""
CONTAINERS = """SELECT b.sync_id, c.position, c.type, c.container_hash, c.planned, c.decision, c.reason, c.members,
                c.members_done, c.missing_count, c.last_error FROM ingest_batch_container c
                JOIN ingest_batch b ON b.id = c.batch_id"""
RESULTS = """SELECT b.sync_id, r.kind, r.hash, r.planned, r.decision, r.reason, r.last_error, r.target_digest,
             (SELECT COUNT(*) FROM ingest_result_member m WHERE m.result_id = r.id) AS moved
             FROM ingest_result r JOIN ingest_batch b ON b.id = r.batch_id"""
REQUESTS = """SELECT b.sync_id, r.state, r.then_queue, r.priority, r.requested_by FROM preflight_request r
              JOIN ingest_batch b ON b.id = r.batch_id"""
EVENTS = "SELECT b.sync_id, e.* FROM ingest_event e JOIN ingest_batch b ON b.id = e.batch_id ORDER BY e.id"
# Events that are recorded once, however often a program starts again.
ONCE = ("scan", "bundle_passed_over", "job_queued", "job_canceled", "manifest_changed")
ENDS = ("job_finished", "job_failed")
# What differs from run to run: an id, and how patient the worker was that said so.
VARIES = re.compile(r"(?<=\basset )\d+|(?<=no heartbeat for over )[\d.]+")


def take_snapshot(db) -> dict[str, list]:
    """Library, ledger, jobs, and the events that may be there only once."""
    tables = MEANING | {
        "batch": BATCHES, "container": CONTAINERS, "job": JOBS, "request": REQUESTS, "result": RESULTS,
    }
    told = [(event["sync_id"], event["event_type"]) for event in db.execute(EVENTS) if event["event_type"] in ONCE]
    return {name: sorted(map(_text, db.execute(sql))) for name, sql in tables.items()} | {"told": sorted(told)}


def _text(row: dict) -> str:
    return VARIES.sub("#", repr(sorted(row.items())))


def library(db) -> dict[str, list]:
    """The library alone, less which batch changed an asset last."""
    seen = take_snapshot(db)
    return {name: seen[name] for name in MEANING if name != "item"}


def differences(before: dict[str, list], after: dict[str, list]) -> list[str]:
    """What is in one picture and not in the other, one line each."""
    lines = []
    for name in before:
        was, now = Counter(map(str, before[name])), Counter(map(str, after[name]))
        lines += [f"- {name}: {each}" for each in was - now] + [f"+ {name}: {each}" for each in now - was]
    return lines


def everything(db) -> dict[str, list]:
    """Every row of every table, ids and times included; but for the signs of life of workers."""
    return {table: db.execute(f"SELECT * FROM {table} ORDER BY 1, 2") for table in TABLES if table != "import_worker"}


def ids(db) -> dict[str, set[tuple]]:
    """The keys of all rows: an id, or the first two columns."""
    return {table: {_key(row) for row in db.execute(f"SELECT * FROM {table}")} for table in TABLES}


def _key(row: dict) -> tuple:
    return (row["id"],) if "id" in row else tuple(row.values())[:2]


def broken_invariants(db) -> list[str]:
    """Where events, jobs, batches and items contradict each other."""
    events = [event | {"payload": json.loads(event["payload"])} for event in db.execute(EVENTS)]
    jobs = db.execute("SELECT j.*, b.sync_id FROM import_job j JOIN ingest_batch b ON b.id = j.batch_id")
    counts = defaultdict(Counter)
    for event in events:
        counts[int(event["payload"].get("job_id", 0))][event["event_type"]] += 1
        counts[int(event["payload"].get("job_id", 0))]["given_back"] += event["payload"].get("attempt_counts") == 0
    problems = [problem for job in jobs for problem in _of_job(job, counts[job["id"]])]
    for name in ("status_mismatch", "batches_without_job", "running_without_claim"):
        problems += [f"{name}: {row}" for row in db.execute(queries("doctor")[name], limit=10)]
    tokens = [job["claim_token"] for job in jobs if job["claim_token"]]
    problems += ["a claim token was used twice"] if len(tokens) != len(set(tokens)) else []
    return problems + _of_plans(events) + _of_counts(db, events, jobs)


def _of_job(job: dict, counts: Counter) -> list[str]:
    """A claim ends in one way: released, put back, or with the job."""
    ended = sum(counts[end] for end in ENDS)
    expected = {"completed": 1, "failed": 1}.get(job["state"], 0)
    claims, back = counts["job_claimed"], counts["job_released"] + counts["job_reset"]
    running = int(job["state"] == "running")
    problems = [] if ended == expected else [f"job {job['id']} is {job['state']}, with {ended} events of its end"]
    problems += [] if counts["job_queued"] == 1 else [f"job {job['id']} was queued {counts['job_queued']} times"]
    problems += (
        [] if counts["job_canceled"] == int(job["state"] == "canceled") else [f"job {job['id']}: canceled and not"]
    )
    # A hold ends a claim too, without an event where its reason is the one before.
    unexplained = claims - back - running - (expected if claims else 0)
    if unexplained < 0 or (unexplained and not counts["job_held"]):
        problems.append(f"job {job['id']} ({job['state']}): {dict(counts)}")
    if job["attempts"] > claims - counts["given_back"] or (
        job["attempts"] != claims - counts["given_back"] and not counts["job_held"]
    ):
        problems.append(f"job {job['id']} has {job['attempts']} attempts: {dict(counts)}")
    return problems


def _of_plans(events: list[dict]) -> list[str]:
    counts = Counter((event["sync_id"], event["event_type"]) for event in events)
    return [
        f"batch {sync_id}: preflights begun and not ended" for sync_id in {event["sync_id"] for event in events}
        if counts[sync_id, "preflight_started"] != counts[sync_id, "preflight_finished"]
    ]


def _of_counts(db, events: list[dict], jobs: list[dict]) -> list[str]:
    """Check the counts of each batch's last finished import against its items, unless they were planned again."""
    latest, problems = {job["sync_id"]: job for job in jobs}, []
    planned = {event["sync_id"]: event["id"] for event in events if event["event_type"] == "preflight_finished"}
    for event in events:
        job = latest.get(event["sync_id"])
        if event["event_type"] != "job_finished" or job["id"] != event["payload"]["job_id"]:
            continue
        if planned.get(event["sync_id"], 0) > event["id"]:
            continue
        rows = db.execute(
            "SELECT decision, COUNT(*) AS n, SUM(i.job_id = %(job)s) AS mine FROM ingest_batch_item i"
            " WHERE batch_id = %(batch)s AND decision <> 'withdrawn' GROUP BY decision",
            batch=job["batch_id"],
            job=job["id"],
        )
        counts = {row["decision"]: row["n"] for row in rows}
        settled = sum(int(row["mine"] or 0) for row in rows)
        if counts != event["payload"]["counts"]:
            problems.append(f"job {job['id']}: the event says {event['payload']['counts']}, the items {counts}")
        if not job["items_done"] == job["items_total"] == settled:
            problems.append(
                f"job {job['id']}: {job['items_done']} of {job['items_total']} items done, {settled} settled"
            )
    return problems
