"""Write one chunk of a batch in one transaction.

Each item is decided again, since the library may have changed since the preflight; the rules are those of `decision`
(docs/CONTRACT.md, "9. Import").
"""

from typing import Any, NamedTuple

from .. import library_reader
from ..library_reader import AssetKey, ExistingAsset
from ..db import DataError, Transaction, chunked
from ..decision import ContainerMemberships, decide
from ..manifest import Container, InvalidItem, Item, Manifest
from ..models import Decision, ItemPlan, REFUSED_BY_DATABASE
from . import library_writer
from .item_documents import ItemDocuments
from .document_prefetch import ImportItem

WRITES = (Decision.WILL_CREATE, Decision.WILL_UPDATE)
LEAVES = (Decision.WILL_SKIP, Decision.WILL_LINK)


class DocumentsRequired(Exception):
    """The library changed, so the documents of these items are needed."""

    def __init__(self, entries: list[ImportItem]):
        super().__init__()
        self.entries = entries


class ItemDecision(NamedTuple):
    """The decision about an item; `fresh` are its new documents."""

    entry: ImportItem
    decision: Decision
    reason: str
    changes: dict[str, Any] | None = None
    existing: ExistingAsset | None = None
    fresh: ItemDocuments | None = None


def needs_documents(action: str, entry: ImportItem) -> bool:
    """Return whether to prefetch an item's documents.

    A create needs none of an existing asset.
    """
    if action == "remove" or isinstance(entry.item, InvalidItem):
        return False
    return action == "update" or entry.planned not in LEAVES


