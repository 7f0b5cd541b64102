"""Undo: take back what the import of a batch wrote (docs/decisions/0150-undo-is-a-batch.md)."""

from .assets import AssetState, AssetUndo
from .containers import ContainerState, ContainerUndo
from .effective import UndoTarget
from .planner import UndoPlanner
from .plans import UndoPreview, preview, replan_open, save_plan
from .references import COVER
from .requests import chain, create, lock_targets, newest_first, raise_if_archived, raise_if_refused

__all__ = [
    "COVER", "AssetState", "AssetUndo", "ContainerState", "ContainerUndo", "UndoPlanner", "UndoPreview",
    "UndoTarget", "chain", "create", "lock_targets", "newest_first", "preview", "raise_if_archived",
    "raise_if_refused", "replan_open", "save_plan",
]
