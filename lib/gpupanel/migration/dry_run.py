"""import-worker --dry-run: import one batch and roll it back.

A dry run needs no job and no claim, and writes no ledger row. Until the rollback it holds the library rows that it
wrote. Therefore it takes `seconds` at most and does not wait for rows that an import holds; an import that needs its
rows waits for them for up to a minute.
"""

from collections import Counter
from collections.abc import Callable
from time import monotonic

from .. import ledger, order, preflight
from ..bundle_inspection import inspect_bundle
from ..library_reader import AssetKey
from ..db import DataError, Database, Transaction
from ..errors import DatabaseConflictError, InvalidStateError, ValidationProblemsError
from ..manifest import Container, Manifest
from ..models import BatchStatus, Decision, ItemPlan
from ..mount import Mount
from ..rows import BatchRow, PlannedItem
from ..worker import containers
from ..worker.chunk_writer import ImportRun
from ..worker.claims import with_first_reason
from ..worker.containers import PendingContainer
from ..worker.entry_writers import ContainerGroupWriter, ItemWriter
from ..worker.pipeline import Limits, Pipeline, result_of_counts, work_of_bundle
from .dry_run_output import Line, NaturalKeyFormatter
from ..worker.document_prefetch import ImportItem
from .recording_transaction import RecordingTransaction

# A worker waits for longer than this before it releases a job.
SECONDS = 40


class RollbackSignal(Exception):
    """Rolls the transaction back."""


class DryRun:
    """A dry run of one batch; `tell` receives each line of the plan."""

    def __init__(
        self, db: Database, mount: Mount, sync_id: str, tell: Callable[[Line], None], limits: Limits,
        *, seconds: float = SECONDS,
    ):
        self._db, self._mount, self._sync_id, self._tell = db, mount, sync_id, tell
        self._limits, self._seconds = limits, seconds

    def run(self) -> Line:
        """Print the plan; return its last line.

        Raises: NotFoundError, InvalidStateError or ValidationProblemsError.
        Raises: MountUnavailableError or DatabaseUnavailableError.
        """
        batch = self._db.run_read(ledger.get_batch, self._sync_id)
        if BatchStatus(batch["status"]) is BatchStatus.IMPORTING:
            raise InvalidStateError(f"Batch {self._sync_id} is importing.", "Try again when its job has ended.")
        if batch["undo_of"] is not None:
            raise InvalidStateError(
                f"Batch {self._sync_id} is an undo, which has no bundle.", "Run gpupanel undo --preview instead."
            )
        manifest = self._manifest(batch["status"])
        self._tell({"plan": 1, "sync_id": self._sync_id, "action": manifest.action, "manifest_sha256": manifest.sha256})
        try:
            with self._db.transaction() as tx:
                last = self._import(RolledBackImport(tx, batch, self._tell, self._seconds), manifest)
                raise RollbackSignal
        except RollbackSignal:
            self._tell(last)
            return last
        except DatabaseConflictError as error:
            raise InvalidStateError(
                "An import holds rows that this batch needs.", "Try again when it has ended."
            ) from error

    def _manifest(self, status: str) -> Manifest:
        bundle = inspect_bundle(self._mount, self._sync_id)
        preflight.raise_if_bundle_gone(bundle, status)
        if bundle.problems or bundle.manifest is None:
            raise ValidationProblemsError(
                f"Batch {self._sync_id} cannot be imported.", bundle.problems,
                "An import would fail for the same reasons.",
            )
        return bundle.manifest

    def _import(self, target: "RolledBackImport", manifest: Manifest) -> Line:
        Pipeline(target, self._mount, work_of_bundle(target.run(manifest), manifest), self._limits).run()
        ended = result_of_counts(dict(target.counts), target.container_counts)
        last_error = with_first_reason(ended.problem, target.first_reasons())
        return {"table": "ingest_batch", "key": {"sync_id": self._sync_id}, "values": {
            "status": str(ended.status), "last_error": last_error, "manifest_sha256": manifest.sha256,
        }}


