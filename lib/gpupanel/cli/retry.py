"""gpupanel retry: queue the failed items of bundles again."""

from .. import services
from ..errors import PanelError
from .context import CommandContext
from .queue import emit_results


def run(context: CommandContext) -> int:
    """JSON: as `queue`."""
    actor = context.actor
    return emit_results(context, [_retry(context, sync_id, actor) for sync_id in context.each_sync_id("retry")])


def _retry(context: CommandContext, sync_id: str, actor: str) -> services.BatchResult:
    try:
        return services.BatchResult(sync_id, services.retry_batch(
            context.db, context.mount, sync_id, actor, services.QueueOptions(context.args.priority),
        ))
    except PanelError as error:
        return services.BatchResult(sync_id, problem=str(error), hint=error.hint)
