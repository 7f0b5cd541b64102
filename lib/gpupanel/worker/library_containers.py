"""Read and write galleries and collections, many rows at once.

Both types have the same columns under other names; `TABLES` fills them into one set of statements. Every import locks the
rows of its containers by type and hash before it reads or writes a membership, so that imports that share a container
follow each other (docs/decisions/0113-containers-in-the-ledger.md).
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import cache
from typing import Any, TypedDict

from ..db import DuplicateKeyError, ReadTransaction, Transaction, chunked, fill
from ..db.queries import HOLE, query
from ..errors import DatabaseConflictError

TABLES: dict[str, dict[str, str]] = {
    kind: {
        "table": f"asset_{kind}", "items": f"asset_{kind}_item", "hash": f"{kind}_hash", "id": f"{kind}_id", "key": kind,
    }
    for kind in ("collection", "gallery")
}
# Of several assets with one hash, a container means the first of these types.
PREFERRED_TYPES = ("photo", "video", "cover")
# Parts of one UNION of membership look-ups.
MAX_UNION_PARTS = 100

Row = dict[str, Any]
# (container_id, asset_id)
MemberKey = tuple[int, int]


class MembershipRow(TypedDict):
    """A membership, live or removed; `source_sync_id` names the bundle of its say."""

    container_id: int
    asset_id: int
    position: int
    deleted_at: datetime | None
    source_at: datetime | None
    source_batch_id: int | None
    source_sync_id: str | None


def lock_containers(tx: Transaction, container_type: str, hashes: Iterable[str]) -> dict[str, Row]:
    """Lock the existing containers until the transaction ends; return their rows by hash."""
    rows: dict[str, Row] = {}
    for chunk in chunked(sorted(hashes)):
        if tx.fetch_all_sql(_filled("containers.lock", container_type), hashes=chunk):
            found = tx.fetch_all_sql(_filled("containers.find", container_type), hashes=chunk)
            rows |= {row["container_hash"]: row for row in found}
    return rows


def create_containers(tx: Transaction, container_type: str, rows: list[Row]) -> dict[str, int]:
    """Insert containers; return their ids by hash.

    Raises: DatabaseConflictError, when another import created one of them meanwhile.
    """
    try:
        created = tx.insert_many("containers.create", rows, **_holes("containers.create", container_type))
    except DuplicateKeyError as error:
        raise DatabaseConflictError(f"Another import created this {container_type} meanwhile.") from error
    return {row["container_hash"]: row["id"] for row in created}


def write_containers(tx: Transaction, container_type: str, rows: list[Row]) -> None:
    """Write fields, mark and say of locked containers."""
    tx.insert_many("containers.write", rows, **_holes("containers.write", container_type))


def write_members(tx: Transaction, container_type: str, rows: list[Row]) -> None:
    """Insert, restore, move or remove memberships of locked containers."""
    tx.insert_many("containers.write_members", rows, **_holes("containers.write_members", container_type))


def assets_by_hash(tx: ReadTransaction, hashes: Iterable[str]) -> dict[str, list[Row]]:
    """asset_hash -> rows of its assets, live or removed, preferred types first."""
    rows: dict[str, list[Row]] = defaultdict(list)
    for chunk in chunked(sorted(hashes)):
        for row in tx.fetch_all("containers.assets", hashes=chunk):
            rows[row["asset_hash"]].append(row)
    for same in rows.values():
        same.sort(key=lambda row: PREFERRED_TYPES.index(row["asset_type"]))
    return dict(rows)


def find_memberships(
    tx: ReadTransaction, container_type: str, asset_ids: Mapping[int, Iterable[int]]
) -> dict[MemberKey, MembershipRow]:
    """Return the memberships of some assets, which are given by container id."""
    wanted = [(container_id, chunk) for container_id, ids in asset_ids.items() for chunk in chunked(sorted(ids))]
    return {
        (row["container_id"], row["asset_id"]): row
        for parts in chunked(wanted, MAX_UNION_PARTS)
        for row in tx.fetch_all_sql(_union(container_type, len(parts)), **_numbered(parts))
    }


def containers_with_members(tx: ReadTransaction, container_type: str, ids: Iterable[int]) -> set[int]:
    """Return those of these containers that have a live membership."""
    statement = _filled("containers.with_members", container_type)
    return {row["id"] for chunk in chunked(sorted(ids)) for row in tx.fetch_all_sql(statement, ids=chunk)}


def count_members(tx: ReadTransaction, container_type: str, container_id: int) -> int:
    """Return the number of live memberships of a container."""
    [row] = tx.fetch_all_sql(_filled("containers.count_members", container_type), container_id=container_id)
    return int(row["members"])


@cache
def _union(container_type: str, parts: int) -> str:
    holes = _holes("containers.members", container_type)
    return "\nUNION ALL\n".join(fill("containers.members", n=str(number), **holes) for number in range(parts))


def _numbered(parts: list[tuple[int, list[int]]]) -> dict[str, Any]:
    return {
        name: value for number, (container_id, ids) in enumerate(parts)
        for name, value in ((f"container_{number}", container_id), (f"assets_{number}", ids))
    }


def _filled(name: str, container_type: str) -> str:
    return fill(name, **_holes(name, container_type))


@cache
def _holes(name: str, container_type: str) -> dict[str, str]:
    """Return the fragments of a type that the statement has holes for."""
    holes = set(HOLE.findall(query(name)))
    return {hole: fragment for hole, fragment in TABLES[container_type].items() if hole in holes}
