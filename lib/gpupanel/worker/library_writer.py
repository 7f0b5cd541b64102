"""Write assets with documents, derivatives and covers, many rows at once.

Only this module, library_containers.py and undo_writes.py write library tables. A chunk first locks its existing assets
by type and hash, so that imports that share assets follow each other. Linking assets to a container locks them by id,
in another order: the server then ends one of the two transactions, which is retried.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, NamedTuple

from .. import digests, order
from ..library_reader import AssetKey
from ..db import DuplicateKeyError, ReadTransaction, Transaction, chunk_by_first, chunked
from ..errors import DatabaseConflictError
from ..manifest import Derivative, Item
from ..order import Say, TombstoneKey
from ..text import time_text
from .item_documents import ItemDocuments, NewDocuments


class Assigned(NamedTuple):
    """What an import writes into `source_at` and the batch columns of a row."""

    source_at: datetime
    batch_id: int


class DerivativeWrite(NamedTuple):
    """A derivative to be written; `checked_how` says how its file was compared, if it was."""

    asset_id: int
    derivative: Derivative
    say: Assigned
    checked_how: str | None = None


class CoverLink(NamedTuple):
    """A cover link that was written; `is_restored` where it had been removed."""

    id: int
    is_restored: bool


def lock_assets(tx: Transaction, keys: Iterable[AssetKey]) -> set[AssetKey]:
    """Lock the existing assets until the transaction ends; return their keys."""
    return {
        (asset_type, row["asset_hash"])
        for asset_type, hashes in chunk_by_first(keys)
        for row in tx.fetch_all("library_write.hold", asset_type=asset_type, hashes=hashes)
    }


def insert_assets(tx: Transaction, items: list[tuple[Item, Assigned]]) -> dict[AssetKey, int]:
    """Insert new assets; return their ids.

    Raises: DatabaseConflictError, when another import created one of them meanwhile.
    """
    rows = _asset_rows(items)
    try:
        created = tx.insert_many("library_write.create_assets", rows)
    except DuplicateKeyError as error:
        raise DatabaseConflictError(f"Another import created one of these assets meanwhile: {error}") from error
    return {(row["asset_type"], row["asset_hash"]): new["id"] for row, new in zip(rows, created, strict=True)}


def update_assets(tx: Transaction, items: list[tuple[Item, Assigned]]) -> None:
    """Write the fields of locked assets; removed ones are restored."""
    tx.insert_many("library_write.update_assets", _asset_rows(items))


def remove_assets(tx: Transaction, asset_ids: Iterable[int], say: Assigned) -> None:
    """Set assets to removed; their rows stay."""
    for ids in chunked(sorted(asset_ids)):
        tx.execute("library_write.remove_assets", ids=ids, **say._asdict())


def set_say(tx: Transaction, asset_ids: Iterable[int], say: Assigned) -> None:
    """Record that a bundle decided about assets that it does not change."""
    for ids in chunked(sorted(asset_ids)):
        tx.execute("library_write.set_say", ids=ids, **say._asdict())


def insert_tombstones(
    tx: Transaction, keys: Iterable[tuple[TombstoneKey, Assigned]]
) -> dict[TombstoneKey, Assigned | None]:
    """Record the removal of what the library does not have; a later say stays.

    Returns the tombstones that were written, each with the say that it replaced. A say that an undo took back counts
    as none.

    Raises: DatabaseConflictError, when another import recorded one of these removals meanwhile.
    """
    says = dict(keys)
    known = order.all_tombstones(tx, says, lock=True)
    sync_ids = order.fetch_sync_ids(tx, (say.batch_id for say in says.values()) if known else ())
    later = {
        key: says[key] for key, (latest, is_live) in known.items()
        if not is_live or latest.order < (says[key].source_at, sync_ids[says[key].batch_id])
    }
    try:
        tx.insert_many("library_write.insert_tombstones", _tombstone_rows(says, says.keys() - known.keys()))
    except DuplicateKeyError as error:
        raise DatabaseConflictError(f"Another import removed one of these meanwhile: {error}") from error
    tx.insert_many("library_write.replace_tombstones", _tombstone_rows(later, later))
    replaced = {key: assigned(known[key][0]) if known[key][1] else None for key in later}
    return dict.fromkeys(says.keys() - known.keys()) | replaced


def assigned(say: Say) -> Assigned:
    """The columns of a say."""
    return Assigned(say.order.source_at, say.batch_id)


def _tombstone_rows(says: dict[TombstoneKey, Assigned], keys: Iterable[TombstoneKey]) -> list[dict[str, Any]]:
    rows = ((key, says[key]) for key in sorted(keys))
    return [
        {"kind": kind, "hash": hash_, "source_at": str(say.source_at), "batch_id": say.batch_id}
        for (kind, hash_), say in rows
    ]


def confirm_created(tx: Transaction, keys: Iterable[AssetKey], known: dict[TombstoneKey, Say]) -> None:
    """Check that no removal of created assets was committed since the decision.

    Raises: DatabaseConflictError.
    """
    keys = list(keys)
    if order.tombstones(tx, keys, lock=True) != {key: known[key] for key in keys if key in known}:
        raise DatabaseConflictError("Another import removed one of these assets meanwhile.")


def confirm_absent(tx: Transaction, keys: Iterable[AssetKey]) -> None:
    """Check that no asset with a new tombstone was created since the decision.

    Raises: DatabaseConflictError.
    """
    if lock_assets(tx, keys):
        raise DatabaseConflictError("Another import created one of these assets meanwhile.")


# ------------------------------------------------------------------------------------------------------ documents


def new_documents(tx: ReadTransaction, documents: dict[int, ItemDocuments]) -> dict[int, NewDocuments]:
    """Return, by asset id, the documents that the library does not have."""
    if not documents:
        return {}
    sources = {row["asset_id"]: row["sha256"] for row in _of_assets(tx, "library_write.sources", documents)}
    runs: dict[int, list[dict[str, Any]]] = {}
    for row in _of_assets(tx, "library_write.runs", documents):
        runs.setdefault(row["asset_id"], []).append(row)
    return {
        asset_id: _new_documents(each, sources.get(asset_id), runs.get(asset_id, []))
        for asset_id, each in documents.items()
    }


def _new_documents(documents: ItemDocuments, source: str | None, runs: list[dict[str, Any]]) -> NewDocuments:
    """Compare documents with the library's; the last analysis of a kind is the newest."""
    live = [(row["analysis_kind"], row["content_sha256"]) for row in runs if row["deleted_at"] is None]
    before: dict[str, str | None] = dict(live)
    return NewDocuments(
        "" if source == documents.source_sha256 else documents.source, documents.source_sha256,
        tuple(run for run in documents.runs if (run.kind, run.sha256) not in live), before | {"source": source},
        {(row["analysis_kind"], row["content_sha256"]): row["id"] for row in runs if row["deleted_at"] is not None},
    )


