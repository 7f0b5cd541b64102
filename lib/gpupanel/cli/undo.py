"""gpupanel undo: take back what the import of batches wrote."""

from typing import Any

from .. import undo_service
from ..models import Decision
from ..undo import UndoPreview
from ..undo_service import UndoResult
from .context import CommandContext
from .output import format_counts
from .queue import format_problems


def run(context: CommandContext) -> int:
    """Queue the undo of batches, newest first; with --preview only say what it would do.

    JSON: [{sync_id, undo_sync_id, job_id, counts: {decision: n}, problem, hint}]; of a preview
    [{sync_id, items, containers, kept, problem}].
    """
    if context.args.preview:
        previews = undo_service.preview_undo(context.db, context.sync_ids())
        context.emit([each._asdict() for each in previews], [line for each in previews for line in _preview(each)])
        return 1 if any(each.problem for each in previews) else 0
    results = undo_service.undo_batches(
        context.db, context.sync_ids(), context.actor,
        priority=context.args.priority, progress=context.progress("undo"),
    )
    data = [each._asdict() | {"counts": dict(each.counts)} for each in results]
    context.emit(data, [line for each in results for line in _result(each)])
    return 1 if any(each.problem for each in results) else 0


def _preview(preview: UndoPreview) -> list[str]:
    if preview.problem:
        return [f"{preview.sync_id}  not undone", *format_problems(preview.problem)]
    counts: list[tuple[str, Any]] = [("items", preview.items), ("containers", preview.containers)]
    lines = [f"  {name}: {format_counts(numbers)}" for name, numbers in counts if numbers]
    lines += format_problems(*(f"kept: {each}" for each in preview.kept))
    return [f"{preview.sync_id}  would be undone", *lines]


def _result(result: UndoResult) -> list[str]:
    if result.problem:
        return [f"{result.sync_id}  not undone", *format_problems(result.problem, result.hint)]
    lines = [f"{result.sync_id}  its undo, batch {result.undo_sync_id}, is queued as job {result.job_id}"]
    if any(result.counts.values()):
        lines.append(f"  items: {format_counts(result.counts)}")
    if result.counts.get(Decision.WILL_SKIP):
        lines.append(f"  gpupanel show {result.undo_sync_id} says why the skipped ones stay")
    return lines
