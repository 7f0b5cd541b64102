"""Form actions on one batch or job, and the scan."""

from collections.abc import Callable
from typing import Any, NamedTuple

from .. import attention, job_queue, preflight_requests, services, undo_service
from ..config import MountSettings
from ..db import Database
from ..errors import InvalidInputError, PreflightFailedError, PreflightRequested, UnseenChangeError
from ..models import PRIORITY
from ..mount import Mount
from ..scan_run import ScanReport
from ..services import PreflightOptions, QueueOptions
from ..text import pluralize
from . import request, template_filters

MOUNT_SECONDS = 20  # a request waits for the mount at most this long (docs/CONTRACT.md, "10. Pages")


class ActionResult(NamedTuple):
    """Result of a form action, for people (`summary`, `lines`) and programs."""

    action: str
    ok: bool
    summary: str
    lines: list[str]
    result: dict[str, Any]

    @property
    def shown_sync_id(self) -> str | None:
        """The batch that the browser shows next, None for the page of the form."""
        sync_id: str | None = self.result.get("undo_sync_id")
        return sync_id


class FormContext(NamedTuple):
    """Database, mount, form fields and user of an action."""

    db: Database
    mount: Mount
    form: dict[str, list[str]]
    actor: str

    def single(self, name: str) -> str:
        """Return the only value of a field. Raises InvalidInputError."""
        values = self.form.get(name, [])
        if len(values) != 1:
            raise InvalidInputError(f"{name}: found {len(values)} values, expected one")
        return values[0]

    def is_checked(self, name: str) -> bool:
        """Return whether a box is checked. Raises InvalidInputError."""
        values = self.form.get(name, [])
        if values not in ([], ["1"]):
            raise InvalidInputError(f"{name}: found {values[0][:80]!r}, expected 1 or nothing")
        return bool(values)

    def optional(self, name: str) -> str:
        """Return the value of a field that may be missing. Raises InvalidInputError."""
        return self.single(name) if name in self.form else ""

    @property
    def sync_id(self) -> str:
        """The field `sync_id`. Raises InvalidInputError."""
        return request.sync_id(self.single("sync_id"))

    @property
    def priority(self) -> int:
        """The field `priority`, or the default. Raises InvalidInputError."""
        self.optional("priority")
        return priority_of(self.form)

    @property
    def job_id(self) -> int:
        """The field `job_id`. Raises InvalidInputError."""
        return request.number("job_id", self.single("job_id"))


def perform(db: Database, settings: MountSettings, form: dict[str, list[str]], actor: str) -> ActionResult:
    """Run the action in the field `do`. Raises InvalidInputError and its errors."""
    request = FormContext(db, Mount(settings), form, actor)
    operation = FORM_ACTIONS.get(request.single("do"))
    if operation is None:
        raise InvalidInputError(f"do: found {request.single('do')[:80]!r}, expected one of {', '.join(FORM_ACTIONS)}")
    return operation(request)


def scan(request: FormContext) -> ActionResult:
    """Scan the mount for new bundles."""
    report = services.scan_mount(request.db, request.mount, request.actor, seconds=MOUNT_SECONDS)
    summary = f"Scan: {pluralize(len(report.discovered), 'new bundle')}, {report.known} already known"
    summary += f", {len(report.passed_over)} skipped." if report.passed_over else "."
    return ActionResult("scan", not report.left, summary, _scan_lines(report), vars(report))


def preflight(request: FormContext) -> ActionResult:
    """Preflight a batch; the box `although_older` plans to write it although a newer bundle was imported."""
    sync_id, although_older = request.sync_id, request.is_checked("although_older")
    try:
        outcome = services.preflight_batch(
            request.db, request.mount, sync_id, request.actor, PreflightOptions(although_older, MOUNT_SECONDS)
        )
    except PreflightRequested as requested:
        return _requested("preflight", requested, {"sync_id": sync_id})
    counts = ", ".join(f"{count:,} {decision}" for decision, count in outcome.counts.items() if count)
    status = "passed" if outcome.ok else "failed"
    summary = f"Preflight {status}: {counts or 'no items planned'}."
    return ActionResult("preflight", outcome.ok, summary, outcome.problems, {"sync_id": sync_id} | outcome.facts)


def queue(request: FormContext) -> ActionResult:
    """Queue a batch."""
    return _queue(request, "queue", services.queue_batch, "Not queued")


def retry(request: FormContext) -> ActionResult:
    """Queue the failed items of a batch; finished items stay as they are."""
    done = _queue(request, "retry", services.retry_batch, "Nothing was retried")
    job_id = done.result["job_id"]
    items = request.db.run_read(job_queue.job, job_id)["items_total"] if job_id else 0
    scope = pluralize(items, "item") if items else "the containers"
    summary = f"Retry of {scope} queued as job {job_id}." if job_id else done.summary
    return done._replace(summary=summary, result=done.result | {"items": items})


def _queue(request: FormContext, action: str, queue_one: Callable[..., int], refused: str) -> ActionResult:
    """Queue a batch by `queue_one`."""
    result: dict[str, Any] = {"sync_id": request.sync_id, "job_id": None, "problems": []}
    options = QueueOptions(request.priority, MOUNT_SECONDS)
    try:
        job_id = queue_one(request.db, request.mount, request.sync_id, request.actor, options)
    except PreflightRequested as requested:
        return _requested(action, requested, result)
    except (PreflightFailedError, UnseenChangeError) as error:
        summary, problems = f"{refused}: {error.cause}.", error.reasons
        return ActionResult(action, False, summary, problems, result | {"problems": problems})
    return ActionResult(action, True, f"Queued as job {job_id}.", [], result | {"job_id": job_id})


