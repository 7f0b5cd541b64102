"""Galleries and collections: they and their memberships, each in transactions of its own (DESIGN section 9).

Membership is additive, and a bundle that is imported again changes nothing. Only a `remove` takes members out.
"""

from typing import Any, Callable, Iterator

from .. import catalogue, ledger
from ..database import Database, Duplicate, Transaction, chunks
from ..errors import DatabaseConflict
from ..manifest import Container, Manifest
from . import claims
from .claims import Claim

SAMPLES = 5
# The most members that are written in one transaction.
MEMBERS = 500

# What is written together, under the claim: work(tx) -> hashes of members that are missing.
Step = Callable[[Transaction], list[str]]


class Containers:
    """Carries out the containers of one batch; `attend` is called before each transaction."""

    def __init__(self, db: Database, claim: Claim, manifest: Manifest, attend: Callable[[], None]):
        self._db, self._claim, self._manifest, self._attend = db, claim, manifest, attend

    def carry_out(self) -> int:
        """Write all containers; returns how many could not be written whole. Raises ClaimLost."""
        return sum(not self._one(container) for container in self._manifest.containers)

    def _one(self, container: Container) -> bool:
        missing: list[str] = []
        for step in self.steps(container):
            self._attend()
            missing += self._db.transact(self._fenced, step)
        if missing:
            self._db.transact(self._note_missing, container, missing)
        return not missing

    def steps(self, container: Container) -> Iterator[Step]:
        """A large container takes several transactions, none of which does half of what it says."""
        members = list(chunks(enumerate(container.items), MEMBERS)) or [[]]
        if self._manifest.action == "remove":
            yield from (lambda tx, some=some: self._take_out(tx, container, some) for some in members)
        else:
            yield from (lambda tx, some=some: self._bring_in(tx, container, some) for some in members)

    def _fenced(self, tx: Transaction, step: Step) -> list[str]:
        missing = step(tx)
        claims.beat(tx, self._claim)
        return missing

    # ------------------------------------------------------------------------------------- create and update

    def _bring_in(self, tx: Transaction, container: Container, members: list[tuple[int, str]]) -> list[str]:
        container_id = self._ensure(tx, container)
        assets = catalogue.by_hash(tx, [asset_hash for _, asset_hash in members])
        wanted = {assets[asset_hash]: position for position, asset_hash in reversed(members) if asset_hash in assets}
        known = self._members(tx, container, container_id, list(wanted))
        tx.run_many(f"containers.{container.type}_add_members", [
            {"container_id": container_id, "asset_id": asset_id, "position": position}
            for asset_id, position in sorted(wanted.items()) if self._differs(known.get(asset_id), position)
        ])
        return [asset_hash for _, asset_hash in members if asset_hash not in assets]

    def _ensure(self, tx: Transaction, container: Container) -> int:
        """The id of the container, which is made, restored, or updated as its bundle's action allows."""
        facts = {"title": container.title, "cover_hash": container.cover_hash, "batch_id": self._claim.batch_id}
        row = self._hold(tx, container)
        if row is None:
            try:
                return tx.insert(
                    f"containers.{container.type}_create", container_hash=container.container_hash, **facts
                )
            except Duplicate as error:
                raise DatabaseConflict(f"Another import made this {container.type} meanwhile.") from error
        differs = (row["title"], row["cover_hash"]) != (container.title, container.cover_hash)
        if row["deleted_at"] is not None or (differs and self._manifest.action == "update"):
            tx.run(f"containers.{container.type}_update", container_id=row["id"], **facts)
        return row["id"]

    def _differs(self, member: dict[str, Any] | None, position: int) -> bool:
        """Whether a membership is to be written; a create never moves one that is there."""
        if member is None or member["deleted_at"] is not None:
            return True
        return self._manifest.action == "update" and member["position"] != position

    def _members(self, tx: Transaction, container: Container, container_id: int, asset_ids: list[int]) -> dict[int, dict]:
        if not asset_ids:
            return {}
        rows = tx.all(f"containers.{container.type}_members", container_id=container_id, asset_ids=asset_ids)
        return {row["asset_id"]: row for row in rows}

    # -------------------------------------------------------------------------------------------------- remove

    def _take_out(self, tx: Transaction, container: Container, members: list[tuple[int, str]]) -> list[str]:
        """Take out the members that are listed; the container goes with its last one. An empty list is no instruction."""
        row = self._hold(tx, container)
        if row is None or row["deleted_at"] is not None or not members:
            return []
        hashes = [asset_hash for _, asset_hash in members]
        found = tx.all(f"containers.{container.type}_find_members", container_id=row["id"], hashes=hashes)
        if found:
            tx.run(f"containers.{container.type}_remove_members", ids=[member["id"] for member in found])
        if tx.one(f"containers.{container.type}_has_members", container_id=row["id"]) is None:
            tx.run(f"containers.{container.type}_remove", container_id=row["id"], batch_id=self._claim.batch_id)
        return []

    def _hold(self, tx: Transaction, container: Container) -> dict[str, Any] | None:
        return tx.one(f"containers.{container.type}_hold", container_hash=container.container_hash)

    # ---------------------------------------------------------------------------------------------- what failed

    def _note_missing(self, tx: Transaction, container: Container, missing: list[str]) -> None:
        claims.beat(tx, self._claim)
        payload = {
            "container_hash": container.container_hash, "container_type": container.type,
            "job_id": self._claim.job_id, "missing": missing[:SAMPLES], "missing_count": len(missing), "phase": "import",
            "reason": "these members are not in the library; the others were linked",
        }
        ledger.append(tx, self._claim.batch_id, "container_failed", payload, self._claim.worker)