def write_documents(tx: Transaction, documents: dict[int, NewDocuments]) -> None:
    """Insert documents by asset id; sources that are replaced are kept."""
    keep_documents(tx, [asset_id for asset_id, each in documents.items() if each.source and "source" in each.before])
    tx.insert_many("library_write.write_sources", [
        {"asset_id": asset_id, "document": each.source, "sha256": each.source_sha256}
        for asset_id, each in documents.items() if each.source
    ])
    tx.insert_many("library_write.add_runs", [
        {"asset_id": asset_id, "kind": run.kind, "file": run.file, "text": run.text, "parse_error": run.parse_error,
         "sha256": run.sha256}
        for asset_id, each in documents.items() for run in each.runs if (run.kind, run.sha256) not in each.taken_back
    ])
    for ids in chunked([
        each.taken_back[run.kind, run.sha256]
        for each in documents.values() for run in each.runs if (run.kind, run.sha256) in each.taken_back
    ]):
        tx.execute("library_write.restore_runs", ids=ids)


def keep_documents(tx: Transaction, asset_ids: list[int]) -> None:
    """Copy the sources of these assets to the replaced documents, each once."""
    for ids in chunked(asset_ids):
        tx.execute("library_write.keep_documents", ids=ids)


# ------------------------------------------------------------------------------------------------------ parts


def write_derivatives(tx: Transaction, writes: list[DerivativeWrite]) -> None:
    """Insert or update derivatives; others of the assets stay."""
    tx.insert_many("library_write.write_derivatives", [
        {
            **digests.derivative_fields(derivative), "asset_id": asset_id, "kind": derivative.kind,
            "path": derivative.path, "source_at": time_text(say.source_at), "batch_id": say.batch_id,
            "checked_how": checked_how,
        }
        for asset_id, derivative, say, checked_how in writes
    ])


def write_covers(tx: Transaction, covers: dict[int, str]) -> dict[int, CoverLink]:
    """Link cover hashes by asset id; return asset id -> link."""
    links = tx.insert_many("library_write.write_covers", [
        {"asset_id": asset_id, "cover_hash": cover_hash} for asset_id, cover_hash in covers.items()
    ])
    return {
        asset_id: CoverLink(row["id"], bool(row["is_restored"]))
        for asset_id, row in zip(covers, links, strict=True)
    }


def _asset_rows(items: list[tuple[Item, Assigned]]) -> list[dict[str, Any]]:
    in_order = sorted(items, key=lambda pair: (pair[0].asset_type, pair[0].asset_hash))
    return [_asset_row(item, say) for item, say in in_order]


def _asset_row(item: Item, say: Assigned) -> dict[str, Any]:
    return {
        **digests.item_fields(item), "asset_type": item.asset_type, "asset_hash": item.asset_hash,
        "fingerprint": digests.fingerprint(item), "batch_id": say.batch_id, "source_at": time_text(say.source_at),
    }


def _of_assets(tx: ReadTransaction, name: str, asset_ids: Iterable[int]) -> Iterator[dict[str, Any]]:
    for ids in chunked(asset_ids):
        yield from tx.fetch_all(name, asset_ids=ids)
