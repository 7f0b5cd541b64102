"""A gallery or collection as it is and as it was before a batch: pure functions.

A container is undone whole or not at all (docs/decisions/0150-undo-is-a-batch.md).
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from .. import digests
from ..library_reader import SayColumns
from ..models import CONTAINER_FIELDS, Changes, Decision, MemberChange, TombstoneChange
from ..order import NEVER
from .assets import NOTHING
from .effective import Result, Stone, columns_before, columns_of, parse_stone, say_changes, stone_text


class MemberState(NamedTuple):
    """A membership and its own say; (None, None) where the say of the container counts."""

    position: int
    is_removed: bool
    source_at: datetime | None
    source_batch_id: int | None


class ContainerState(NamedTuple):
    """A container, with the memberships by asset id and the members' tombstones by asset hash that results name.

    `namesakes` are the ids of the assets of each of these hashes: a membership that an undo took back has the say of
    its tombstone.
    """

    id: int | None = None
    is_removed: bool = True
    title: str | None = None
    cover_hash: str | None = None
    columns: SayColumns = SayColumns()
    tombstone: Stone | None = None
    members: Mapping[int, MemberState] = NOTHING
    stones: Mapping[str, Stone | None] = NOTHING
    namesakes: Mapping[str, list[int]] = NOTHING

    @property
    def is_live(self) -> bool:
        return self.id is not None and not self.is_removed

    @property
    def digest(self) -> str:
        """The digest that results and approvals name."""
        if self.id is None:
            return digests.ABSENT
        return digests.library_container_digest(self.title, self.cover_hash, self.is_removed)


class ContainerUndo(NamedTuple):
    """What an undo does with a container; `results` are the ids of those that it takes back."""

    decision: Decision
    reason: str
    before: ContainerState
    after: ContainerState
    results: tuple[int, ...] = ()

    def left(self, reason: str) -> "ContainerUndo":
        """The same container, left as it is."""
        return ContainerUndo(Decision.WILL_SKIP, reason, self.before, self.before)

    @property
    def changes(self) -> dict[str, Any] | None:
        """What the result of the undo records, beside the members."""
        if not self.results:
            return None
        return container_changes(self.before, self.after) | {"undoes": list(self.results)}

    @property
    def digest(self) -> str | None:
        """What an approval binds; None where nothing is written."""
        if not self.results:
            return None
        members = [[*map(str, change)] for change in self.member_changes]
        stones = [[*map(str, change)] for change in self.tombstone_changes]
        return digests.undo_digest((self.changes or {}) | {"members": members, "tombstones": stones})

    @property
    def plan_changes(self) -> Changes | None:
        """field -> [before, after] for people."""
        changes = self.changes or {}
        shown: Changes = {name: changes[name] for name in (*CONTAINER_FIELDS, "deleted") if name in changes}
        came, went = (sum(1 for each in self.moves if each.came is came) for came in (True, False))
        if came or went:
            shown["members"] = [f"{went} go", f"{came} come or move"]
        return shown or None

    @property
    def moves(self) -> list[MemberChange]:
        """The members that come, move or go."""
        return [change for change in self.member_changes if not change.say_only]

    @property
    def member_changes(self) -> list[MemberChange]:
        """The memberships that are written, by asset id."""
        return list(_member_changes(self.before, self.after))

    @property
    def tombstone_changes(self) -> list[TombstoneChange]:
        """The members' tombstones that are written."""
        return [
            TombstoneChange(name, *(stone or (None, None)), *(self.before.stones[name] or (None, None)))
            for name, stone in sorted(self.after.stones.items()) if stone != self.before.stones[name]
        ]


class Parts(NamedTuple):
    """The members and members' tombstones of one result."""

    members: tuple[MemberChange, ...] = ()
    stones: tuple[TombstoneChange, ...] = ()


def member_after(change: MemberChange) -> MemberState:
    """The membership as a result left it."""
    return MemberState(change.position, not change.came, change.source_at, change.source_batch_id)


def _member_before(change: MemberChange) -> MemberState:
    """The membership before a result; one that was not there counts as removed."""
    say = change.source_at_before, change.source_batch_id_before
    if change.say_only:
        return MemberState(change.position, not change.came, *say)
    is_removed = change.came and change.position_before is None
    return MemberState(change.position if change.position_before is None else change.position_before, is_removed, *say)


def take_back(state: ContainerState, result: Result, parts: Parts) -> ContainerState:
    """Return the container as it was before the result; one that it created is removed and keeps its title."""
    changes = result.changes
    if changes.get("created") == [False, True]:
        state = state._replace(is_removed=True, columns=columns_of(None))
    else:
        values = {name: changes[name][0] for name in CONTAINER_FIELDS if name in changes}
        state = state._replace(
            is_removed=changes.get("deleted", [state.is_removed])[0],
            columns=columns_before(state.columns, changes), **values,
        )
    if "tombstone" in changes:
        state = state._replace(tombstone=parse_stone(changes["tombstone"][0]))
    return state._replace(
        members={**_without_stones(state, parts), **{row.asset_id: _member_before(row) for row in parts.members}},
        stones={**state.stones, **{row.asset_hash: row.before for row in parts.stones}},
    )


def _without_stones(state: ContainerState, parts: Parts) -> dict[int, MemberState]:
    """The members, where those that have the say of a tombstone that goes have the one before it."""
    members = dict(state.members)
    for row in parts.stones:
        for asset_id in state.namesakes.get(row.asset_hash, ()):
            known = members.get(asset_id)
            if row.after and known and known.is_removed and (known.source_at, known.source_batch_id) == row.after:
                source_at, batch_id = row.before or (NEVER, row.after[1])
                members[asset_id] = known._replace(source_at=source_at, source_batch_id=batch_id)
    return members


def container_changes(before: ContainerState, after: ContainerState) -> dict[str, Any]:
    """name -> [before, after] of each value of the container that differs, as results have them."""
    pairs = (
        ("title", before.title, after.title), ("cover_hash", before.cover_hash, after.cover_hash),
        ("deleted", before.is_removed, after.is_removed),
    )
    changes: dict[str, Any] = {name: [was, becomes] for name, was, becomes in pairs if was != becomes}
    if before.tombstone != after.tombstone:
        changes["tombstone"] = [stone_text(before.tombstone), stone_text(after.tombstone)]
    return changes | say_changes(before.columns, after.columns)


def _member_changes(before: ContainerState, after: ContainerState) -> Iterator[MemberChange]:
    for asset_id, now in sorted(after.members.items()):
        was = before.members.get(asset_id)
        if was is None or was == now:
            continue
        says = (now.source_at, now.source_batch_id, was.source_at, was.source_batch_id)
        is_same = (was.position, was.is_removed) == (now.position, now.is_removed)
        position_before = None if was.is_removed and not now.is_removed else was.position
        yield MemberChange(asset_id, now.position, not now.is_removed, position_before, is_same, *says)
