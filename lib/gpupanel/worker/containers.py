"""Galleries and collections with their memberships, many in one transaction.

Membership is additive, importing a bundle twice changes nothing, and only a `remove` takes members out. Each container
and each membership keeps the say of its latest bundle (docs/decisions/0111-upstream-order.md,
docs/decisions/0113-containers-in-the-ledger.md).
"""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from .. import ledger
from ..db import ReadTransaction, Transaction
from ..ledger import results
from ..manifest import Container
from ..models import Changes, Decision, EntryResult, MemberChange, TombstoneChange
from ..rows import PlannedContainer

if TYPE_CHECKING:
    from .claims import Claim

# Bounds of one transaction: a group of small containers, or one step of a large one.
GROUP_CONTAINERS = 100
GROUP_MEMBERS = 1000
STEP_MEMBERS = 5000
# Missing members that are named.
MISSING_SAMPLES = 20

ContainerKey = tuple[str, str]


class PendingContainer(NamedTuple):
    """A container that is still to be imported; `members` maps each distinct hash to its first position.

    `start` counts the members that earlier transactions of the same job went through. `whole` is the number of members
    of a container that an undo writes in one transaction; an undo names no members.
    """

    position: int
    container: Container
    members: dict[str, int]
    plan: PlannedContainer | None = None
    start: int = 0
    whole: int | None = None

    @property
    def size(self) -> int:
        """The number of members."""
        return len(self.members) if self.whole is None else self.whole

    @property
    def key(self) -> ContainerKey:
        return self.container.type, self.container.container_hash

    @property
    def end(self) -> int:
        """The number of members after the next transaction."""
        return min(self.start + STEP_MEMBERS, len(self.members)) if self.whole is None else self.whole

    def next_step(self) -> "PendingContainer":
        """The same container after this step."""
        return self._replace(start=self.end)

    @property
    def is_first_step(self) -> bool:
        return self.start == 0

    @property
    def is_last_step(self) -> bool:
        return self.end == self.size


class SettledContainer(NamedTuple):
    """What one transaction did with a container.

    The first step of a large container decides about all of it; a later one has members alone, or is refused.
    `written` names each value of the container's row that was written.
    """

    entry: PendingContainer
    decision: Decision
    reason: str = ""
    changes: Changes | None = None
    written: dict[str, Any] | None = None
    members: tuple[MemberChange, ...] = ()
    missing: tuple[str, ...] = ()
    target_id: int | None = None
    target_digest: str | None = None
    last_error: str | None = None
    is_refused: bool = False
    tombstones: tuple[TombstoneChange, ...] = ()

    @property
    def is_final(self) -> bool:
        """Whether no later step of the container follows."""
        return self.is_refused or self.entry.is_last_step


def group(pending: Iterable[PendingContainer]) -> Iterator[list[PendingContainer]]:
    """Cut containers into groups for one transaction each; a large container is alone."""
    cut: list[PendingContainer] = []
    size = 0
    for entry in pending:
        if cut and (size + entry.size > GROUP_MEMBERS or len(cut) == GROUP_CONTAINERS):
            yield cut
            cut, size = [], 0
        cut.append(entry)
        size += entry.size
    if cut:
        yield cut


def open_containers(
    tx: ReadTransaction, batch_id: int, job_id: int | None, entries: list[tuple[int, Container]],
    *, is_whole: bool = False,
) -> list[PendingContainer]:
    """Return those of these containers that a job has not settled; all of them for a job that is None.

    `is_whole`: each is written in one transaction, as an undo does.
    """
    keys = [(container.type, container.container_hash) for _, container in entries]
    plans = ledger.planned_containers(tx, batch_id, keys)
    pending = [
        _pending(position, container, plans.get(key), job_id)
        for (position, container), key in zip(entries, keys, strict=True)
    ]
    if is_whole:
        pending = [entry._replace(start=0, whole=entry.plan["members"] if entry.plan else 0) for entry in pending]
    return [entry for entry in pending if job_id is None or _is_open(entry.plan, job_id)]


def _pending(
    position: int, container: Container, plan: PlannedContainer | None, job_id: int | None
) -> PendingContainer:
    """Return a container as a job finds it; a job continues where it was."""
    members: dict[str, int] = {}
    for index, asset_hash in enumerate(container.items):
        members.setdefault(asset_hash, index)
    is_resumed = plan is not None and job_id is not None and plan["job_id"] == job_id
    start = plan["members_done"] if plan and is_resumed and plan["members_done"] < len(members) else 0
    return PendingContainer(position, container, members, plan, start)


def _is_open(plan: PlannedContainer | None, job_id: int) -> bool:
    """Return whether no job has settled the container, or only as failed before."""
    if plan is None:
        return True
    failed_before = plan["decision"] == Decision.FAILED and plan["job_id"] != job_id
    return failed_before or plan["decision"].startswith("will_")


def record(tx: Transaction, claim: "Claim", settled: list[SettledContainer]) -> None:
    """Append the results of containers and their events, and write their ledger rows."""
    first = [each for each in settled if each.entry.is_first_step]
    ids = results.insert(tx, claim.batch_id, claim.job_id, [_result(each) for each in first])
    for each in settled:
        if not each.entry.is_first_step and not each.is_refused:
            row = ledger.container_result(tx, claim.job_id, each.entry.key)
            ids[each.entry.key] = row["id"]
            decision = row["decision"] if each.entry.is_last_step else None
            step = ledger.ContainerStep(*each.entry.key, claim.job_id, each.entry.end, decision)
            ledger.advance_container(tx, claim.batch_id, step)
    results.insert_members(tx, {ids[each.entry.key]: each.members for each in settled if each.members})
    results.insert_tombstones(tx, {ids[each.entry.key]: each.tombstones for each in settled if each.tombstones})
    whole = [each for each in settled if each.entry.is_first_step or each.is_refused]
    ledger.settle_containers(tx, claim.batch_id, claim.job_id, [_ledger_row(each) for each in whole])
    for each in whole:
        if each.decision is Decision.FAILED:
            ledger.append_event(tx, claim.batch_id, "container_failed", _failure(each, claim.job_id), claim.worker)


def _result(settled: SettledContainer) -> EntryResult:
    plan = settled.entry.plan
    return EntryResult(
        *settled.entry.key, plan["planned"] if plan else None, plan["changes"] if plan else None,
        settled.decision, settled.reason, settled.last_error, settled.written, settled.target_digest,
        settled.target_id,
    )


def _ledger_row(settled: SettledContainer) -> dict[str, Any]:
    """Return the ledger's columns; a container with further steps stays planned."""
    entry = settled.entry
    planned = (entry.plan["planned"] if entry.plan else None) or Decision.WILL_LINK
    return {
        "position": entry.position, "type": entry.container.type, "container_hash": entry.container.container_hash,
        "title": entry.container.title, "cover_hash": entry.container.cover_hash,
        "decision": settled.decision if settled.is_final else planned, "reason": settled.reason,
        "changes": settled.changes, "members": entry.size, "members_done": entry.end,
        "missing": settled.missing[:MISSING_SAMPLES], "missing_count": len(settled.missing),
        "target_id": settled.target_id, "last_error": settled.last_error,
    }


def _failure(settled: SettledContainer, job_id: int) -> dict[str, Any]:
    """Return the payload of container_failed."""
    container = settled.entry.container
    return {
        "container_type": container.type, "container_hash": container.container_hash, "job_id": job_id,
        "missing": list(settled.missing[:MISSING_SAMPLES]), "missing_count": len(settled.missing), "phase": "import",
        "reason": settled.last_error,
    }
