"""Lock and write galleries and collections, many rows at once.

Every import locks the rows of its containers by type and hash before it reads or writes a membership, so that imports
that share a container follow each other (docs/decisions/0113-containers-in-the-ledger.md).
"""

from collections.abc import Iterable
from typing import Any

from ..db import DuplicateKeyError, ReadTransaction, Transaction, chunked, fill
from ..errors import DatabaseConflictError

Row = dict[str, Any]


def lock_containers(tx: Transaction, container_type: str, hashes: Iterable[str]) -> int:
    """Lock the existing containers until the transaction ends; return their number."""
    statement = fill("containers.lock", type=container_type)
    return sum(len(tx.fetch_all_sql(statement, hashes=chunk)) for chunk in chunked(sorted(hashes)))


def create_containers(tx: Transaction, container_type: str, rows: list[Row]) -> dict[str, int]:
    """Insert containers; return their ids by hash.

    Raises: DatabaseConflictError, when another import created one of them meanwhile.
    """
    try:
        created = tx.insert_many("containers.create", _typed(container_type, rows), type=container_type)
    except DuplicateKeyError as error:
        raise DatabaseConflictError(f"Another import created this {container_type} meanwhile.") from error
    return {row["container_hash"]: row["id"] for row in created}


def write_containers(tx: Transaction, container_type: str, rows: list[Row]) -> None:
    """Write fields, mark and say of locked containers."""
    tx.insert_many("containers.write", _typed(container_type, rows), type=container_type)


def write_members(tx: Transaction, container_type: str, rows: list[Row]) -> None:
    """Insert, restore, move or remove memberships of locked containers."""
    tx.insert_many("containers.write_members", _typed(container_type, rows), type=container_type)


def containers_with_members(tx: ReadTransaction, container_type: str, ids: Iterable[int]) -> set[int]:
    """Return those of these containers that have a live membership."""
    statement = fill("containers.with_members", type=container_type)
    return {row["id"] for chunk in chunked(sorted(ids)) for row in tx.fetch_all_sql(statement, ids=chunk)}


def count_members(tx: ReadTransaction, container_type: str, container_id: int) -> int:
    """Return the number of live memberships of a container."""
    [row] = tx.fetch_all_sql(fill("containers.count_members", type=container_type), container_id=container_id)
    return int(row["members"])


def _typed(container_type: str, rows: list[Row]) -> list[Row]:
    """Name the type in the rows, for those who record them."""
    return [row | {"type": container_type} for row in rows]
