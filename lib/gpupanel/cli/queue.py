"""gpupanel queue: queue bundles for import."""

from .. import services
from .context import CommandContext
from .output import format_cell


def run(context: CommandContext) -> int:
    """Queue bundles.

    JSON: [{sync_id, job_id, problem, hint}]; `job_id` is null where there is a problem.
    """
    return emit_results(context, services.queue_batches(
        context.db, context.mount, context.sync_ids(), context.actor,
        services.QueueOptions(context.args.priority, progress=context.progress("queue")),
    ))


def emit_results(context: CommandContext, results: list[services.BatchResult]) -> int:
    """Print the result of queueing each batch; return 1 if one was refused."""
    context.emit([_public(result) for result in results], [line for result in results for line in _format(result)])
    return 1 if any(result.problem for result in results) else 0


def _public(result: services.BatchResult) -> dict[str, object]:
    return {"sync_id": result.sync_id, "job_id": result.job_id, "problem": result.problem, "hint": result.hint}


def _format(result: services.BatchResult) -> list[str]:
    if result.problem is None:
        return [f"{result.sync_id}  queued as job {result.job_id}"]
    return [f"{result.sync_id}  not queued", *format_problems(result.problem, result.hint)]


def format_problems(*texts: str) -> list[str]:
    """Return the texts that are not empty, escaped and indented."""
    return [f"  {format_cell(text)}" for text in texts if text]
