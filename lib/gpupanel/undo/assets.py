"""An asset as it is and as it was before a batch: pure functions.

docs/decisions/0150-undo-is-a-batch.md, "As S left it" and "What is put back"
"""

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from .. import digests
from ..library_reader import FIELDS, SayColumns
from ..models import Changes, Decision
from ..text import truncate
from .effective import (
    Result, Stone, columns_after, columns_before, columns_of, parse_stone, say_changes, stone_text,
)

MAX_VALUE_LENGTH = 60  # characters of a value in a reason
MAX_LABELS = 20  # files of a kind that a plan names
NOTHING: Mapping[Any, Any] = MappingProxyType({})

File = tuple[str, str]  # (kind, path) of a derivative
Analysis = tuple[str, str]  # (kind, sha256)


class AssetState(NamedTuple):
    """An asset with all that a result can name; `id` is None where the library has no row.

    `covers` are the live links, `cover_ids` the ids of all; the same for analyses. `files` and `file_says` are of the
    live derivatives. `source` is the digest of the source document.
    """

    id: int | None = None
    is_removed: bool = True
    fields: Mapping[str, Any] = NOTHING
    fingerprint: str = ""
    columns: SayColumns = SayColumns()
    covers: frozenset[str] = frozenset()
    cover_ids: Mapping[str, int] = NOTHING
    files: Mapping[File, dict[str, Any]] = NOTHING
    file_says: Mapping[File, Stone | None] = NOTHING
    source: str | None = None
    analyses: frozenset[Analysis] = frozenset()
    analysis_ids: Mapping[Analysis, int] = NOTHING
    tombstone: Stone | None = None

    @property
    def is_live(self) -> bool:
        return self.id is not None and not self.is_removed

    @property
    def digest(self) -> str:
        """The digest that results and approvals name."""
        return digests.ABSENT if self.id is None else digests.asset_digest(self.fields, self.is_removed, self.files)


class AssetUndo(NamedTuple):
    """What an undo does with an asset; `results` are the ids of those that it takes back, none if it leaves it."""

    decision: Decision
    reason: str
    before: AssetState
    after: AssetState
    results: tuple[int, ...] = ()

    @property
    def changes(self) -> dict[str, Any] | None:
        """What the result of the undo records."""
        if not self.results:
            return None
        return asset_changes(self.before, self.after) | {"undoes": list(self.results)}

    @property
    def digest(self) -> str | None:
        """What an approval binds; None where nothing is written."""
        return digests.undo_digest(self.changes) if self.results else None

    @property
    def plan_changes(self) -> Changes | None:
        """field -> [before, after] for people."""
        return plan_changes(self.changes or {}) or None


# ------------------------------------------------------------------------------------------------------ as it was left


def differences_since(state: AssetState, result: Result) -> list[str]:
    """Name what is not as the result left it."""
    changes = result.changes
    if "tombstone" in changes:
        return _tombstone_differences(state, changes)
    found: list[str] = []
    if state.digest != result.target_digest:
        found += _field_differences(state, changes) or ["its fields, its mark or its derivatives differ"]
    if state.columns != columns_after(state.columns, changes):
        found.append("another bundle decided about it last")
    for cover, (_, after) in changes.get("covers", {}).items():
        if (after is not None) != (cover in state.covers):
            found.append(f"the link to cover {cover[:16]} is {'missing' if after else 'there'}")
    found += _document_differences(state, changes)
    says = changes.get("derivative_says", {})
    if any(_say_of(state, _file(name)) != parse_stone(after) for name, (_, after) in says.items()):
        found.append("another bundle named one of its derivatives last")
    return found


def _tombstone_differences(state: AssetState, changes: dict[str, Any]) -> list[str]:
    """Of a removal that found no asset: a row without a say may have come since, from an undo."""
    after = parse_stone(changes["tombstone"][1])
    if state.is_live:
        return ["it is in the library"]
    if state.tombstone != after or (state.id is not None and state.columns != columns_of(after)):
        return ["another bundle decided about it last"]
    return []


def _field_differences(state: AssetState, changes: dict[str, Any]) -> list[str]:
    if state.id is None:
        return ["it is not in the library"]
    found = [
        f"{name} is {_shown(state.fields[name])}, the batch left {_shown(changes[name][1])}"
        for name in FIELDS if name in changes and state.fields[name] != changes[name][1]
    ]
    if "deleted" in changes and state.is_removed != changes["deleted"][1]:
        found.append("it was removed" if state.is_removed else "it was restored")
    return found


def _document_differences(state: AssetState, changes: dict[str, Any]) -> list[str]:
    documents = changes.get("documents", {})
    found = []
    if "source" in documents and state.source != documents["source"][1]:
        found.append("its source document is another one")
    came = {(kind, after): True for kind, (_, after) in documents.items() if kind != "source"}
    came |= {_analysis(name): after for name, (_, after) in changes.get("analyses", {}).items()}
    if any((each in state.analyses) != is_live for each, is_live in came.items()):
        found.append("one of its analyses was taken out or brought back")
    return found


def _say_of(state: AssetState, file: File) -> Stone | None:
    return state.file_says.get(file)


