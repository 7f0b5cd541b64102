"""gpupanel pause: pause the queue."""

from .. import services
from .context import CommandContext


def run(context: CommandContext) -> int:
    """JSON: {paused: true, reason}."""
    reason = context.args.reason
    services.pause_queue(context.db, context.actor, reason)
    context.emit(
        {"paused": True, "reason": reason},
        ["The queue is paused. Running jobs continue; gpupanel resume lets workers claim jobs again."],
    )
    return 0
