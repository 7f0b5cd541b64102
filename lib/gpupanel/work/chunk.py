"""One chunk of a batch, in one transaction: look, decide, write, and say what was done with each item (docs/CONTRACT.md, 9).

The decision is made anew, since the library may have changed since the preflight; the table is that of `decision`.
"""

from typing import NamedTuple

from .. import catalogue
from ..catalogue import Existing, Key
from ..database import DataRefused, Transaction, chunks
from ..decision import Memberships, decide
from ..manifest import BadItem, Manifest
from ..model import REFUSED_BY_DATABASE, Decision, Plan
from . import library
from .documents import Papers
from .reader import Entry

WRITES = (Decision.WILL_CREATE, Decision.WILL_UPDATE)
LEAVES = (Decision.WILL_SKIP, Decision.WILL_LINK)


class Unread(Exception):
    """The library changed since the preflight, so that the documents of these entries are needed after all."""

    def __init__(self, entries: list[Entry]):
        super().__init__()
        self.entries = entries


class Verdict(NamedTuple):
    """What is to be done with an entry; `fresh` are those of its documents that the library does not have."""

    entry: Entry
    decision: Decision
    reason: str
    changes: dict | None = None
    existing: Existing | None = None
    fresh: Papers | None = None


def needs_documents(action: str, entry: Entry) -> bool:
    """Whether the documents of an entry are worth reading ahead: a create reads none of what the library has."""
    if action == "remove" or isinstance(entry.item, BadItem):
        return False
    return action == "update" or entry.planned not in LEAVES


