"""gpupanel hold: hold a queued job until a person releases it."""

from .. import services
from .context import CommandContext


def run(context: CommandContext) -> int:
    """JSON: {job_id, state}."""
    job_id = context.args.job
    services.hold_job(context.db, job_id, context.actor, context.args.reason)
    context.emit({"job_id": job_id, "state": "held"}, [f"Job {job_id} is held. gpupanel release {job_id} ends that."])
    return 0