class RolledBackImport:
    """The target of a dry run: one transaction whose writes are printed."""

    def __init__(self, tx: Transaction, batch: BatchRow, tell: Callable[[Line], None], seconds: float):
        self._tx, self._tell, self._seconds = RecordingTransaction(tx), tell, seconds
        self._batch, self.batch_id, self._sync_id = batch, batch["id"], batch["sync_id"]
        self._deadline = monotonic() + seconds
        self.counts: Counter[str] = Counter()
        self.container_counts: Counter[str] = Counter()
        self._item_failures: dict[int, str] = {}
        self._container_failures: dict[int, str] = {}
        self._tx.fetch_all("dry_run.patience")

    def run(self, manifest: Manifest) -> ImportRun:
        """Return the import of this bundle, which has no job."""
        return ImportRun(order.bundle_order(self._tx, self._batch, manifest))

    def checkpoint(self) -> None:
        """Stop the dry run when its time is over."""
        if monotonic() > self._deadline:
            raise InvalidStateError(
                f"The dry run would hold rows for more than {self._seconds:g} s, so it was rolled back.",
                "Plan a batch of this size on a copy of the database, or allow more with --seconds when no worker"
                " runs.",
            )

    def planned_items(self, keys: list[AssetKey]) -> dict[AssetKey, PlannedItem]:
        """Return the ledger's rows of these items."""
        return ledger.planned_items(self._tx, self.batch_id, keys)

    def is_open(self, row: PlannedItem) -> bool:
        """Return True: a dry run imports every item."""
        return True

    def settle(self, writer: ItemWriter, chunk: list[ImportItem]) -> list[ImportItem]:
        """Write a chunk and print its lines."""
        try:
            with self._tx.savepoint():
                settled = writer.write(self._tx, chunk)
        except DataError:
            settled = writer.write_individually(self._tx, chunk)
        self._print_writes()
        self.counts.update(str(each.plan.decision) for each in settled)
        for each in settled:
            self._tell(self._item_line(each.plan))
            if each.plan.decision is Decision.FAILED:
                _keep_first(self._item_failures, each.plan.position, each.plan.reason)
        return []

    def open_containers(self, entries: list[tuple[int, Container]]) -> list[PendingContainer]:
        """Return all of these containers."""
        return containers.open_containers(self._tx, self.batch_id, None, entries)

    def settle_containers(
        self, writer: ContainerGroupWriter, group: list[PendingContainer]
    ) -> list[PendingContainer]:
        """Write a group of containers and print its lines."""
        try:
            with self._tx.savepoint():
                settled = writer.write(self._tx, group)
        except DataError:
            settled = writer.write_individually(self._tx, group)
        self._print_writes()
        self.container_counts.update(str(each.decision) for each in settled if each.entry.is_first_step)
        for each in settled:
            if each.decision is Decision.FAILED:
                _keep_first(self._container_failures, each.entry.position, each.last_error or each.reason)
        return [each.entry.next_step() for each in settled if not each.is_final]

    def first_reasons(self) -> list[str]:
        """Return the reason of the first failed item by position, else of the first failed container, if any."""
        failures = self._item_failures or self._container_failures
        return list(failures.values())

    def _print_writes(self) -> None:
        written = self._tx.take_writes()
        for line in NaturalKeyFormatter(self._tx, self._sync_id, written).lines(written):
            self._tell(line)

    def _item_line(self, plan: ItemPlan) -> Line:
        key = {"batch_id.sync_id": self._sync_id, "asset_type": plan.asset_type, "asset_hash": plan.asset_hash}
        failed = plan.reason if plan.decision is Decision.FAILED else None
        return {"table": "ingest_batch_item", "key": key, "values": {
            "position": plan.position, "cover_hash": plan.cover_hash, "decision": str(plan.decision),
            "reason": plan.reason, "last_error": failed,
        }}


def _keep_first(failures: dict[int, str], position: int, reason: str) -> None:
    """Keep in `failures` the reason of the lowest position alone."""
    if position < min(failures, default=position + 1):
        failures.clear()
        failures[position] = reason
