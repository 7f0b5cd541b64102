"""Galleries and collections: they and their memberships (docs/CONTRACT.md, 9).

Membership is additive, and a bundle that is imported again changes nothing. Only a `remove` takes members out.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

from .. import catalogue
from ..database import Duplicate, Transaction, chunks
from ..errors import DatabaseConflict
from ..manifest import Container

SAMPLES = 5
# The most members that are written in one transaction.
MEMBERS = 500

# What is written together: step(tx) -> hashes of members that the library does not have. Taking it again changes nothing.
Step = Callable[[Transaction], list[str]]
# (position, asset_hash)
Members = list[tuple[int, str]]


class Failure(NamedTuple):
    """A container that is not whole; `missing` are the first hashes of the `missing_count` members that are nowhere."""

    container_type: str
    container_hash: str
    reason: str
    missing: list[str]
    missing_count: int


def steps(action: str, batch_id: int, container: Container) -> Iterator[Step]:
    """How one container is carried out; a large one takes several transactions, none of which does half of what it says."""
    for members in list(chunks(enumerate(container.items), MEMBERS)) or [[]]:
        if action == "remove":
            yield partial(take_out, batch_id=batch_id, container=container, members=members)
        else:
            yield partial(bring_in, batch_id=batch_id, action=action, container=container, members=members)


def lacking(container: Container, missing: list[str]) -> Failure:
    """The container came without these members."""
    reason = "these members are not in the library; the others were linked"
    return Failure(container.type, container.container_hash, reason, missing[:SAMPLES], len(missing))


def refused(container: Container, problem: object) -> Failure:
    """The database would not have the container."""
    return Failure(container.type, container.container_hash, f"the database refused it: {problem}", [], 0)


# ----------------------------------------------------------------------------------------- create and update


def bring_in(tx: Transaction, batch_id: int, action: str, container: Container, members: Members) -> list[str]:
    """Make the container, if need be, and link some members; returns the hashes of those that the library does not have.

    Raises DataRefused, and DatabaseConflict when another import was faster with the same container.
    """
    container_id = _ensure(tx, batch_id, action, container)
    assets = catalogue.by_hash(tx, [asset_hash for _, asset_hash in members])
    wanted = {assets[asset_hash]: position for position, asset_hash in reversed(members) if asset_hash in assets}
    known = _members(tx, container, container_id, list(wanted))
    changes = [
        {"container_id": container_id, "asset_id": asset_id, "position": position}
        for asset_id, position in sorted(wanted.items()) if _differs(action, known.get(asset_id), position)
    ]
    if changes:
        tx.run(f"containers.{container.type}_touch", container_id=container_id)
        tx.run_many(f"containers.{container.type}_add_members", changes)
    return [asset_hash for _, asset_hash in members if asset_hash not in assets]


def _ensure(tx: Transaction, batch_id: int, action: str, container: Container) -> int:
    """The id of the container, which is made, restored, or updated as its bundle's action allows."""
    facts = {"title": container.title, "cover_hash": container.cover_hash, "batch_id": batch_id}
    row = _hold(tx, container)
    if row is None:
        return _create(tx, container, facts)
    differs = (row["title"], row["cover_hash"]) != (container.title, container.cover_hash)
    if row["deleted_at"] is not None or (differs and action == "update"):
        tx.run(f"containers.{container.type}_update", container_id=row["id"], **facts)
    return row["id"]


def _create(tx: Transaction, container: Container, facts: dict[str, Any]) -> int:
    try:
        return tx.insert(f"containers.{container.type}_create", container_hash=container.container_hash, **facts)
    except Duplicate as error:
        raise DatabaseConflict(f"Another import made this {container.type} meanwhile.") from error


def _members(tx: Transaction, container: Container, container_id: int, asset_ids: list[int]) -> dict[int, dict]:
    if not asset_ids:
        return {}
    rows = tx.all(f"containers.{container.type}_members", container_id=container_id, asset_ids=asset_ids)
    return {row["asset_id"]: row for row in rows}


def _differs(action: str, member: dict[str, Any] | None, position: int) -> bool:
    """Whether a membership is to be written; a create never moves one that is there."""
    if member is None or member["deleted_at"] is not None:
        return True
    return action == "update" and member["position"] != position


# ------------------------------------------------------------------------------------------------------ remove


def take_out(tx: Transaction, batch_id: int, container: Container, members: Members) -> list[str]:
    """Take out the members that are listed; the container goes with its last one. An empty list is no instruction.

    What is not there needs no taking out, so nothing is ever missing.
    """
    row = _hold(tx, container)
    if row is None or row["deleted_at"] is not None or not members:
        return []
    hashes = [asset_hash for _, asset_hash in members]
    found = tx.all(f"containers.{container.type}_find_members", container_id=row["id"], hashes=hashes)
    if found:
        tx.run(f"containers.{container.type}_touch", container_id=row["id"])
        tx.run(f"containers.{container.type}_remove_members", ids=[member["id"] for member in found])
    if tx.one(f"containers.{container.type}_has_members", container_id=row["id"]) is None:
        tx.run(f"containers.{container.type}_remove", container_id=row["id"], batch_id=batch_id)
    return []


def _hold(tx: Transaction, container: Container) -> dict[str, Any] | None:
    return tx.one(f"containers.{container.type}_hold", container_hash=container.container_hash)
