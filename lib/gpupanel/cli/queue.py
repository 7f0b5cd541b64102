"""gpupanel queue and retry: queue bundles for import, or their failed items again."""

from .. import services
from ..errors import PanelError
from .context import CommandContext
from .output import format_cell


def run(context: CommandContext) -> int:
    """Queue bundles; return 1 if one was refused.

    JSON: [{sync_id, job_id, problem, hint}]; `job_id` is null where there is a problem.
    """
    actor = context.actor
    if context.args.command == "retry":
        results = [_retry(context, sync_id, actor) for sync_id in context.each_sync_id("retry")]
    else:
        options = services.QueueOptions(context.args.priority, progress=context.progress("queue"))
        results = services.queue_batches(context.db, context.mount, context.sync_ids(), actor, options)
    context.emit([_public(result) for result in results], [line for result in results for line in _format(result)])
    return 1 if any(result.problem for result in results) else 0


def _retry(context: CommandContext, sync_id: str, actor: str) -> services.BatchResult:
    options = services.QueueOptions(context.args.priority)
    try:
        return services.BatchResult(
            sync_id, services.retry_batch(context.db, context.mount, sync_id, actor, options)
        )
    except PanelError as error:
        return services.BatchResult(sync_id, problem=str(error), hint=error.hint)


def _public(result: services.BatchResult) -> dict[str, object]:
    return {"sync_id": result.sync_id, "job_id": result.job_id, "problem": result.problem, "hint": result.hint}


def _format(result: services.BatchResult) -> list[str]:
    if result.problem is None:
        return [f"{result.sync_id}  queued as job {result.job_id}"]
    return [f"{result.sync_id}  not queued", *format_problems(result.problem, result.hint)]


def format_problems(*texts: str) -> list[str]:
    """Return the texts that are not empty, escaped and indented."""
    return [f"  {format_cell(text)}" for text in texts if text]
