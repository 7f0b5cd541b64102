"""gpupanel seen: record that a person has seen why batches need attention."""

from typing import Any

from .. import attention
from ..errors import PanelError
from .context import CommandContext
from .queue import format_problems


def run(context: CommandContext) -> int:
    """JSON: [{sync_id, reasons, problem, hint}]; `reasons` is empty where there is a problem."""
    actor = context.actor
    results = [_mark(context, sync_id, actor) for sync_id in context.each_sync_id("seen")]
    context.emit(results, [line for result in results for line in _format(result)])
    return 1 if any(result["problem"] for result in results) else 0


def _mark(context: CommandContext, sync_id: str, actor: str) -> dict[str, Any]:
    try:
        reasons = context.db.run_transaction(attention.mark_seen, sync_id, actor)
    except PanelError as error:
        return {"sync_id": sync_id, "reasons": [], "problem": str(error), "hint": error.hint}
    return {"sync_id": sync_id, "reasons": reasons, "problem": None, "hint": ""}


def _format(result: dict[str, Any]) -> list[str]:
    if result["problem"] is None:
        return [f"{result['sync_id']}  marked as seen: {', '.join(result['reasons'])}"]
    return [f"{result['sync_id']}  not marked", *format_problems(result["problem"], result["hint"])]