class Chunks:
    """Carries out the chunks of one batch."""

    def __init__(self, batch_id: int, manifest: Manifest):
        self._batch_id, self._action = batch_id, manifest.action
        self._memberships = Memberships(manifest)
        self._containers = {(each.type, each.container_hash): each for each in self._memberships.containers}

    def carry_out(self, tx: Transaction, entries: list[Entry]) -> list[Plan]:
        """Write a chunk, or item by item what the database refuses; return what was done with each item.

        Raises: Unread, when the documents of some items are needed after all.
        Raises: DatabaseConflict.
        """
        try:
            with tx.savepoint():
                return self._write(tx, self._with_fresh(tx, self._decide(tx, entries)))
        except DataRefused as error:
            if len(entries) > 1:
                return [plan for entry in entries for plan in self.carry_out(tx, [entry])]
            reason = f"{REFUSED_BY_DATABASE}: {error}"
            return [_plan(Verdict(entries[0], Decision.WILL_FAIL, reason), None, None)]

    def _asked_for(self, entries: list[Entry]) -> list:
        keys = set().union(*(self._memberships.of(entry.item) for entry in entries))
        return [self._containers[key] for key in sorted(keys)]

    # ------------------------------------------------------------------------------------------ decide

    def _decide(self, tx: Transaction, entries: list[Entry]) -> list[Verdict]:
        """Lock the assets that the library has, and decide about each item."""
        valid = [entry for entry in entries if not isinstance(entry.item, BadItem)]
        locked = library.hold(tx, [entry.key for entry in valid])
        existing: dict[Key, Existing] = {}
        for chunk in chunks(entry for entry in valid if entry.key in locked):
            existing |= catalogue.existing(tx, [entry.item for entry in chunk], self._asked_for(chunk))
        verdicts = [self._judge(entry, existing.get(entry.key)) for entry in entries]
        self._require_documents(verdicts)
        return verdicts

    def _judge(self, entry: Entry, existing: Existing | None) -> Verdict:
        if isinstance(entry.item, BadItem):
            return Verdict(entry, Decision.WILL_FAIL, "; ".join(entry.item.problems))
        memberships = self._memberships.of(entry.item)
        decision, reason, changes = decide(self._action, entry.item, existing, memberships)
        if entry.problem and (entry.planned is Decision.WILL_FAIL or self._reads(decision)):
            return Verdict(entry, Decision.WILL_FAIL, entry.problem, None, existing)
        return Verdict(entry, decision, reason, changes, existing)

    def _reads(self, decision: Decision) -> bool:
        return decision in WRITES or self._action == "update"

    def _wants_papers(self, verdict: Verdict) -> bool:
        return verdict.decision is not Decision.WILL_FAIL and self._reads(verdict.decision)

    def _require_documents(self, verdicts: list[Verdict]) -> None:
        unread = [each.entry for each in verdicts if self._wants_papers(each) and not each.entry.papers]
        if unread:
            raise Unread(unread)

    def _with_fresh(self, tx: Transaction, verdicts: list[Verdict]) -> list[Verdict]:
        """Of an asset that is there, only what is new of its documents is written, and a new one is an update."""
        reading = [verdict for verdict in verdicts if self._wants_papers(verdict)]
        unknown = library.unknown_documents(tx, {v.existing.id: v.entry.papers for v in reading if v.existing})
        return [
            _refreshed(verdict, unknown.get(verdict.existing.id)) if verdict.existing
            else verdict._replace(fresh=verdict.entry.papers)
            for verdict in verdicts
        ]

    # ------------------------------------------------------------------------------------------- write

    def _write(self, tx: Transaction, verdicts: list[Verdict]) -> list[Plan]:
        ids = self._write_assets(tx, verdicts)
        written = {ids[verdict.entry.key]: verdict for verdict in verdicts if verdict.decision in WRITES}
        library.write_documents(tx, {asset_id: verdict.fresh for asset_id, verdict in written.items()})
        library.write_derivatives(tx, {asset_id: verdict.entry.item for asset_id, verdict in written.items()})
        links = library.write_covers(tx, {
            ids[verdict.entry.key]: verdict.entry.item.cover_hash for verdict in verdicts if _lacks_cover(verdict)
        })
        return [_plan(verdict, ids.get(verdict.entry.key), links.get(ids.get(verdict.entry.key))) for verdict in verdicts]

    def _write_assets(self, tx: Transaction, verdicts: list[Verdict]) -> dict[Key, int]:
        """(asset_type, asset_hash) -> id, of those that the library has or now has."""
        by_decision: dict[Decision, list[Verdict]] = {}
        for verdict in verdicts:
            by_decision.setdefault(verdict.decision, []).append(verdict)

        def items(decision: Decision) -> list:
            return [verdict.entry.item for verdict in by_decision.get(decision, ())]

        ids = {verdict.entry.key: verdict.existing.id for verdict in verdicts if verdict.existing}
        library.update(tx, self._batch_id, items(Decision.WILL_UPDATE))
        library.remove(tx, self._batch_id, [v.existing.id for v in by_decision.get(Decision.WILL_REMOVE, ())])
        return ids | library.create(tx, self._batch_id, items(Decision.WILL_CREATE))


def _refreshed(verdict: Verdict, unknown: Papers | None) -> Verdict:
    """The verdict on an asset that is there, now that its documents were compared (docs/CONTRACT.md, 5)."""
    new = (["source.json"] if unknown.source else []) + [run.file for run in unknown.runs] if unknown else []
    if not new:
        return verdict._replace(fresh=unknown)
    reason = f"{verdict.reason}; new in this batch: {', '.join(new)}"
    return verdict._replace(decision=Decision.WILL_UPDATE, reason=reason, fresh=unknown)


def _lacks_cover(verdict: Verdict) -> bool:
    wanted = verdict.entry.item.cover_hash
    has = verdict.existing.covers if verdict.existing else ()
    return bool(wanted) and wanted not in has and verdict.decision in (*WRITES, Decision.WILL_LINK)


def _plan(verdict: Verdict, asset_id: int | None, cover_id: int | None) -> Plan:
    item, existing = verdict.entry.item, verdict.existing
    if cover_id is None and existing:
        cover_id = existing.covers.get(item.cover_hash)
    return Plan(
        verdict.entry.position, item.asset_type, item.asset_hash, item.cover_hash, verdict.decision.done,
        verdict.reason, verdict.changes, asset_id, cover_id, id=verdict.entry.id,
    )