class ChunkWriter:
    """Writes the chunks of one batch."""

    def __init__(self, batch_id: int, manifest: Manifest):
        self._batch_id, self._action = batch_id, manifest.action
        self._memberships = ContainerMemberships(manifest)
        self._containers: dict[tuple[str, str], Container] = {
            (container.type, container.container_hash): container for container in self._memberships.containers
        }

    def write(self, tx: Transaction, entries: list[ImportItem]) -> list[ItemPlan]:
        """Write a chunk; return what was done with each item.

        Raises: DocumentsRequired, when the documents of some items are needed after all.
        Raises: DataError or DatabaseConflictError.
        """
        return self._write(tx, self._with_fresh(tx, self._decide_all(tx, entries)))

    def write_individually(self, tx: Transaction, entries: list[ImportItem]) -> list[ItemPlan]:
        """Write each item under a savepoint; only those that the database refuses fail."""
        done = []
        for entry in entries:
            try:
                with tx.savepoint():
                    done += self.write(tx, [entry])
            except DataError as error:
                reason = f"{REFUSED_BY_DATABASE}: {error}"
                done.append(_plan(ItemDecision(entry, Decision.WILL_FAIL, reason), None, {}))
        return done

    def _containers_of(self, entries: list[ImportItem]) -> list[Container]:
        keys = set().union(*(self._memberships.containers_of(entry.asset) for entry in entries))
        return [self._containers[key] for key in sorted(keys)]

    # ------------------------------------------------------------------------------------------ decide

    def _decide_all(self, tx: Transaction, entries: list[ImportItem]) -> list[ItemDecision]:
        """Lock the assets that the library has, and decide about each item."""
        valid = [entry for entry in entries if not isinstance(entry.item, InvalidItem)]
        locked = library_writer.lock_assets(tx, [entry.key for entry in valid])
        existing: dict[AssetKey, ExistingAsset] = {}
        for chunk in chunked(entry for entry in valid if entry.key in locked):
            existing |= library_reader.find_assets(tx, [entry.asset for entry in chunk], self._containers_of(chunk))
        verdicts = [self._decide(entry, existing.get(entry.key)) for entry in entries]
        self._require_documents(verdicts)
        return verdicts

    def _decide(self, entry: ImportItem, existing: ExistingAsset | None) -> ItemDecision:
        if isinstance(entry.item, InvalidItem):
            return ItemDecision(entry, Decision.WILL_FAIL, "; ".join(entry.item.problems))
        memberships = self._memberships.containers_of(entry.item)
        decision, reason, changes = decide(self._action, entry.item, existing, memberships)
        if entry.problem and (entry.planned is Decision.WILL_FAIL or self._reads(decision)):
            return ItemDecision(entry, Decision.WILL_FAIL, entry.problem, None, existing)
        return ItemDecision(entry, decision, reason, changes, existing)

    def _reads(self, decision: Decision) -> bool:
        return decision in WRITES or self._action == "update"

    def _needs_documents(self, verdict: ItemDecision) -> bool:
        return verdict.decision is not Decision.WILL_FAIL and self._reads(verdict.decision)

    def _require_documents(self, verdicts: list[ItemDecision]) -> None:
        unread = [verdict.entry for verdict in verdicts if self._needs_documents(verdict) and not verdict.entry.documents]
        if unread:
            raise DocumentsRequired(unread)

    def _with_fresh(self, tx: Transaction, verdicts: list[ItemDecision]) -> list[ItemDecision]:
        """Keep new documents only; one of an existing asset makes an update."""
        reading = [verdict for verdict in verdicts if self._needs_documents(verdict)]
        unknown = library_writer.new_documents(tx, {v.existing.id: v.entry.documents for v in reading if v.existing and v.entry.documents})
        return [
            _refreshed(verdict, verdict.existing, unknown) if verdict.existing
            else verdict._replace(fresh=verdict.entry.documents)
            for verdict in verdicts
        ]

    # ------------------------------------------------------------------------------------------- write

    def _write(self, tx: Transaction, verdicts: list[ItemDecision]) -> list[ItemPlan]:
        ids = self._write_assets(tx, verdicts)
        written = {ids[verdict.entry.key]: verdict for verdict in verdicts if verdict.decision in WRITES}
        library_writer.write_documents(tx, {asset_id: verdict.fresh for asset_id, verdict in written.items() if verdict.fresh})
        library_writer.write_derivatives(tx, {asset_id: verdict.entry.asset for asset_id, verdict in written.items()})
        links = library_writer.write_covers(tx, {
            ids[verdict.entry.key]: cover_hash for verdict in verdicts if (cover_hash := _missing_cover(verdict))
        })
        return [_plan(verdict, ids.get(verdict.entry.key), links) for verdict in verdicts]

    def _write_assets(self, tx: Transaction, verdicts: list[ItemDecision]) -> dict[AssetKey, int]:
        """Return (asset_type, asset_hash) -> id of existing and created assets."""
        by_decision: dict[Decision, list[ItemDecision]] = {}
        for verdict in verdicts:
            by_decision.setdefault(verdict.decision, []).append(verdict)

        def items(decision: Decision) -> list[Item]:
            return [verdict.entry.asset for verdict in by_decision.get(decision, ())]

        ids = {verdict.entry.key: verdict.existing.id for verdict in verdicts if verdict.existing}
        library_writer.update_assets(tx, self._batch_id, items(Decision.WILL_UPDATE))
        library_writer.remove_assets(tx, self._batch_id, [v.existing.id for v in by_decision.get(Decision.WILL_REMOVE, ()) if v.existing])
        return ids | library_writer.insert_assets(tx, self._batch_id, items(Decision.WILL_CREATE))


def _refreshed(verdict: ItemDecision, existing: ExistingAsset, unknown: dict[int, ItemDocuments]) -> ItemDecision:
    """Return the decision about an asset after comparing its documents."""
    fresh = unknown.get(existing.id)
    new = (["source.json"] if fresh.source else []) + [run.file for run in fresh.runs] if fresh else []
    if not new:
        return verdict._replace(fresh=fresh)
    reason = f"{verdict.reason}; new in this batch: {', '.join(new)}"
    return verdict._replace(decision=Decision.WILL_UPDATE, reason=reason, fresh=fresh)


def _missing_cover(verdict: ItemDecision) -> str | None:
    """Return the cover hash that is still to be linked, if any."""
    cover_hash = verdict.entry.item.cover_hash
    linked = verdict.existing.covers if verdict.existing else ()
    links = verdict.decision in (*WRITES, Decision.WILL_LINK) and cover_hash not in linked
    return cover_hash if links else None


def _plan(verdict: ItemDecision, asset_id: int | None, links: dict[int, int]) -> ItemPlan:
    item, existing = verdict.entry.item, verdict.existing
    cover_id = links.get(asset_id) if asset_id else None
    if cover_id is None and existing and item.cover_hash:
        cover_id = existing.covers.get(item.cover_hash)
    return ItemPlan(
        verdict.entry.position, item.asset_type, item.asset_hash, item.cover_hash, verdict.decision.done,
        verdict.reason, verdict.changes, asset_id, cover_id, id=verdict.entry.id,
    )
