"""An asset as it is and as it was before a batch: pure functions.

`planner.py` decides what stays, by the reasons of `conflicts.py` and `references.py`.

docs/decisions/0150-undo-is-a-batch.md, "What is put back"
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from .. import digests
from ..library_reader import FIELDS, SayColumns
from ..models import Changes, Decision
from .effective import (
    Result, Stone, columns_before, columns_of, parse_stone, say_changes, stone_text,
)

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
    """What an undo does with an asset; `results` are the ids of those that it takes back, none if it leaves it.

    `changes` are what the result of the undo records, and `digest` is what an approval binds; both are None where
    nothing is written.
    """

    decision: Decision
    reason: str
    before: AssetState
    after: AssetState
    results: tuple[int, ...] = ()
    changes: dict[str, Any] | None = None

    def left(self, reason: str) -> "AssetUndo":
        """The same asset, left as it is."""
        return AssetUndo(Decision.WILL_SKIP, reason, self.before, self.before)

    @property
    def digest(self) -> str | None:
        return digests.undo_digest(self.changes) if self.changes else None

    @property
    def plan_changes(self) -> Changes | None:
        """field -> [before, after] for people."""
        return plan_changes(self.changes or {}) or None


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
        says[file_of(name)] = parse_stone(before)
    for name, (before, _) in changes.get("derivatives", {}).items():
        if before is None:
            files.pop(file_of(name), None)
        else:
            files[file_of(name)] = before
    return state._replace(files=files, file_says={file: say for file, say in says.items() if file in files})


def _documents_taken_back(state: AssetState, changes: dict[str, Any]) -> AssetState:
    documents, analyses = changes.get("documents", {}), set(state.analyses)
    analyses -= {(kind, after) for kind, (_, after) in documents.items() if kind != "source"}
    for name, (before, _) in changes.get("analyses", {}).items():
        (analyses.add if before else analyses.discard)(analysis_of(name))
    source = documents["source"][0] if "source" in documents else state.source
    return state._replace(source=source, analyses=frozenset(analyses))


def file_of(name: str) -> File:
    kind, _, path = name.partition(" ")
    return kind, path


def analysis_of(name: str) -> Analysis:
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
        " ".join(file): [stone_text(before.file_says.get(file)), stone_text(after.file_says.get(file))]
        for file in files if before.file_says.get(file) != after.file_says.get(file)
    }
    return ({"derivatives": values} if values else {}) | ({"derivative_says": says} if says else {})


def plan_changes(changes: dict[str, Any]) -> Changes:
    """field -> [before, after] for people: no says, no digests of rows."""
    shown: Changes = {name: changes[name] for name in (*FIELDS, "deleted") if name in changes}
    if "documents" in changes:
        shown["source"] = changes["documents"]["source"]
    for name in ("derivatives", "covers", "analyses"):
        if pairs := changes.get(name):
            shown[name] = [
                [label for label, pair in pairs.items() if pair[side]][:MAX_LABELS] for side in (0, 1)
            ]
    return shown
