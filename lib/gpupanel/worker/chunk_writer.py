"""Write one chunk of a batch in one transaction.

Each item is decided again, since the library may have changed since the preflight; the rules are those of `decision`
(docs/CONTRACT.md, "9. Import"). What was written is recorded in the same transaction, in ledger and results.
"""

from collections import defaultdict
from typing import NamedTuple

from .. import library_reader, order
from ..db import Transaction, chunked
from ..decision import ContainerMemberships, decide, decided_by
from ..library_reader import AssetKey, ExistingAsset
from ..manifest import Derivative, InvalidItem, Item, Manifest
from ..models import Decision
from ..order import BundleOrder, Say
from . import drift, library_writer
from .document_prefetch import ImportItem
from .drift import OwnJob
from .entry_writers import ItemWriter
from .item_decision import WRITES, ItemDecision, bundle_for, derivatives_to_write, time_of_say
from .item_documents import NewDocuments
from .item_results import SettledItem, Written, settled_item
from .library_writer import Assigned, CoverLink, DerivativeWrite

HOLD, REPLAN = "hold", "replan"


class DocumentsRequired(Exception):
    """The library changed, so the documents of these items are needed."""

    def __init__(self, entries: list[ImportItem]):
        super().__init__()
        self.entries = entries


class ImportRun(NamedTuple):
    """The bundle that is imported, its job (a dry run has none), and what to do when the library changed."""

    bundle: BundleOrder
    job_id: int | None = None
    on_change: str = HOLD

    @property
    def batch_id(self) -> int:
        return self.bundle.batch_id


