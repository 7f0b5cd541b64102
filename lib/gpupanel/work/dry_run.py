"""import-worker --dry-run: the import of one batch in one transaction that is undone, and what it would have written.

It needs no job and no claim, and writes no ledger row. Until it is undone it holds the library rows that it touched, as
an import would for each chunk; therefore it may take `seconds` at most, gives way to whoever holds a row already, and an
import that meets its rows only waits for them: a worker tries for a minute before it puts a job aside.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial
from time import monotonic

from .. import ledger, preflight
from ..database import DataRefused, Database
from ..errors import DatabaseConflict, Problems, Refused
from ..manifest import Container, Manifest
from ..model import BatchStatus, Decision, Plan
from ..mount import Mount
from . import containers
from .chunk import Chunks, Unread, needs_documents
from .importer import outcome_of, planned_entries
from .plan import Line, Naming
from .reader import Entry, Readers, cut
from .recorder import Recorder

# The longest that rows are held; a worker waits for longer than this before it gives a job up.
SECONDS = 40


class Undone(Exception):
    """Ends the transaction without a trace."""


class DryRun:
    """A dry run of the batch `sync_id`; `tell` is given each line of the plan."""

    def __init__(
        self, db: Database, mount: Mount, sync_id: str, tell: Callable[[Line], None],
        *, chunk_items: int, readers: int, seconds: float = SECONDS,
    ):
        self._db, self._mount, self._sync_id, self._tell = db, mount, sync_id, tell
        self._chunk_items, self._threads, self._seconds = chunk_items, readers, seconds
        self._counts: Counter[str] = Counter()

    def run(self) -> Line:
        """Plan it; returns the last line. Raises NotFound, Refused, Problems, MountUnavailable, DatabaseUnavailable."""
        batch = self._db.read(ledger.batch, self._sync_id)
        if BatchStatus(batch["status"]) is BatchStatus.IMPORTING:
            raise Refused(f"Batch {self._sync_id} is being imported just now.", "Try again when its job has ended.")
        manifest = self._manifest(batch["status"])
        self._tell({"plan": 1, "sync_id": self._sync_id, "action": manifest.action, "manifest_sha256": manifest.sha256})
        self._deadline = monotonic() + self._seconds
        try:
            with self._db.transaction() as tx:
                last = self._import(Recorder(tx), batch["id"], manifest)
                raise Undone
        except Undone:
            self._tell(last)
            return last
        except DatabaseConflict as error:
            raise Refused("An import holds rows that this batch needs.", "Try again when it has ended.") from error

    def _manifest(self, status: str) -> Manifest:
        examined = preflight.examine(self._mount, self._sync_id)
        preflight.require_there(examined, status)
        if examined.problems:
            hint = "An import would not go through either."
            raise Problems(f"Batch {self._sync_id} cannot be imported.", examined.problems, hint)
        return examined.manifest

    def _import(self, tx: Recorder, batch_id: int, manifest: Manifest) -> Line:
        tx.run("plan.patience")
        tx.take()
        carrier, look_up = Chunks(batch_id, manifest), partial(ledger.planned_items, tx, batch_id)
        entries = (entry for entry, _ in planned_entries(manifest, look_up))
        self._read_and_carry_out(tx, carrier, entries, lambda entry: needs_documents(manifest.action, entry))
        failures = self._containers(tx, batch_id, manifest)
        ended = outcome_of(dict(self._counts), failures)
        return {"table": "ingest_batch", "key": {"sync_id": self._sync_id}, "values": {
            "status": str(ended.status), "last_error": ended.problem, "manifest_sha256": manifest.sha256,
        }}

    def _attend(self) -> None:
        if monotonic() > self._deadline:
            raise Refused(
                f"The dry run would hold rows for more than {self._seconds:g} s, so it was undone.",
                "Plan a batch of this size on a copy of the database, or allow more with --seconds when no worker runs.",
            )

    # ----------------------------------------------------------------------------------------------- the items

    def _read_and_carry_out(
        self, tx: Recorder, carrier: Chunks, entries: Iterable[Entry], needed: Callable[[Entry], bool]
    ) -> None:
        with Readers(self._mount, self._threads, self._attend) as readers:
            for chunk in cut(readers.ahead(entries, needed, 2 * self._chunk_items), self._chunk_items):
                self._attend()
                self._carry_out(tx, carrier, chunk)

    def _carry_out(self, tx: Recorder, carrier: Chunks, chunk: list[Entry]) -> None:
        """As the importer does it, in the transaction at hand."""
        try:
            with tx.savepoint():
                done = carrier.carry_out(tx, chunk)
        except Unread as unread:
            unread_keys = {entry.key for entry in unread.entries}
            return self._read_and_carry_out(tx, carrier, chunk, lambda entry: entry.key in unread_keys)
        except DataRefused:
            done = carrier.one_by_one(tx, chunk)
        self._items(tx, done)

    def _items(self, tx: Recorder, done: list[Plan]) -> None:
        self._told(tx)
        self._counts.update(str(plan.decision) for plan in done)
        for plan in done:
            key = {"batch_id.sync_id": self._sync_id, "asset_type": plan.asset_type, "asset_hash": plan.asset_hash}
            failed = plan.reason if plan.decision is Decision.FAILED else None
            values = {
                "position": plan.position, "cover_hash": plan.cover_hash, "decision": str(plan.decision),
                "reason": plan.reason, "last_error": failed,
            }
            self._tell({"table": "ingest_batch_item", "key": key, "values": values})

    def _told(self, tx: Recorder) -> None:
        written = tx.take()
        for line in Naming(tx, self._sync_id, written).lines(written):
            self._tell(line)

    # ------------------------------------------------------------------------------------------ the containers

    def _containers(self, tx: Recorder, batch_id: int, manifest: Manifest) -> int:
        """How many containers would not be whole."""
        return sum(not self._container(tx, manifest.action, batch_id, container) for container in manifest.containers)

    def _container(self, tx: Recorder, action: str, batch_id: int, container: Container) -> bool:
        missing: list[str] = []
        try:
            for step in containers.steps(action, batch_id, container):
                self._attend()
                with tx.savepoint():
                    missing += step(tx)
                self._told(tx)
        except DataRefused:
            return False
        return not missing
