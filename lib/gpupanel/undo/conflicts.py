"""The conflicts of an undo: what is not as the batch left it, so that the undo leaves it.

Pure functions (docs/decisions/0150-undo-is-a-batch.md, "As S left it"). `newest_run` finds the batches that came in
between; these functions find what other programs changed.
"""

from collections.abc import Mapping
from typing import Any

from .. import digests
from ..library_reader import FIELDS, SayColumns
from ..text import quote_value
from .assets import AssetState, analysis_of, file_of
from .containers import ContainerState, Parts, member_after
from .effective import Result, columns_after, columns_of, parse_stone

MAX_VALUE_LENGTH = 60  # characters of a value in a reason


def find_asset_conflicts(state: AssetState, result: Result) -> list[str]:
    """Name what is not as the result left it."""
    changes = result.changes
    if "tombstone" in changes:
        return _tombstone_conflicts(state, changes)
    found: list[str] = []
    if state.digest != result.target_digest:
        found += _row_conflicts(state, changes) or ["its fields, its mark or its derivatives differ"]
    if state.columns != columns_after(state.columns, changes):
        found.append("another bundle decided about it last")
    for cover, (_, after) in changes.get("covers", {}).items():
        if (after is not None) != (cover in state.covers):
            found.append(f"the link to cover {cover[:16]} is {'missing' if after else 'there'}")
    found += _document_conflicts(state, changes)
    says = changes.get("derivative_says", {})
    if any(state.file_says.get(file_of(name)) != parse_stone(after) for name, (_, after) in says.items()):
        found.append("another bundle named one of its derivatives last")
    return found


def _tombstone_conflicts(state: AssetState, changes: dict[str, Any]) -> list[str]:
    """Of a removal that found no asset: a row without a say may have come since, from an undo."""
    after = parse_stone(changes["tombstone"][1])
    if state.is_live:
        return ["it is in the library"]
    if state.tombstone != after or (state.id is not None and state.columns != columns_of(after)):
        return ["another bundle decided about it last"]
    return []


def _row_conflicts(state: AssetState, changes: dict[str, Any]) -> list[str]:
    if state.id is None:
        return ["it is not in the library"]
    values = {name: state.fields[name] for name in FIELDS}
    return _field_conflicts(values, changes, is_removed=state.is_removed)


def _document_conflicts(state: AssetState, changes: dict[str, Any]) -> list[str]:
    documents = changes.get("documents", {})
    found = []
    if "source" in documents and state.source != documents["source"][1]:
        found.append("its source document is another one")
    came = {(kind, after): True for kind, (_, after) in documents.items() if kind != "source"}
    came |= {analysis_of(name): after for name, (_, after) in changes.get("analyses", {}).items()}
    if any((each in state.analyses) != is_live for each, is_live in came.items()):
        found.append("one of its analyses was taken out or brought back")
    return found


def find_container_conflicts(state: ContainerState, result: Result, parts: Parts) -> list[str]:
    """Name what is not as the result left it."""
    changes = result.changes
    found: list[str] = []
    if not _has_digest(state, result.target_digest):
        values = {"title": state.title, "cover_hash": state.cover_hash}
        found += _field_conflicts(values, changes, is_removed=state.is_removed) or ["its title, cover or mark differs"]
    if state.columns != columns_after(state.columns, changes):
        found.append("another bundle decided about it last")
    if "tombstone" in changes and state.tombstone != parse_stone(changes["tombstone"][1]):
        found.append("another bundle took members out of it last")
    if any(state.members.get(row.asset_id) != member_after(row) for row in parts.members):
        found.append("a member that the batch named came, went, moved or was named again")
    if any(state.stones.get(row.asset_hash) != row.after for row in parts.stones):
        found.append("a later bundle took out a member that it lacks")
    return found


def _has_digest(state: ContainerState, digest: str | None) -> bool:
    """Whether a container is what a result left; one that undos took back is as good as absent."""
    is_as_absent = state.id is None or (state.is_removed and state.columns == SayColumns())
    return digest in (None, state.digest) or (digest == digests.ABSENT and is_as_absent)


def _field_conflicts(values: Mapping[str, Any], changes: dict[str, Any], *, is_removed: bool) -> list[str]:
    """Name the fields of a row, and its mark, that are not as the result left them."""
    found = [
        f"{name} is {quote_value(value, MAX_VALUE_LENGTH)}, the batch left"
        f" {quote_value(changes[name][1], MAX_VALUE_LENGTH)}"
        for name, value in values.items() if name in changes and value != changes[name][1]
    ]
    if "deleted" in changes and is_removed != changes["deleted"][1]:
        found.append("it was removed" if is_removed else "it was restored")
    return found
