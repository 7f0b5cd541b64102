"""gpupanel preflight: plan bundles without writing to the library."""

from typing import Any

from .. import services
from ..errors import ManifestError, PanelError
from .context import CommandContext
from .output import format_counts
from .queue import format_problems


def run(context: CommandContext) -> int:
    """Plan bundles.

    JSON: [{sync_id, ok, item_count, counts: {decision: n}, problems: [text], hint}].
    """
    actor = context.actor
    plans = [_preflight(context, sync_id, actor) for sync_id in context.each_sync_id("preflight")]
    context.emit(plans, [line for plan in plans for line in _format(plan)])
    return 0 if all(plan["ok"] for plan in plans) else 1


def _preflight(context: CommandContext, sync_id: str, actor: str) -> dict[str, Any]:
    """Return the result for JSON; a refusal has no counts."""
    try:
        result = services.preflight_batch(
            context.db, context.mount, sync_id, actor,
            services.PreflightOptions(context.args.although_older, progress=context.progress("items")),
        )
    except PanelError as error:
        refused = {"ok": False, "item_count": 0, "counts": {}, "problems": [str(error)], "hint": error.hint}
        return {"sync_id": sync_id} | refused
    return {"sync_id": sync_id} | result.facts | {"hint": "" if result.ok else ManifestError.hint}


def _format(plan: dict[str, Any]) -> list[str]:
    failed = "failed" if plan["counts"] else "not preflighted"
    verdict = f"passed: {format_counts(plan['counts'])}" if plan["ok"] else failed
    return [f"{plan['sync_id']}  {verdict}", *format_problems(*plan["problems"], plan["hint"])]