class ChunkWriter(ItemWriter):
    """Writes the chunks of one bundle."""

    def __init__(self, run: ImportRun, manifest: Manifest):
        super().__init__(run.batch_id, run.job_id)
        self._run, self._action = run, manifest.action
        self._memberships = ContainerMemberships(manifest)

    def write(self, tx: Transaction, entries: list[ImportItem]) -> list[SettledItem]:
        """Write the library rows of a chunk; return what is to be recorded of each item.

        Raises: DocumentsRequired, when the documents of some items are needed after all.
        Raises: DataError or DatabaseConflictError.
        """
        decided = self._without_drift(tx, self._decide_all(tx, entries))
        self._require_documents(decided)
        return self._write(tx, self._with_new_documents(tx, decided))

    # ------------------------------------------------------------------------------------------ decide

    def _decide_all(self, tx: Transaction, entries: list[ImportItem]) -> list[ItemDecision]:
        """Lock the assets that the library has, and decide about each item."""
        valid = [entry for entry in entries if not isinstance(entry.item, InvalidItem)]
        locked = library_writer.lock_assets(tx, [entry.key for entry in valid])
        existing: dict[AssetKey, ExistingAsset] = {}
        for chunk in chunked(entry for entry in valid if entry.key in locked):
            items = [entry.asset for entry in chunk]
            existing |= library_reader.existing_assets(tx, items, self._memberships.containers_listing(items))
        tombstones = order.tombstones(tx, (entry.key for entry in valid if entry.key not in locked))
        return [self._decide(entry, existing.get(key := entry.key), tombstones.get(key)) for entry in entries]

    def _decide(self, entry: ImportItem, existing: ExistingAsset | None, tombstone: Say | None) -> ItemDecision:
        if isinstance(entry.item, InvalidItem):
            return ItemDecision(entry, Decision.WILL_FAIL, "; ".join(entry.item.problems))
        bundle = bundle_for(self._run.bundle, entry, existing)
        memberships = self._memberships.containers_of(entry.item)
        decision, reason, changes = decide(self._action, entry.item, existing or tombstone, bundle, memberships)
        source_at = time_of_say(bundle, existing.say if existing else tombstone)
        new = entry.documents.all_new if decision is Decision.WILL_CREATE and entry.documents else None
        decided = ItemDecision(entry, decision, reason, changes, existing, tombstone, source_at, new)
        if entry.problem and (entry.planned is Decision.WILL_FAIL or decided.reads_documents(self._action)):
            return decided.failed(entry.problem)
        return decided

    def _without_drift(self, tx: Transaction, decided: list[ItemDecision]) -> list[ItemDecision]:
        """Fail the items whose assets a person or another program changed, or note it under `replan`."""
        drifts = drift.check(tx, decided, OwnJob(self._run.batch_id, self._run.job_id))
        if not drifts:
            return decided
        if self._run.on_change == REPLAN:
            return [each._replace(drift=drifts[each.key].fields) if each.key in drifts else each for each in decided]
        return [each.failed(drifts[each.key].reason) if each.key in drifts else each for each in decided]

    def _require_documents(self, decided: list[ItemDecision]) -> None:
        unread = [each.entry for each in decided if each.reads_documents(self._action) and not each.entry.documents]
        if unread:
            raise DocumentsRequired(unread)

    def _with_new_documents(self, tx: Transaction, decided: list[ItemDecision]) -> list[ItemDecision]:
        """Compare the documents of existing assets with the library's; a new one makes an update."""
        unknown = library_writer.new_documents(tx, {
            each.existing.id: each.entry.documents for each in decided
            if each.existing and each.entry.documents and each.reads_documents(self._action)
        })
        return [
            _with_documents(each, new) if each.existing and (new := unknown.get(each.existing.id)) else each
            for each in decided
        ]

    # ------------------------------------------------------------------------------------------- write

    def _write(self, tx: Transaction, decided: list[ItemDecision]) -> list[SettledItem]:
        ids = self._write_assets(tx, decided)
        placed = [(asset_id, each) for asset_id, each in zip(ids, decided, strict=True) if asset_id]
        library_writer.write_documents(tx, {asset_id: each.new for asset_id, each in placed if each.new})
        derivatives = self._write_derivatives(tx, placed)
        links = library_writer.write_covers(tx, {
            asset_id: cover_hash for asset_id, each in placed if (cover_hash := _missing_cover(each))
        })
        tombstones = self._write_says(tx, decided)
        return [
            settled_item(each, self._written(each, asset_id, links, derivatives, tombstones))
            for asset_id, each in zip(ids, decided, strict=True)
        ]

    def _write_assets(self, tx: Transaction, decided: list[ItemDecision]) -> list[int | None]:
        """Return the id of each asset, existing or created; None where the library has none."""
        by_decision: dict[Decision, list[tuple[Item, Assigned]]] = defaultdict(list)
        for each in decided:
            if each.decision in WRITES and (say := self._say(each)):
                by_decision[each.decision].append((each.entry.asset, say))
        library_writer.update_assets(tx, by_decision[Decision.WILL_UPDATE])
        created = library_writer.insert_assets(tx, by_decision[Decision.WILL_CREATE])
        known = {each.key: each.tombstone for each in decided if each.tombstone}
        library_writer.confirm_created(tx, created, known)
        return [each.existing.id if each.existing else created.get(each.key) for each in decided]

    def _write_derivatives(
        self, tx: Transaction, placed: list[tuple[int, ItemDecision]]
    ) -> dict[int, tuple[Derivative, ...]]:
        """Write derivatives with a say of their own; return them by the id of their asset."""
        bundle = self._run.bundle
        written = {asset_id: derivatives_to_write(self._action, each, bundle) for asset_id, each in placed}
        library_writer.write_derivatives(tx, [
            DerivativeWrite(asset_id, derivative, self._file_say(each), each.entry.compared(derivative))
            for asset_id, each in placed for derivative in written[asset_id]
        ])
        return written

    def _write_says(
        self, tx: Transaction, decided: list[ItemDecision]
    ) -> dict[AssetKey, tuple[Assigned | None, Assigned]]:
        """Remove assets, and write the say about those that stay as they are or are not there.

        Returns the tombstones that were written, each with the say before and after.
        """
        removed: dict[Assigned, list[int]] = defaultdict(list)
        said: dict[Assigned, list[int]] = defaultdict(list)
        tombstones: dict[AssetKey, Assigned] = {}
        for each in decided:
            if each.decision in WRITES or (say := self._say(each)) is None:
                continue
            if each.existing is None:
                tombstones[each.key] = say
            elif each.decision is Decision.WILL_REMOVE:
                removed[say].append(each.existing.id)
            elif each.existing.columns != (*say, say.batch_id):
                said[say].append(each.existing.id)
        for say, asset_ids in removed.items():
            library_writer.remove_assets(tx, asset_ids, say)
        for say, asset_ids in said.items():
            library_writer.set_say(tx, asset_ids, say)
        if not tombstones:
            return {}
        written = library_writer.insert_tombstones(tx, tombstones.items())
        library_writer.confirm_absent(tx, tombstones)
        return {key: (before, tombstones[key]) for key, before in written.items()}

    def _say(self, decided: ItemDecision) -> Assigned | None:
        """What is written into the source columns, None where the latest say stays."""
        if decided.is_failing or decided.source_at is None:
            return None
        return Assigned(decided.source_at, self._run.batch_id)

    def _file_say(self, decided: ItemDecision) -> Assigned:
        """The say of the derivatives that are written, also of an older bundle."""
        return Assigned(decided.source_at or self._run.bundle.order.source_at, self._run.batch_id)

    def _written(
        self, decided: ItemDecision, asset_id: int | None, links: dict[int, CoverLink],
        derivatives: dict[int, tuple[Derivative, ...]], tombstones: dict[AssetKey, tuple[Assigned | None, Assigned]],
    ) -> Written:
        if not asset_id:
            return Written(tombstone=tombstones.get(decided.key))
        files = derivatives[asset_id]
        return Written(asset_id, links.get(asset_id), files, self._say(decided), self._file_say(decided))


def _with_documents(decided: ItemDecision, new: NewDocuments) -> ItemDecision:
    """Return the decision about an item after comparing its documents with those of its asset.

    An older bundle adds analyses, and leaves the source.
    """
    if decided.is_older:
        new = new._replace(source="")
    if not new.files:
        return decided
    files, say = ", ".join(new.files), decided.existing.say if decided.existing else None
    reason = f"{decided.reason}; new in this batch: {files}"
    if decided.is_older and say and decided.decision is Decision.WILL_SKIP:
        reason = f"{decided_by(say, adds=True)}: {files}"
    decision = Decision.WILL_LINK if decided.is_older else Decision.WILL_UPDATE
    return decided._replace(decision=decision, reason=reason, new=new)


def _missing_cover(decided: ItemDecision) -> str | None:
    """Return the cover hash that is still to be linked, if any."""
    cover_hash = decided.entry.item.cover_hash
    linked = decided.existing.covers if decided.existing else ()
    links = decided.decision in (*WRITES, Decision.WILL_LINK) and cover_hash not in linked
    return cover_hash if links else None
