"""gpupanel resume: let workers claim jobs again."""

from .. import services
from .context import CommandContext


def run(context: CommandContext) -> int:
    """JSON: {paused: false, was_paused}."""
    was_paused = services.resume_queue(context.db, context.actor)
    line = "The queue is resumed." if was_paused else "The queue was not paused."
    context.emit({"paused": False, "was_paused": was_paused}, [line])
    return 0