def undo(request: FormContext) -> ActionResult:
    """Plan the undo of a batch; its plan is a batch of its own, which the browser shows next."""
    sync_id = request.sync_id
    planned = undo_service.plan_undo(request.db, sync_id, request.actor, in_request=True)
    result: dict[str, Any] = {"sync_id": sync_id, "undo_sync_id": planned.sync_id}
    if planned.plan is None:
        summary = "A worker plans this undo: it is too large for a request."
        return ActionResult("undo", True, summary, [], result | {"preflight_requested": True})
    counts = ", ".join(f"{count:,} {decision}" for decision, count in planned.plan.counts.items() if count)
    summary = f"This is the plan of the undo: {counts or 'no items'}. Nothing is undone until you queue it."
    if not planned.plan.ok:
        summary = "There is nothing to undo."
    return ActionResult("undo", planned.plan.ok, summary, planned.plan.problems, result | planned.plan.facts)


def seen(request: FormContext) -> ActionResult:
    """Record that the user has seen why a batch needs attention."""
    sync_id = request.sync_id
    reasons = request.db.run_transaction(attention.mark_seen, sync_id, request.actor)
    return ActionResult("seen", True, f"Marked as seen: {', '.join(reasons)}.", [], {"sync_id": sync_id})


def _requested(action: str, requested: PreflightRequested, result: dict[str, Any]) -> ActionResult:
    """Return that a worker makes the preflight."""
    return ActionResult(action, True, str(requested), [requested.hint], result | {"preflight_requested": True})


def cancel_preflight(request: FormContext) -> ActionResult:
    """Cancel the preflight that a worker is to make."""
    sync_id = request.sync_id
    request.db.run_transaction(preflight_requests.cancel, sync_id, request.actor)
    return ActionResult("cancel_preflight", True, "Canceled the preflight request.", [], {"sync_id": sync_id})


def cancel(request: FormContext) -> ActionResult:
    """Cancel a queued job."""
    job_id = request.job_id
    sync_id = request.db.run_transaction(job_queue.cancel, job_id, request.actor)
    summary = f"Canceled job {job_id}. Batch {sync_id} can be queued again."
    return ActionResult("cancel", True, summary, [], {"job_id": job_id, "sync_id": sync_id})


def priority(request: FormContext) -> ActionResult:
    """Change the priority of a queued job."""
    job_id, number = request.job_id, _priority(request.single("priority"))
    position = request.db.run_transaction(job_queue.set_priority, job_id, number, request.actor)
    summary = f"Job {job_id} now has priority {number} and place {template_filters.count(position)} in the queue."
    return ActionResult("priority", True, summary, [], {"job_id": job_id, "priority": number, "place": position})


def hold(request: FormContext) -> ActionResult:
    """Hold a queued job."""
    job_id = request.job_id
    request.db.run_transaction(job_queue.hold, job_id, request.actor, request.optional("reason"))
    return ActionResult("hold", True, f"Job {job_id} is held until somebody releases it.", [], {"job_id": job_id})


def release(request: FormContext) -> ActionResult:
    """Put a held job back into the queue."""
    job_id = request.job_id
    again = request.db.run_transaction(job_queue.release, job_id, request.actor)
    summary = f"Job {job_id} is still held: it {again.reason}." if again else f"Job {job_id} is queued again."
    facts = {"job_id": job_id, "state": "held" if again else "queued"}
    return ActionResult("release", again is None, summary, [], facts)


def pause(request: FormContext) -> ActionResult:
    """Pause the queue."""
    request.db.run_transaction(job_queue.pause, request.actor, request.optional("reason"))
    return ActionResult("pause", True, "The queue is paused. Running jobs continue.", [], {"paused": True})


def resume(request: FormContext) -> ActionResult:
    """Resume the queue."""
    was_paused = request.db.run_transaction(job_queue.resume, request.actor)
    summary = "The queue is resumed." if was_paused else "The queue was not paused."
    return ActionResult("resume", True, summary, [], {"paused": False})


def priority_of(form: dict[str, list[str]]) -> int:
    """Return the field `priority` of a form, or the default. Raises InvalidInputError."""
    text = form.get("priority", [""])[-1].strip()
    number = _priority(text) if text else PRIORITY
    if number not in job_queue.PRIORITIES:
        low, high = job_queue.PRIORITIES[0], job_queue.PRIORITIES[-1]
        raise InvalidInputError(f"priority: found {number}, expected {low} to {high}")
    return number


def _priority(text: str) -> int:
    """Parse a whole number, which may be negative. Raises InvalidInputError."""
    sign, digits = (-1, text[1:]) if text.startswith("-") else (1, text)
    return sign * request.number("priority", digits)


FORM_ACTIONS: dict[str, Callable[[FormContext], ActionResult]] = {
    "scan": scan, "preflight": preflight, "queue": queue, "retry": retry, "cancel": cancel, "priority": priority,
    "seen": seen, "cancel_preflight": cancel_preflight, "undo": undo, "hold": hold, "release": release,
    "pause": pause,
    "resume": resume,
}


def _scan_lines(report: ScanReport) -> list[str]:
    left = f"Time ran out before {pluralize(len(report.left), 'bundle')} could be read. Scan again to continue."
    return [
        *([left] if report.left else []),
        *(f"{sync_id}: skipped: {reason}" for sync_id, reason in report.passed_over.items()),
        *(f"{sync_id}: upstream replaced this bundle; preflight it again" for sync_id in report.changed_upstream),
        *(f"{name}: skipped: the name is not a sync_id" for name in report.strays),
    ]
