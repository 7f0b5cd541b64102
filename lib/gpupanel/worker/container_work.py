"""One container in one transaction: what is decided about it, and what is recorded of it."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Any

from .. import digests
from ..container_reader import ExistingContainer, MemberSummary
from ..decision import decide_container
from ..library_reader import Membership, SayColumns
from ..models import Changes, Decision, TombstoneChange
from ..order import BundleOrder, Order, Say, TombstoneKey, is_newer, member_key
from ..text import time_text
from .item_results import say_text
from .containers import MISSING_SAMPLES, PendingContainer, SettledContainer
from .library_writer import Assigned
from .member_changes import MemberRules, MemberWrite, time_of_say

NOTHING = SayColumns()


@dataclass(eq=False)
class ContainerWork:
    """A container of a bundle, its library row before, and what the bundle does with it.

    `writes` has the rows of all members that were resolved, by hash; a large container resolves all in its first step.
    """

    entry: PendingContainer
    action: str
    bundle: BundleOrder
    existing: ExistingContainer | None
    id: int | None = None
    tombstone: Say | None = None
    writes: dict[str, list[MemberWrite]] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)  # members of a `remove` without a membership
    present: int = 0
    stopped: int = 0
    decision: Decision = Decision.WILL_SKIP
    reason: str = ""
    changes: Changes | None = None
    drift: Changes | None = None
    problem: str | None = None  # why nothing is written
    is_removed: bool = False
    written_tombstones: dict[TombstoneKey, Assigned | None] = field(default_factory=dict)  # with the say before

    @property
    def rules(self) -> MemberRules:
        return MemberRules(self.action, self.bundle, self.existing.say if self.existing else None)

    def say_of(self, member: Membership) -> Say | None:
        """The latest say about a member."""
        return member.say or (self.existing.say if self.existing else None)

    @property
    def was_removed(self) -> bool:
        return self.existing is not None and self.existing.removed

    @property
    def part(self) -> list[MemberWrite]:
        """The writes of this transaction."""
        return list(self._between(self.entry.start, self.entry.end))

    @property
    def later(self) -> list[MemberWrite]:
        """The writes of the next transactions."""
        return list(self._between(self.entry.end, None))

    def _between(self, start: int, end: int | None) -> Iterator[MemberWrite]:
        names = islice(self.entry.members, start, end)
        return (write for name in names for write in self.writes.get(name, ()))

    # ---------------------------------------------------------------------------------------------- decide

    def decide(self) -> None:
        """Apply the decision table."""
        container, summary = self.entry.container, self._summary()
        self.decision, self.reason, self.changes = decide_container(
            self.action, container, self.existing, self.bundle, summary
        )

    def _summary(self) -> MemberSummary:
        changes = [each.change for writes in self.writes.values() for each in writes if each.change]
        moving = sum(1 for change in changes if change.came and change.position_before is not None)
        arriving = sum(1 for change in changes if change.came) - moving
        return MemberSummary(
            len(self.entry.members), arriving, moving, self.present, self.stopped,
            self.missing[:MISSING_SAMPLES], len(self.missing), self.tombstone,
        )

    # ---------------------------------------------------------------------------------------------- say and mark

    @property
    def say_at(self) -> datetime | None:
        """The time of the say that is written; None where the container keeps its say.

        The say is that of the latest create or update; a `remove` leaves a tombstone instead.
        """
        if self.action == "remove":
            return None
        says = [self.existing.say if self.existing else None]
        if self.bundle.although_older:
            says.append(self.tombstone)
        return time_of_say(self.bundle, *says)

    @property
    def say_after(self) -> Say | None:
        if self.say_at is None:
            return self.existing.say if self.existing else None
        return Say(Order(self.say_at, self.bundle.order.sync_id), self.bundle.batch_id)

    @property
    def tombstone_after(self) -> Say | None:
        if self.action != "remove" or not self.entry.members:
            return self.tombstone
        own = Say(Order(self.buried.source_at, self.bundle.order.sync_id), self.bundle.batch_id)
        return own if self.tombstone is None or self.tombstone.order <= own.order else self.tombstone

    @property
    def buried(self) -> Assigned:
        """The say of a `remove`, for tombstones."""
        says = (self.tombstone, self.existing.say if self.existing else None)
        return Assigned(time_of_say(self.bundle, *says) or self.bundle.order.source_at, self.bundle.batch_id)

    @property
    def may_be_removed(self) -> bool:
        """Whether the container is removed if it has no live member.

        The latest `remove` that named it is later than its latest create or update, or another program removed it and
        no later bundle brought it back.
        """
        say, tombstone = self.say_after, self.tombstone_after
        if tombstone is not None and (say is None or tombstone.order > say.order):
            return True
        return self.was_removed and (self.action == "remove" or self.say_at is None)

    # ---------------------------------------------------------------------------------------------- values

    @property
    def values(self) -> tuple[str | None, str | None]:
        """Title and cover after the import."""
        container, existing = self.entry.container, self.existing
        if existing is None:
            return container.title, container.cover_hash
        is_restored = existing.removed and not self._is_buried
        if self.say_at is not None and (self.action == "update" or is_restored):
            return container.title, container.cover_hash
        return existing.title, existing.cover_hash

    @property
    def _is_buried(self) -> bool:
        return not self.bundle.although_older and is_newer(self.tombstone, self.bundle)

    @property
    def columns(self) -> SayColumns:
        """The columns of the say after the import."""
        if self.say_at is None:
            return self.existing.columns if self.existing else NOTHING
        return SayColumns(self.say_at, self.bundle.batch_id, self.bundle.batch_id)

    def row(self) -> dict[str, Any]:
        """The container's row after the import."""
        title, cover_hash = self.values
        return {
            "container_hash": self.entry.container.container_hash, "title": title, "cover_hash": cover_hash,
            "is_removed": int(self.is_removed), "is_last": self.columns.last_batch_id == self.bundle.batch_id,
            **self.columns._asdict(),
        }

    @property
    def is_row_written(self) -> bool:
        """Whether the row of a container that the library has is to be written."""
        existing = self.existing
        if existing is None:
            return self.id is not None and (self.is_removed or self.say_at != self.bundle.order.source_at)
        before = (existing.title, existing.cover_hash, existing.removed, existing.columns)
        return before != (*self.values, self.is_removed, self.columns) or any(write.change for write in self.part)

    # ---------------------------------------------------------------------------------------------- record

    def settled(self) -> SettledContainer:
        """Return what is recorded."""
        if self.problem:
            return SettledContainer(
                self.entry, Decision.FAILED, self.problem, self.changes, last_error=self.problem, is_refused=True,
                target_id=self.id,
            )
        members = tuple(write.recorded(self.bundle.batch_id) for write in self.part)
        error = self._missing_error()
        return SettledContainer(
            self.entry, Decision.FAILED if error else self.decision.done, self.reason, self.changes,
            self._written() or None, members, tuple(self.missing), self.id, self._digest(), error,
            tombstones=tuple(self._member_tombstones()),
        )

    def _member_tombstones(self) -> Iterator[TombstoneChange]:
        kind, container_hash = self.entry.key
        for name in self.unknown:
            key = member_key(kind, container_hash, name)
            if key in self.written_tombstones:
                yield TombstoneChange(name, *self.buried, *(self.written_tombstones[key] or (None, None)))

    def _missing_error(self) -> str | None:
        if not self.missing or self.action == "remove":
            return None
        total, count = len(self.entry.members), len(self.missing)
        rest = "; the others were linked" if count < total else ""
        return f"{count} of {total} members {'is' if count == 1 else 'are'} not in the library{rest}"

    def _digest(self) -> str:
        if self.id is None:
            return digests.ABSENT
        return digests.library_container_digest(*self.values, self.is_removed)

    def _written(self) -> dict[str, Any]:
        """name -> [before, after] of each value of the container's row that was written."""
        tombstone = {}
        if self.entry.key in self.written_tombstones:
            before_it, after_it = self.written_tombstones[self.entry.key], self.buried
            tombstone["tombstone"] = [before_it and say_text(*before_it), say_text(*after_it)]
        if self.id is None:
            return tombstone
        existing, (title, cover_hash) = self.existing, self.values
        before, after = existing.columns if existing else NOTHING, self.columns
        values = (
            ("title", existing.title if existing else None, title),
            ("cover_hash", existing.cover_hash if existing else None, cover_hash),
            ("deleted", self.was_removed, self.is_removed),
            ("source_at", time_text(before.source_at), time_text(after.source_at)),
            ("source_batch_id", before.source_batch_id, after.source_batch_id),
            ("last_batch_id", before.last_batch_id or None, after.last_batch_id or None),
        )
        written: dict[str, Any] = {name: [was, now] for name, was, now in values if was != now}
        created = {"created": [False, True]} if existing is None else {}
        return written | tombstone | created | ({"drift": self.drift} if self.drift else {})
