"""gpupanel preflight: plan bundles without writing to the library."""

from typing import TypedDict

from .. import actions
from ..errors import PanelError
from .context import CommandContext
from .output import format_counts
from .queue import format_problems


class BatchPlan(TypedDict):
    """Result of one preflight; `counts` is empty if the preflight was refused."""

    sync_id: str
    ok: bool
    item_count: int
    counts: dict[str, int]
    problems: list[str]
    hint: str


def run(context: CommandContext) -> int:
    """JSON: [{sync_id, ok, item_count, counts: {decision: n}, problems: [text], hint}]."""
    plans = [_preflight(context, sync_id) for sync_id in context.each_sync_id("preflight")]
    context.emit(plans, [line for plan in plans for line in _format(plan)])
    return 0 if all(plan["ok"] for plan in plans) else 1


def _preflight(context: CommandContext, sync_id: str) -> BatchPlan:
    try:
        result = actions.preflight_batch(context.db, context.mount, sync_id, context.actor)
    except PanelError as error:
        return BatchPlan(
            sync_id=sync_id, ok=False, item_count=0, counts={}, problems=[str(error)], hint=error.hint
        )
    return BatchPlan(
        sync_id=sync_id, ok=result.ok, item_count=result.item_count, counts=result.counts, problems=result.problems, hint=""
    )


def _format(plan: BatchPlan) -> list[str]:
    failed = "failed" if plan["counts"] else "not preflighted"
    verdict = f"passed: {format_counts(plan['counts'])}" if plan["ok"] else failed
    return [f"{plan['sync_id']}  {verdict}", *format_problems(*plan["problems"], plan["hint"])]
