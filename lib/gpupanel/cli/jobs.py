"""gpupanel cancel, hold, release, priority, pause and resume: change a job, or the whole queue."""

from collections.abc import Callable

from .. import job_queue
from ..errors import NotFoundError
from .context import CommandContext


def run(context: CommandContext) -> int:
    """Run the command that was named; each returns its result for JSON, and a line for people."""
    data, line = COMMANDS[context.args.command](context)
    context.emit(data, [line])
    return 0


def _cancel(context: CommandContext) -> tuple[dict[str, object], str]:
    job_id = context.args.job
    try:
        sync_id = context.db.run_transaction(job_queue.cancel, job_id, context.actor)
    except NotFoundError as error:
        raise NotFoundError(str(error), "bin/gpupanel status lists the running and queued jobs.") from None
    return {"job_id": job_id, "sync_id": sync_id}, f"Job {job_id} of batch {sync_id} is canceled."


def _hold(context: CommandContext) -> tuple[dict[str, object], str]:
    job_id = context.args.job
    context.db.run_transaction(job_queue.hold, job_id, context.actor, context.args.reason)
    return {"job_id": job_id, "state": "held"}, f"Job {job_id} is held. gpupanel release {job_id} ends that."


def _release(context: CommandContext) -> tuple[dict[str, object], str]:
    job_id = context.args.job
    again = context.db.run_transaction(job_queue.release, job_id, context.actor)
    if again:
        data = {"job_id": job_id, "state": "held", "hold_reason": again.reason}
        return data, f"Job {job_id} is still held: it {again.reason}."
    return {"job_id": job_id, "state": "queued", "hold_reason": None}, f"Job {job_id} is queued again."


def _priority(context: CommandContext) -> tuple[dict[str, object], str]:
    job_id, number = context.args.job, context.args.priority
    place = context.db.run_transaction(job_queue.set_priority, job_id, number, context.actor)
    data = {"job_id": job_id, "priority": number, "place": place}
    return data, f"Job {job_id} now has priority {number} and place {place} in the queue."


def _pause(context: CommandContext) -> tuple[dict[str, object], str]:
    reason = context.args.reason
    context.db.run_transaction(job_queue.pause, context.actor, reason)
    line = "The queue is paused. Running jobs continue; gpupanel resume lets workers claim jobs again."
    return {"paused": True, "reason": reason}, line


def _resume(context: CommandContext) -> tuple[dict[str, object], str]:
    was_paused = context.db.run_transaction(job_queue.resume, context.actor)
    line = "The queue is resumed." if was_paused else "The queue was not paused."
    return {"paused": False, "was_paused": was_paused}, line


COMMANDS: dict[str, Callable[[CommandContext], tuple[dict[str, object], str]]] = {
    "cancel": _cancel, "hold": _hold, "release": _release, "priority": _priority, "pause": _pause, "resume": _resume,
}
