"""gpupanel release: put a held job back into the queue."""

from .. import services
from .context import CommandContext


def run(context: CommandContext) -> int:
    """JSON: {job_id, state, hold_reason}."""
    job_id = context.args.job
    again = services.release_job(context.db, job_id, context.actor)
    if again:
        context.emit(
            {"job_id": job_id, "state": "held", "hold_reason": again.reason}, [f"Job {job_id} is still held: it {again.reason}."]
        )
    else:
        context.emit({"job_id": job_id, "state": "queued", "hold_reason": None}, [f"Job {job_id} is queued again."])
    return 0
