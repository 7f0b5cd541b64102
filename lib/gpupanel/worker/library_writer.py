"""Write assets with documents, derivatives and covers, many rows at once.

Only this module and containers.py write library tables. A chunk first locks its existing assets by type and hash, so that
imports that share assets follow each other. Linking assets to a container locks them by id, in another order: the server
then ends one of the two transactions, which is retried.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from .. import library_reader
from ..file_check import checked_how
from ..library_reader import AssetKey, DERIVATIVE_FIELDS, FIELDS
from ..db import DuplicateKeyError, ReadTransaction, Transaction, chunk_by_first, chunked
from ..errors import DatabaseConflictError
from ..manifest import Item
from .item_documents import ItemDocuments


def lock_assets(tx: Transaction, keys: Iterable[AssetKey]) -> set[AssetKey]:
    """Lock the existing assets until the transaction ends; return their keys."""
    return {
        (row["asset_type"], row["asset_hash"])
        for asset_type, hashes in chunk_by_first(keys)
        for row in tx.fetch_all("library_write.hold", asset_type=asset_type, hashes=hashes)
    }


def insert_assets(tx: Transaction, batch_id: int, items: list[Item]) -> dict[AssetKey, int]:
    """Insert new assets; return their ids.

    Raises: DatabaseConflictError, when another import created one of them meanwhile.
    """
    try:
        created = tx.insert_many("library_write.create_assets", [_asset_row(batch_id, item) for item in _in_order(items)])
    except DuplicateKeyError as error:
        raise DatabaseConflictError(f"Another import created one of these assets meanwhile: {error}") from error
    return {(row["asset_type"], row["asset_hash"]): row["id"] for row in created}


def update_assets(tx: Transaction, batch_id: int, items: list[Item]) -> None:
    """Write the fields of locked assets; removed ones are restored."""
    tx.insert_many("library_write.update_assets", [_asset_row(batch_id, item) for item in _in_order(items)])


def remove_assets(tx: Transaction, batch_id: int, asset_ids: list[int]) -> None:
    """Set assets to removed; their rows stay."""
    for ids in chunked(sorted(asset_ids)):
        tx.execute("library_write.remove_assets", batch_id=batch_id, ids=ids)


def new_documents(tx: ReadTransaction, documents: dict[int, ItemDocuments]) -> dict[int, ItemDocuments]:
    """Return, by asset id, the documents that the library does not have.

    `source` is empty when the library has it.
    """
    if not documents:
        return {}
    sources = {row["asset_id"]: row["sha256"] for row in _of_assets(tx, "library_write.sources", documents)}
    runs = {
        (row["asset_id"], row["analysis_kind"], row["content_sha256"]) for row in _of_assets(tx, "library_write.runs", documents)
    }
    return {
        asset_id: documents._replace(
            source="" if sources.get(asset_id) == documents.source_sha256 else documents.source,
            runs=tuple(run for run in documents.runs if (asset_id, run.kind, run.sha256) not in runs),
        )
        for asset_id, documents in documents.items()
    }


def write_documents(tx: Transaction, documents: dict[int, ItemDocuments]) -> None:
    """Insert documents by asset id, as `unknown_documents` returns them."""
    tx.insert_many("library_write.write_sources", [
        {"asset_id": asset_id, "document": documents.source, "sha256": documents.source_sha256}
        for asset_id, documents in documents.items() if documents.source
    ])
    tx.insert_many("library_write.add_runs", [
        {"asset_id": asset_id} | run._asdict() for asset_id, documents in documents.items() for run in documents.runs
    ])


def write_derivatives(tx: Transaction, items: dict[int, Item], checks: dict[int, str]) -> None:
    """Write the derivatives of items by asset id; `checks` says how the files of an item were checked."""
    tx.insert_many("library_write.write_derivatives", [
        {"asset_id": asset_id, "kind": derivative.kind, "path": derivative.path}
        | {"checked_how": checked_how(derivative, checks[asset_id]) if asset_id in checks else None}
        | {field: getattr(derivative, field) for field in DERIVATIVE_FIELDS}
        for asset_id, item in items.items() for derivative in item.persisted
    ])


def write_covers(tx: Transaction, covers: dict[int, str]) -> dict[int, int]:
    """Link cover hashes by asset id; return asset id -> id of the link."""
    links = tx.insert_many("library_write.write_covers", [
        {"asset_id": asset_id, "cover_hash": cover_hash} for asset_id, cover_hash in covers.items()
    ])
    return {row["asset_id"]: row["id"] for row in links}


def _in_order(items: list[Item]) -> list[Item]:
    return sorted(items, key=lambda item: (item.asset_type, item.asset_hash))


def _asset_row(batch_id: int, item: Item) -> dict[str, Any]:
    return {field: getattr(item, field) for field in FIELDS} | {
        "asset_type": item.asset_type, "asset_hash": item.asset_hash,
        "fingerprint": library_reader.fingerprint(item), "batch_id": batch_id,
    }


def _of_assets(tx: ReadTransaction, name: str, asset_ids: Iterable[int]) -> Iterator[dict[str, Any]]:
    for ids in chunked(asset_ids):
        yield from tx.fetch_all(name, asset_ids=ids)
