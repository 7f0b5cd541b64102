"""Galleries and collections with their memberships.

Membership is additive, and importing a bundle twice changes nothing. Only a `remove` unlinks members
(docs/CONTRACT.md, "9. Import").
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from .. import library_reader
from ..db import DuplicateKeyError, Transaction, chunked
from ..errors import DatabaseConflictError
from ..manifest import Container

SAMPLES = 5
# Bounds the members that one transaction writes.
MEMBERS = 500

# One transaction's part of a container: step(tx) -> hashes of missing members. A step is idempotent.
Step = Callable[[Transaction], list[str]]
# (position, asset_hash)
Members = list[tuple[int, str]]


@dataclass(frozen=True, slots=True)
class ContainerFailure:
    """An incomplete container; `missing` is a sample of missing hashes."""

    container_type: str
    container_hash: str
    reason: str
    missing: list[str]
    missing_count: int


def container_steps(action: str, batch_id: int, container: Container) -> Iterator[Step]:
    """Yield the steps of a container, each for one transaction."""
    for members in list(chunked(enumerate(container.items), MEMBERS)) or [[]]:
        if action == "remove":
            yield partial(unlink_members, batch_id=batch_id, container=container, members=members)
        else:
            yield partial(link_members, batch_id=batch_id, action=action, container=container, members=members)


def missing_members(container: Container, missing: list[str]) -> ContainerFailure:
    """Return the failure of a container that lacks members."""
    reason = "these members are not in the library; the others were linked"
    return ContainerFailure(container.type, container.container_hash, reason, missing[:SAMPLES], len(missing))


def rejected(container: Container, problem: object) -> ContainerFailure:
    """Return the failure of a container that the database refused."""
    return ContainerFailure(container.type, container.container_hash, f"the database refused it: {problem}", [], 0)


# ----------------------------------------------------------------------------------------- create and update


def link_members(tx: Transaction, batch_id: int, action: str, container: Container, members: Members) -> list[str]:
    """Link members to a container; return the hashes of missing members.

    Raises: DataError.
    Raises: DatabaseConflictError, when another import created the container meanwhile.
    """
    container_id = _ensure(tx, batch_id, action, container)
    assets = library_reader.asset_ids_by_hash(tx, [asset_hash for _, asset_hash in members])
    wanted = {assets[asset_hash]: position for position, asset_hash in reversed(members) if asset_hash in assets}
    known = _members(tx, container, container_id, list(wanted))
    changes = [
        {"container_id": container_id, "asset_id": asset_id, "position": position}
        for asset_id, position in sorted(wanted.items()) if _differs(action, known.get(asset_id), position)
    ]
    if changes:
        tx.execute(f"containers.{container.type}_touch", container_id=container_id)
        tx.insert_many(f"containers.{container.type}_add_members", changes)
    return [asset_hash for _, asset_hash in members if asset_hash not in assets]


def _ensure(tx: Transaction, batch_id: int, action: str, container: Container) -> int:
    """Return the container's id; create, restore or update the container."""
    facts = {"title": container.title, "cover_hash": container.cover_hash, "batch_id": batch_id}
    row = _hold(tx, container)
    if row is None:
        return _create(tx, container, facts)
    differs = (row["title"], row["cover_hash"]) != (container.title, container.cover_hash)
    if row["deleted_at"] is not None or (differs and action == "update"):
        tx.execute(f"containers.{container.type}_update", container_id=row["id"], **facts)
    return row["id"]


def _create(tx: Transaction, container: Container, facts: dict[str, Any]) -> int:
    try:
        return tx.insert(f"containers.{container.type}_create", container_hash=container.container_hash, **facts)
    except DuplicateKeyError as error:
        raise DatabaseConflictError(f"Another import created this {container.type} meanwhile.") from error


def _members(tx: Transaction, container: Container, container_id: int, asset_ids: list[int]) -> dict[int, dict[str, Any]]:
    if not asset_ids:
        return {}
    rows = tx.fetch_all(f"containers.{container.type}_members", container_id=container_id, asset_ids=asset_ids)
    return {row["asset_id"]: row for row in rows}


def _differs(action: str, member: dict[str, Any] | None, position: int) -> bool:
    """Return whether to write a membership; a create never moves one."""
    if member is None or member["deleted_at"] is not None:
        return True
    return action == "update" and member["position"] != position


# ------------------------------------------------------------------------------------------------------ remove


def unlink_members(tx: Transaction, batch_id: int, container: Container, members: Members) -> list[str]:
    """Unlink the listed members, and remove the container with its last one.

    An empty list removes nothing: absence is never an instruction.
    """
    row = _hold(tx, container)
    if row is None or row["deleted_at"] is not None or not members:
        return []
    hashes = [asset_hash for _, asset_hash in members]
    rows = tx.fetch_all(f"containers.{container.type}_find_members", container_id=row["id"], hashes=hashes)
    if rows:
        tx.execute(f"containers.{container.type}_touch", container_id=row["id"])
        tx.execute(f"containers.{container.type}_remove_members", ids=[member["id"] for member in rows])
    if tx.fetch_one(f"containers.{container.type}_has_members", container_id=row["id"]) is None:
        tx.execute(f"containers.{container.type}_remove", container_id=row["id"], batch_id=batch_id)
    return []


def _hold(tx: Transaction, container: Container) -> dict[str, Any] | None:
    return tx.fetch_one(f"containers.{container.type}_hold", container_hash=container.container_hash)
