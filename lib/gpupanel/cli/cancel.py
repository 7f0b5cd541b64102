"""gpupanel cancel: cancel a queued job."""

from .. import services
from ..errors import NotFoundError
from .context import CommandContext


def run(context: CommandContext) -> int:
    """JSON: {job_id, sync_id}."""
    job_id = context.args.job
    try:
        sync_id = services.cancel_job(context.db, job_id, context.actor)
    except NotFoundError as error:
        raise NotFoundError(str(error), "bin/gpupanel status lists the running and queued jobs.") from None
    context.emit({"job_id": job_id, "sync_id": sync_id}, [f"Job {job_id} of batch {sync_id} is canceled."])
    return 0
