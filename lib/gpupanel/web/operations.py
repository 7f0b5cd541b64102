"""What the forms do. Each operation takes what it needs from the form and says what became of it."""

from typing import Any, NamedTuple

from .. import actions
from .. import queue as jobs
from ..actions import ScanReport
from ..config import MountSettings
from ..database import Database
from ..errors import InvalidInput, PreflightFailed
from ..mount import Mount
from . import formats, visit

MOUNT_SECONDS = 20  # the longest that a request waits for the mount (docs/CONTRACT.md, 10)


class Outcome(NamedTuple):
    """`summary` and `lines` are for people; `result` is the same for programs."""

    action: str
    ok: bool
    summary: str
    lines: list[str]
    result: dict[str, Any]


class Request(NamedTuple):
    """Who asks for an operation, with which form, on what."""

    db: Database
    mount: Mount
    form: dict[str, list[str]]
    by: str

    def one(self, name: str) -> str:
        """The only value of a field. Raises InvalidInput."""
        values = self.form.get(name, [])
        if len(values) != 1:
            raise InvalidInput(f"{name}: found {len(values)} values, expected one")
        return values[0]


def perform(db: Database, settings: MountSettings, form: dict[str, list[str]], by: str) -> Outcome:
    """Do what the form's field `do` names. Raises InvalidInput, and what the operation raises."""
    request = Request(db, Mount(settings), form, by)
    operation = OPERATIONS.get(request.one("do"))
    if operation is None:
        raise InvalidInput(f"do: found {request.one('do')[:80]!r}, expected one of {', '.join(OPERATIONS)}")
    return operation(request)


def scan(request: Request) -> Outcome:
    """Look for new bundles on the mount."""
    report = actions.scan_mount(request.db, request.mount, request.by, seconds=MOUNT_SECONDS)
    summary = f"Scan: {many(len(report.discovered), 'new bundle')}, {report.known} known already"
    summary += f", {len(report.passed_over)} passed over." if report.passed_over else "."
    return Outcome("scan", not report.left, summary, _scan_lines(report), vars(report))


def preflight(request: Request) -> Outcome:
    """Plan what would happen to each item of a batch."""
    sync_id = visit.sync_id(request.one("sync_id"))
    outcome = actions.preflight_batch(request.db, request.mount, sync_id, request.by, seconds=MOUNT_SECONDS)
    counts = ", ".join(f"{count} {decision}" for decision, count in outcome.counts.items() if count)
    verdict = "passed" if outcome.ok else "failed"
    summary = f"Preflight {verdict}: {counts or 'no item was planned'}."
    return Outcome("preflight", outcome.ok, summary, outcome.problems, {"sync_id": sync_id} | outcome._asdict())


def queue(request: Request) -> Outcome:
    """Queue one batch."""
    sync_id = visit.sync_id(request.one("sync_id"))
    try:
        job_id = actions.queue_batch(request.db, request.mount, sync_id, request.by, seconds=MOUNT_SECONDS)
    except PreflightFailed as failed:
        result = {"sync_id": sync_id, "job_id": None, "problems": failed.reasons}
        return Outcome("queue", False, "Not queued, since the preflight failed:", failed.reasons, result)
    return Outcome("queue", True, f"Queued as job {job_id}.", [], {"sync_id": sync_id, "job_id": job_id, "problems": []})


def retry(request: Request) -> Outcome:
    """Queue what failed of one batch; what is done stays."""
    sync_id = visit.sync_id(request.one("sync_id"))
    try:
        job_id = actions.retry_batch(request.db, request.mount, sync_id, request.by, seconds=MOUNT_SECONDS)
    except PreflightFailed as failed:
        result = {"sync_id": sync_id, "job_id": None, "items": 0, "problems": failed.reasons}
        return Outcome("retry", False, "Nothing was retried, since the preflight failed:", failed.reasons, result)
    items = request.db.read(jobs.job, job_id)["items_total"]
    what = many(items, "item") if items else "containers, since no item is left to do,"
    result = {"sync_id": sync_id, "job_id": job_id, "items": items, "problems": []}
    return Outcome("retry", True, f"Retry of {what} queued as job {job_id}.", [], result)


def cancel(request: Request) -> Outcome:
    """Cancel a job that is still queued."""
    job_id = visit.number("job_id", request.one("job_id"))
    sync_id = actions.cancel_job(request.db, job_id, request.by)
    summary = f"Canceled job {job_id}; batch {sync_id} can be queued again."
    return Outcome("cancel", True, summary, [], {"job_id": job_id, "sync_id": sync_id})


def priority(request: Request) -> Outcome:
    """Give a job that is still queued another place in line."""
    job_id, wanted = visit.number("job_id", request.one("job_id")), _priority(request.one("priority"))
    place = actions.set_priority(request.db, job_id, wanted, request.by)
    summary = f"Job {job_id} has priority {wanted} now: place {formats.count(place)} in line."
    return Outcome("priority", True, summary, [], {"job_id": job_id, "priority": wanted, "place": place})


def _priority(text: str) -> int:
    """Raises InvalidInput unless the text is a whole number; negative ones are allowed."""
    sign, digits = (-1, text[1:]) if text.startswith("-") else (1, text)
    return sign * visit.number("priority", digits)


OPERATIONS = {each.__name__: each for each in (scan, preflight, queue, retry, cancel, priority)}


def _scan_lines(report: ScanReport) -> list[str]:
    left = f"Time was up before {many(len(report.left), 'bundle')} could be read; scan again to go on."
    return [
        *([left] if report.left else []),
        *(f"{sync_id}: passed over: {reason}" for sync_id, reason in report.passed_over.items()),
        *(f"{name}: passed over: not named after a sync_id" for name in report.strays),
    ]


def many(count: int, one: str, several: str = "") -> str:
    """`1 batch`, `1,234 batches`."""
    return f"{count:,} {one if count == 1 else several or one + 's'}"
