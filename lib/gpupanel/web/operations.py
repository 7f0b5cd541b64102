"""Form actions on one batch or job, and the scan."""

from collections.abc import Callable
from typing import Any, NamedTuple

from .. import actions
from .. import queue as jobs
from ..actions import ScanReport
from ..config import MountSettings
from ..database import Database
from ..errors import InvalidInput, PreflightFailed
from ..mount import Mount
from . import formats, visit

MOUNT_SECONDS = 20  # a request waits for the mount at most this long (docs/CONTRACT.md, "10. Pages")


class Outcome(NamedTuple):
    """Result of a form action, for people (`summary`, `lines`) and programs."""

    action: str
    ok: bool
    summary: str
    lines: list[str]
    result: dict[str, Any]


class Request(NamedTuple):
    """Form fields of an action, its user, and what the action works on."""

    db: Database
    mount: Mount
    form: dict[str, list[str]]
    by: str

    def one(self, name: str) -> str:
        """Return the only value of a field. Raises InvalidInput."""
        values = self.form.get(name, [])
        if len(values) != 1:
            raise InvalidInput(f"{name}: found {len(values)} values, expected one")
        return values[0]

    @property
    def sync_id(self) -> str:
        """The field `sync_id`. Raises InvalidInput."""
        return visit.sync_id(self.one("sync_id"))

    @property
    def job_id(self) -> int:
        """The field `job_id`. Raises InvalidInput."""
        return visit.number("job_id", self.one("job_id"))


def perform(db: Database, settings: MountSettings, form: dict[str, list[str]], by: str) -> Outcome:
    """Run the action in the field `do`. Raises InvalidInput and its errors."""
    request = Request(db, Mount(settings), form, by)
    operation = OPERATIONS.get(request.one("do"))
    if operation is None:
        raise InvalidInput(f"do: found {request.one('do')[:80]!r}, expected one of {', '.join(OPERATIONS)}")
    return operation(request)


def scan(request: Request) -> Outcome:
    """Scan the mount for new bundles."""
    report = actions.scan_mount(request.db, request.mount, request.by, seconds=MOUNT_SECONDS)
    summary = f"Scan: {many(len(report.discovered), 'new bundle')}, {report.known} already known"
    summary += f", {len(report.passed_over)} skipped." if report.passed_over else "."
    return Outcome("scan", not report.left, summary, _scan_lines(report), vars(report))


def preflight(request: Request) -> Outcome:
    """Preflight a batch."""
    sync_id = request.sync_id
    outcome = actions.preflight_batch(request.db, request.mount, sync_id, request.by, seconds=MOUNT_SECONDS)
    counts = ", ".join(f"{count} {decision}" for decision, count in outcome.counts.items() if count)
    verdict = "passed" if outcome.ok else "failed"
    summary = f"Preflight {verdict}: {counts or 'no items planned'}."
    return Outcome("preflight", outcome.ok, summary, outcome.problems, {"sync_id": sync_id} | outcome._asdict())


def queue(request: Request) -> Outcome:
    """Queue a batch."""
    result: dict[str, Any] = {"sync_id": request.sync_id, "job_id": None, "problems": []}
    try:
        job_id = actions.queue_batch(request.db, request.mount, request.sync_id, request.by, seconds=MOUNT_SECONDS)
    except PreflightFailed as error:
        summary = "Not queued: the preflight failed."
        return Outcome("queue", False, summary, error.reasons, result | {"problems": error.reasons})
    return Outcome("queue", True, f"Queued as job {job_id}.", [], result | {"job_id": job_id})


def retry(request: Request) -> Outcome:
    """Queue the failed items of a batch; finished items stay as they are."""
    result: dict[str, Any] = {"sync_id": request.sync_id, "job_id": None, "items": 0, "problems": []}
    try:
        job_id = actions.retry_batch(request.db, request.mount, request.sync_id, request.by, seconds=MOUNT_SECONDS)
    except PreflightFailed as error:
        summary = "Nothing was retried: the preflight failed."
        return Outcome("retry", False, summary, error.reasons, result | {"problems": error.reasons})
    items = request.db.read(jobs.job, job_id)["items_total"]
    what = many(items, "item") if items else "the containers"
    result |= {"job_id": job_id, "items": items}
    return Outcome("retry", True, f"Retry of {what} queued as job {job_id}.", [], result)


def cancel(request: Request) -> Outcome:
    """Cancel a queued job."""
    job_id = request.job_id
    sync_id = actions.cancel_job(request.db, job_id, request.by)
    summary = f"Canceled job {job_id}. Batch {sync_id} can be queued again."
    return Outcome("cancel", True, summary, [], {"job_id": job_id, "sync_id": sync_id})


def priority(request: Request) -> Outcome:
    """Change the priority of a queued job."""
    job_id, number = request.job_id, _priority(request.one("priority"))
    place = actions.set_priority(request.db, job_id, number, request.by)
    summary = f"Job {job_id} now has priority {number} and place {formats.count(place)} in the queue."
    return Outcome("priority", True, summary, [], {"job_id": job_id, "priority": number, "place": place})


def _priority(text: str) -> int:
    """Parse a whole number, which may be negative. Raises InvalidInput."""
    sign, digits = (-1, text[1:]) if text.startswith("-") else (1, text)
    return sign * visit.number("priority", digits)


OPERATIONS: dict[str, Callable[[Request], Outcome]] = {
    "scan": scan, "preflight": preflight, "queue": queue, "retry": retry, "cancel": cancel, "priority": priority,
}


def _scan_lines(report: ScanReport) -> list[str]:
    left = f"Time ran out before {many(len(report.left), 'bundle')} could be read. Scan again to continue."
    return [
        *([left] if report.left else []),
        *(f"{sync_id}: skipped: {reason}" for sync_id, reason in report.passed_over.items()),
        *(f"{name}: skipped: the name is not a sync_id" for name in report.strays),
    ]


def many(count: int, one: str, several: str = "") -> str:
    """Format a count with its noun: `1 batch`, `1,234 batches`."""
    return f"{count:,} {one if count == 1 else several or one + 's'}"