def _shown(value: Any) -> str:
    return "empty" if value is None else truncate(json.dumps(value, ensure_ascii=False), MAX_VALUE_LENGTH)


# ------------------------------------------------------------------------------------------------------ taken back


def take_back(state: AssetState, result: Result) -> AssetState:
    """Return the asset as it was before the result; one that the result created is removed and keeps its fields."""
    changes = result.changes
    if result.decision == Decision.CREATED:
        state = state._replace(is_removed=True, columns=columns_of(state.tombstone))
    elif "tombstone" in changes:
        stone = parse_stone(changes["tombstone"][0])
        state = state._replace(tombstone=stone, columns=columns_of(stone) if state.id is not None else state.columns)
    else:
        state = _fields_taken_back(state, changes)
    state = _files_taken_back(state, changes)
    covers = set(state.covers)
    for cover, (_, after) in changes.get("covers", {}).items():
        (covers.discard if after is not None else covers.add)(cover)
    return _documents_taken_back(state._replace(covers=frozenset(covers)), changes)


def _fields_taken_back(state: AssetState, changes: dict[str, Any]) -> AssetState:
    fields = {name: changes[name][0] if name in changes else value for name, value in state.fields.items()}
    return state._replace(
        fields=fields, fingerprint=changes.get("fingerprint", [state.fingerprint])[0],
        is_removed=changes.get("deleted", [state.is_removed])[0], columns=columns_before(state.columns, changes),
    )


def _files_taken_back(state: AssetState, changes: dict[str, Any]) -> AssetState:
    files, says = dict(state.files), dict(state.file_says)
    for name, (before, _) in changes.get("derivative_says", {}).items():
        says[_file(name)] = parse_stone(before)
    for name, (before, _) in changes.get("derivatives", {}).items():
        if before is None:
            files.pop(_file(name), None)
        else:
            files[_file(name)] = before
    return state._replace(files=files, file_says={file: say for file, say in says.items() if file in files})


def _documents_taken_back(state: AssetState, changes: dict[str, Any]) -> AssetState:
    documents, analyses = changes.get("documents", {}), set(state.analyses)
    analyses -= {(kind, after) for kind, (_, after) in documents.items() if kind != "source"}
    for name, (before, _) in changes.get("analyses", {}).items():
        (analyses.add if before else analyses.discard)(_analysis(name))
    source = documents["source"][0] if "source" in documents else state.source
    return state._replace(source=source, analyses=frozenset(analyses))


def _file(name: str) -> File:
    kind, _, path = name.partition(" ")
    return kind, path


def _analysis(name: str) -> Analysis:
    kind, _, sha256 = name.rpartition(" ")
    return kind, sha256


# ------------------------------------------------------------------------------------------------------ recorded


def asset_changes(before: AssetState, after: AssetState) -> dict[str, Any]:
    """name -> [before, after] of each value that differs, as results have them."""
    changes: dict[str, Any] = {
        name: [value, after.fields[name]] for name, value in before.fields.items() if value != after.fields[name]
    }
    if before.fingerprint != after.fingerprint:
        changes["fingerprint"] = [before.fingerprint, after.fingerprint]
    if before.is_removed != after.is_removed:
        changes["deleted"] = [before.is_removed, after.is_removed]
    changes |= say_changes(before.columns, after.columns) | _file_changes(before, after)
    if moved := before.covers ^ after.covers:
        changes["covers"] = {
            cover: [before.cover_ids[cover], None] if cover in before.covers else [None, before.cover_ids.get(cover, 0)]
            for cover in sorted(moved)
        }
    if before.source != after.source:
        changes["documents"] = {"source": [before.source, after.source]}
    if turned := before.analyses ^ after.analyses:
        changes["analyses"] = {
            " ".join(each): [each in before.analyses, each in after.analyses] for each in sorted(turned)
        }
    if before.tombstone != after.tombstone:
        changes["tombstone"] = [stone_text(before.tombstone), stone_text(after.tombstone)]
    return changes


def _file_changes(before: AssetState, after: AssetState) -> dict[str, Any]:
    files = sorted(before.files.keys() | after.files.keys())
    values = {
        " ".join(file): [before.files.get(file), after.files.get(file)]
        for file in files if before.files.get(file) != after.files.get(file)
    }
    says = {
        " ".join(file): [stone_text(_say_of(before, file)), stone_text(_say_of(after, file))]
        for file in files if _say_of(before, file) != _say_of(after, file)
    }
    return ({"derivatives": values} if values else {}) | ({"derivative_says": says} if says else {})


def plan_changes(changes: dict[str, Any]) -> Changes:
    """field -> [before, after] of what people look at: no says, no digests of rows."""
    shown: Changes = {name: changes[name] for name in (*FIELDS, "deleted") if name in changes}
    if "documents" in changes:
        shown["source"] = changes["documents"]["source"]
    for name in ("derivatives", "covers", "analyses"):
        if pairs := changes.get(name):
            shown[name] = [
                [label for label, pair in pairs.items() if pair[side]][:MAX_LABELS] for side in (0, 1)
            ]
    return shown
