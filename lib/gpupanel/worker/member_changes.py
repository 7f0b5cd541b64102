"""What a bundle does with one member of a container, decided without the database.

Each membership has a say of its own: a bundle changes only those whose latest say is not of a later bundle
(docs/decisions/0111-upstream-order.md, "Granularity").
"""

from datetime import datetime
from typing import NamedTuple

from ..library_reader import Membership
from ..models import MemberChange
from ..order import BundleOrder, MICROSECOND, NEVER, Say, is_newer

SayBefore = tuple[datetime | None, int | None]


class MemberWrite(NamedTuple):
    """A row to write; `change` is None where only the say moves.

    `say_before` has the columns of the say before: NEVER for a member that no bundle has decided about, (None, None)
    where the say of the container counted.
    """

    asset_id: int
    position: int
    is_removed: bool
    source_at: datetime
    change: MemberChange | None
    say_before: SayBefore

    def recorded(self, batch_id: int) -> MemberChange:
        """What a result records of the row."""
        change = self.change or MemberChange(
            self.asset_id, self.position, not self.is_removed, self.position, say_only=True
        )
        source_at, source_batch_id = self.say_before
        return change._replace(
            source_at=self.source_at, source_batch_id=batch_id,
            source_at_before=source_at, source_batch_id_before=source_batch_id,
        )


class MemberRules(NamedTuple):
    """The rules of one bundle for the members of one container; `say` is that of the container before."""

    action: str
    bundle: BundleOrder
    say: Say | None

    def add(self, asset_id: int, position: int, tombstone: Say | None) -> MemberWrite | None:
        """Insert a membership; None where a later bundle removed the member."""
        source_at = time_of_say(self.bundle, tombstone)
        if source_at is None:
            return None
        before = (tombstone.order.source_at, tombstone.batch_id) if tombstone else (NEVER, self.bundle.batch_id)
        return MemberWrite(asset_id, position, False, source_at, MemberChange(asset_id, position, True), before)

    def keep(self, asset_id: int, position: int, known: Membership) -> MemberWrite | None:
        """Restore or move a member; None where its row stays. A create moves no live member."""
        source_at = time_of_say(self.bundle, known.say or self.say)
        if source_at is None:
            return None
        if known.removed:
            change = MemberChange(asset_id, position, True)
            return MemberWrite(asset_id, position, False, source_at, change, _columns(known))
        if self.action == "update" and known.position != position:
            change = MemberChange(asset_id, position, True, known.position)
            return MemberWrite(asset_id, position, False, source_at, change, _columns(known))
        return self._say_only(asset_id, known, source_at)

    def remove(self, asset_id: int, known: Membership) -> MemberWrite | None:
        """Take a member out; None where its row stays."""
        source_at = time_of_say(self.bundle, known.say or self.say)
        if source_at is None:
            return None
        if known.removed:
            return self._say_only(asset_id, known, source_at)
        change = MemberChange(asset_id, known.position, False, known.position)
        return MemberWrite(asset_id, known.position, True, source_at, change, _columns(known))

    def _say_only(self, asset_id: int, known: Membership, source_at: datetime) -> MemberWrite | None:
        own = known.say
        if own and (own.order.source_at, own.batch_id) == (source_at, self.bundle.batch_id):
            return None
        return MemberWrite(asset_id, known.position, known.removed, source_at, None, _columns(known))


def _columns(known: Membership) -> SayBefore:
    return (known.say.order.source_at, known.say.batch_id) if known.say else (None, None)


def time_of_say(bundle: BundleOrder, *says: Say | None) -> datetime | None:
    """Return the time of the say that an import writes; None when a newer bundle keeps the latest say.

    A bundle that overrides newer ones decides just after them, and keeps that time when it is imported again.
    """
    times = [bundle.order.source_at]
    for say in says:
        if say and is_newer(say, bundle):
            if not bundle.although_older:
                return None
            times.append(say.order.source_at + MICROSECOND)
        elif say and say.batch_id == bundle.batch_id:
            times.append(say.order.source_at)
    return max(times)
