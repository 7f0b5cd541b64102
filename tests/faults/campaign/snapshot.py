"""Snapshots of ledger and library, without ids and times, and checks that the events agree with them."""

import json
import re
from collections import Counter, defaultdict

from constants import TABLES
from gpupanel.db import queries
from worker_helpers import MEANING

BATCHES = """SELECT sync_id, status, plan, last_error, manifest_sha256, manifest_summary, item_count, container_count,
             started_at IS NULL AS unplanned, completed_at IS NULL AS open, archived_at IS NULL AS present,
             changed_sha256 FROM ingest_batch"""
JOBS = """SELECT b.sync_id, j.state, j.items_done, j.items_total, j.priority, j.requested_by, j.hold,
          IF(j.state = 'held', j.hold_reason, NULL) AS reason, h.sync_id AS held_for FROM import_job j
          JOIN ingest_batch b ON b.id = j.batch_id LEFT JOIN ingest_batch h ON h.id = j.hold_batch_id"""
CONTAINERS = """SELECT b.sync_id, c.position, c.type, c.container_hash, c.planned, c.decision, c.reason, c.members,
                c.members_done, c.missing_count, c.last_error FROM ingest_batch_container c
                JOIN ingest_batch b ON b.id = c.batch_id"""
RESULTS = """SELECT b.sync_id, r.kind, r.hash, r.planned, r.decision, r.reason, r.last_error, r.target_digest,
             (SELECT COUNT(*) FROM ingest_result_member m WHERE m.result_id = r.id) AS moved
             FROM ingest_result r JOIN ingest_batch b ON b.id = r.batch_id"""
REQUESTS = """SELECT b.sync_id, r.state, r.then_queue, r.priority, r.requested_by FROM preflight_request r
              JOIN ingest_batch b ON b.id = r.batch_id"""
SAYS = """SELECT t.kind, t.hash, t.source_at, b.sync_id FROM (
          SELECT asset_type AS kind, asset_hash AS hash, source_at, source_batch_id FROM asset
          UNION ALL SELECT 'gallery', gallery_hash, source_at, source_batch_id FROM asset_gallery
          UNION ALL SELECT 'collection', collection_hash, source_at, source_batch_id FROM asset_collection
          UNION ALL SELECT kind, hash, source_at, batch_id FROM ingest_tombstone WHERE deleted_at IS NULL) t
          LEFT JOIN ingest_batch b ON b.id = t.source_batch_id"""
WORDS = "SELECT b.sync_id, w.word FROM ingest_batch_word w JOIN ingest_batch b ON b.id = w.batch_id"
DOCUMENTS = "SELECT sha256, document FROM ingest_document"
CONTROL = "SELECT paused, paused_by, reason FROM queue_control WHERE paused"
RECEIPTS = """SELECT b.sync_id, r.lines, r.previous IS NULL AS first FROM ingest_receipt r
              JOIN ingest_batch b ON b.id = r.batch_id"""
ARCHIVES = """SELECT b.sync_id, a.items, a.emptied_at IS NULL AS present, a.restored_at IS NULL AS away
              FROM ingest_archive a JOIN ingest_batch b ON b.id = a.batch_id"""
UNDOS = """SELECT u.sync_id, b.sync_id AS undone FROM ingest_batch u JOIN ingest_batch b ON b.id = u.undo_of
           ORDER BY u.id"""
# The words of a failure that is mended since stay (docs/decisions/0130-search-by-words.md).
ONLY_ADDED = ("word",)
EVENTS = "SELECT b.sync_id, e.* FROM ingest_event e JOIN ingest_batch b ON b.id = e.batch_id ORDER BY e.id"
# Events that are recorded once, however often a program starts again.
ONCE = ("scan", "bundle_passed_over", "job_queued", "job_canceled", "manifest_changed", "undo_requested",
        "batch_archived")
ENDS = ("job_finished", "job_failed")
# What differs from run to run: an id, and how patient the worker was that said so.
VARIES = re.compile(r"(?<=\basset )\d+|(?<=\bjob )\d+|(?<=no heartbeat for over )[\d.]+")


def take_snapshot(db) -> dict[str, list]:
    """Library, ledger, jobs, and the events that may be there only once."""
    tables = MEANING | {
        "batch": BATCHES, "container": CONTAINERS, "job": JOBS, "request": REQUESTS, "result": RESULTS, "say": SAYS,
        "word": WORDS, "document": DOCUMENTS, "control": CONTROL, "receipt": RECEIPTS, "archive": ARCHIVES,
    }
    # The sync_id of an undo is a new one each time.
    names = {row["sync_id"]: f"undo of {row['undone']}" for row in db.execute(UNDOS)}
    told = [(event["sync_id"], event["event_type"]) for event in db.execute(EVENTS) if event["event_type"] in ONCE]
    found = {name: sorted(_text(row, names) for row in db.execute(sql)) for name, sql in tables.items()}
    return found | {"told": sorted((names.get(sync_id, sync_id), event_type) for sync_id, event_type in told)}


def _text(row: dict, names: dict[str, str]) -> str:
    text = repr(sorted(row.items()))
    for sync_id, name in names.items():
        text = text.replace(sync_id, name)
    return VARIES.sub("#", text)


def library(db) -> dict[str, list]:
    """The library alone, less which batch changed an asset last."""
    seen = take_snapshot(db)
    return {name: seen[name] for name in MEANING if name != "item"}


def differences(before: dict[str, list], after: dict[str, list]) -> list[str]:
    """What is in one picture and not in the other, one line each."""
    lines = []
    for name in before:
        was, now = Counter(map(str, before[name])), Counter(map(str, after[name]))
        lines += [f"- {name}: {each}" for each in was - now]
        if name not in ONLY_ADDED:
            lines += [f"+ {name}: {each}" for each in now - was]
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
