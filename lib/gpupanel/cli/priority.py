"""gpupanel priority: change the priority of a queued or held job."""

from .. import services
from .context import CommandContext


def run(context: CommandContext) -> int:
    """JSON: {job_id, priority, place}."""
    job_id, number = context.args.job, context.args.priority
    place = services.set_priority(context.db, job_id, number, context.actor)
    context.emit(
        {"job_id": job_id, "priority": number, "place": place},
        [f"Job {job_id} now has priority {number} and place {place} in the queue."],
    )
    return 0
