"""Write assets with documents, derivatives and covers, many rows at once.

Only this module and containers.py write library tables. A chunk first locks its existing assets by type and hash, so that
imports that share assets follow each other. Linking assets to a container locks them by id, in another order: the server
then ends one of the two transactions, which is retried.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from .. import catalogue
from ..catalogue import DERIVATIVE_FIELDS, FIELDS, Key
from ..database import Duplicate, Reading, Transaction, chunks, grouped
from ..errors import DatabaseConflict
from ..manifest import Item
from .documents import Papers


def hold(tx: Transaction, keys: Iterable[Key]) -> set[Key]:
    """Lock the existing assets until the transaction ends; return their keys."""
    return {
        (row["asset_type"], row["asset_hash"])
        for asset_type, hashes in grouped(keys)
        for row in tx.all("library.hold", asset_type=asset_type, hashes=hashes)
    }


def create(tx: Transaction, batch_id: int, items: list[Item]) -> dict[Key, int]:
    """Insert new assets; return their ids.

    Raises: DatabaseConflict, when another import created one of them meanwhile.
    """
    try:
        created = tx.run_many("library.create_assets", [_asset_row(batch_id, item) for item in _in_order(items)])
    except Duplicate as error:
        raise DatabaseConflict(f"Another import created one of these assets meanwhile: {error}") from error
    return {(row["asset_type"], row["asset_hash"]): row["id"] for row in created}


def update(tx: Transaction, batch_id: int, items: list[Item]) -> None:
    """Write the fields of locked assets; removed ones are restored."""
    tx.run_many("library.update_assets", [_asset_row(batch_id, item) for item in _in_order(items)])


def remove(tx: Transaction, batch_id: int, asset_ids: list[int]) -> None:
    """Set assets to removed; their rows stay."""
    for ids in chunks(sorted(asset_ids)):
        tx.run("library.remove_assets", batch_id=batch_id, ids=ids)


def unknown_documents(tx: Reading, papers: dict[int, Papers]) -> dict[int, Papers]:
    """Return, by asset id, the documents that the library does not have.

    `source` is empty when the library has it.
    """
    if not papers:
        return {}
    sources = {row["asset_id"]: row["sha256"] for row in _of_assets(tx, "library.sources", papers)}
    runs = {
        (row["asset_id"], row["analysis_kind"], row["content_sha256"]) for row in _of_assets(tx, "library.runs", papers)
    }
    return {
        asset_id: documents._replace(
            source="" if sources.get(asset_id) == documents.source_sha256 else documents.source,
            runs=tuple(run for run in documents.runs if (asset_id, run.kind, run.sha256) not in runs),
        )
        for asset_id, documents in papers.items()
    }


def write_documents(tx: Transaction, papers: dict[int, Papers]) -> None:
    """Insert documents by asset id, as `unknown_documents` returns them."""
    tx.run_many("library.write_sources", [
        {"asset_id": asset_id, "document": documents.source, "sha256": documents.source_sha256}
        for asset_id, documents in papers.items() if documents.source
    ])
    tx.run_many("library.add_runs", [
        {"asset_id": asset_id} | run._asdict() for asset_id, documents in papers.items() for run in documents.runs
    ])


def write_derivatives(tx: Transaction, items: dict[int, Item]) -> None:
    """Write the derivatives of items by asset id."""
    tx.run_many("library.write_derivatives", [
        {"asset_id": asset_id, "kind": derivative.kind, "path": derivative.path}
        | {field: getattr(derivative, field) for field in DERIVATIVE_FIELDS}
        for asset_id, item in items.items() for derivative in item.persisted
    ])


def write_covers(tx: Transaction, covers: dict[int, str]) -> dict[int, int]:
    """Link cover hashes by asset id; return asset id -> id of the link."""
    links = tx.run_many("library.write_covers", [
        {"asset_id": asset_id, "cover_hash": cover_hash} for asset_id, cover_hash in covers.items()
    ])
    return {row["asset_id"]: row["id"] for row in links}


def _in_order(items: list[Item]) -> list[Item]:
    return sorted(items, key=lambda item: (item.asset_type, item.asset_hash))


def _asset_row(batch_id: int, item: Item) -> dict[str, Any]:
    return {field: getattr(item, field) for field in FIELDS} | {
        "asset_type": item.asset_type, "asset_hash": item.asset_hash,
        "fingerprint": catalogue.fingerprint(item), "batch_id": batch_id,
    }


def _of_assets(tx: Reading, name: str, asset_ids: Iterable[int]) -> Iterator[dict[str, Any]]:
    for ids in chunks(asset_ids):
        yield from tx.all(name, asset_ids=ids)
