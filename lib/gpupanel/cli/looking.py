"""status, show, doctor: what there is to see; nothing here writes."""

from typing import Any

from ... import find, ledger, queue
from ...database import Reading
from ...filters import Filters
from ..shell import Shell
from ..text import age, counts, plain, short, size, table
from .finding import asked_for


def status(shell: Shell) -> int:
    """JSON: {batches: {status: n}, at_least: [status], jobs: {state: n}, running: [job], waiting: [job]}; at most 50 jobs
    each, the running ones with `heartbeat_age` in seconds. Without filters all batches are counted; with some up to BOUND, or
    through SCAN rows, and `at_least` names what may be more."""
    seen = shell.db.read(_status, asked_for(shell.args))
    batches = [(status, f"{number}{'+' if status in seen['at_least'] else ''}") for status, number in seen["batches"].items()]
    lines = ["Batches", *table(batches), "Jobs", *table(seen["jobs"].items())]
    for heading, jobs, told in (("Running", seen["running"], _last_heartbeat), ("Next", seen["waiting"], _put_back)):
        lines += [heading, *table((*_job_line(job), told(job)) for job in jobs)] if jobs else []
    shell.tell(seen, lines)
    return 0


def _status(tx: Reading, wanted: Filters) -> dict[str, Any]:
    found = _counts(tx, wanted)
    return {
        "batches": {status: min(each.number, find.BOUND) if not each.exact else each.number for status, each in found.items()},
        "at_least": [status for status, each in found.items() if not each.exact],
        "jobs": queue.census(tx),
        "running": [_running(job) for job in queue.running(tx)], "waiting": [_public(job) for job in queue.waiting(tx)],
    }


def _counts(tx: Reading, wanted: Filters) -> dict[str, find.Count]:
    """status -> how many batches, of those that are wanted."""
    counts = find.count_by_status(tx, wanted, most=None if wanted == Filters() else find.BOUND)
    return {status: each for status, each in counts.items() if wanted.status in (None, status)}


def _job_line(job: dict[str, Any]) -> tuple:
    progress = f"{job['items_done']}/{job['items_total']}"
    return (f"job {job['id']}", job["sync_id"], progress, f"priority {job['priority']}", job["requested_by"], job["worker"])


def _last_heartbeat(job: dict[str, Any]) -> str | None:
    return None if job["heartbeat_age"] is None else f"last heartbeat {age(job['heartbeat_age'])}"


def _put_back(job: dict[str, Any]) -> str | None:
    """Why a queued job is not done although a worker has had it."""
    return f"Put back: {job['last_error']}" if job["last_error"] else None


def _running(job: dict[str, Any]) -> dict[str, Any]:
    beat = job["heartbeat_at"]
    return _public(job) | {"heartbeat_age": (job["now"] - beat).total_seconds() if beat else None}


def _public(job: dict[str, Any]) -> dict[str, Any]:
    """A job without its claim token, which is the worker's secret."""
    return {key: value for key, value in job.items() if key not in ("claim_token", "active_batch_id", "now")}


def show(shell: Shell) -> int:
    """JSON: {batch, decisions: {decision: n}, jobs: [job], items: [item], events: [event]}; 50 jobs and events."""
    sync_id = shell.sync_id
    seen = shell.db.read(_show, sync_id, shell.args.items)
    shell.tell(seen, _shown(seen))
    return 0


def _show(tx: Reading, sync_id: str, items: int) -> dict[str, Any]:
    batch = ledger.batch(tx, sync_id)
    return {
        "batch": batch, "decisions": ledger.decision_counts(tx, batch["id"]),
        "jobs": [_public(job) for job in queue.history(tx, batch["id"])],
        "items": ledger.items(tx, batch["id"], limit=items), "events": ledger.events(tx, batch["id"]),
    }


def _shown(seen: dict[str, Any]) -> list[str]:
    lines = [f"Batch {seen['batch']['sync_id']}", *table(_facts(seen["batch"]))]
    lines += _section("Jobs, newest first", (_history_line(job) for job in seen["jobs"]))
    items = seen["items"]
    lines += [f"Items: {counts(seen['decisions'])}", *table(_item_line(item) for item in items)]
    if left := sum(seen["decisions"].values()) - len(items):
        lines += [f"  and {left} more; --items N shows more of them"] if left > 0 else []
    return lines + _section("Events, newest first", (_event_line(event) for event in seen["events"]))


def _section(heading: str, rows) -> list[str]:
    lines = table(rows)
    return [heading, *lines] if lines else []


def _facts(batch: dict[str, Any]) -> list[tuple[str, Any]]:
    columns = ("sync_type", "action", "status", "item_count")
    facts = [(column, batch[column]) for column in columns]
    facts += [("total_bytes", size(batch["total_bytes"])), ("source_host", batch["source_host"])]
    facts += [("manifest_sha256", short(batch["manifest_sha256"])), ("containers", batch["container_count"])]
    facts += [(name, batch[name]) for name in ("discovered_at", "started_at", "completed_at")]
    facts += [("plan", counts(batch["plan"] or {})), ("last_error", batch["last_error"])]
    return facts


def _history_line(job: dict[str, Any]) -> tuple:
    progress = f"{job['items_done']}/{job['items_total']}"
    columns = ("requested_by", "queued_at", "worker", "finished_at", "last_error")
    return (job["id"], job["state"], progress, *(job[column] for column in columns))


def _item_line(item: dict[str, Any]) -> tuple:
    return (item["asset_type"], short(item["asset_hash"]), item["decision"], item["last_error"] or item["reason"])


def _event_line(event: dict[str, Any]) -> tuple:
    payload = event["payload"]
    cut = payload if len(payload) <= 200 else payload[:200] + "..."
    return (event["created_at"], event["event_type"], event["actor"], cut)


def doctor(shell: Shell) -> int:
    """JSON: [{check, level: ok | note | wrong, found, expected, advice}]."""
    from ... import doctor

    findings = _of_another(shell) if shell.args.mapping else doctor.examine(shell.settings)
    shell.tell([finding._asdict() for finding in findings], [line for each in findings for line in _diagnosed(each)])
    return 1 if any(finding.level == doctor.WRONG for finding in findings) else 0


def _of_another(shell: Shell) -> list:
    """Those of a database whose tables have other names."""
    from ..compare import fitness

    return fitness.examine(shell.settings.path, shell.args.mapping)


def _diagnosed(finding) -> list[str]:
    lines = [f"{finding.level:5}  {plain(finding.check)}: {plain(finding.found)}"]
    if finding.level != "ok":
        lines += [f"       expected: {plain(finding.expected)}", f"       to do: {plain(finding.advice)}"]
    return lines
