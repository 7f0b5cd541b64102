"""The import of one claimed batch, up to the end of its job.

Every transaction carries the fence of the claim, so that a worker that lost its claim commits nothing
(docs/CONTRACT.md, "9. Import").
"""

from collections.abc import Callable
from time import monotonic
from typing import Any, Protocol, TypeVar

from .. import ledger, order, preflight
from ..library_reader import AssetKey
from ..db import DataError, Database, ReadTransaction, Transaction
from ..errors import BundleIncompleteError, ClaimLostError, CommitUnknownError, ManifestError, OrderError, PanelError
from ..manifest import Manifest, parse_manifest
from ..models import DONE_DECISIONS, Decision
from ..mount import Mount, call_with_timeout
from ..order import BundleOrder
from . import claims
from .chunk_writer import HOLD, ChunkWriter, ImportRun
from .claims import Claim, ImportResult
from .containers import ContainerFailure, Step
from .heartbeat import Heartbeat
from .pipeline import Limits, NOT_PLANNED, Pipeline, result_of_counts
from .document_prefetch import ImportItem, MOUNT_TIMEOUT_SECONDS

T = TypeVar("T")

EVENT_SECONDS = 10
# Bounds the check of all files of a bundle.
EXAMINE_SECONDS = 3600


class ImportRejectedError(PanelError):
    """The batch cannot be imported as it is; the job fails with this reason."""

    message = "The batch cannot be imported as it is."


class ImportHooks(Protocol):
    """What an importer calls while it works."""

    def checkpoint(self, progress: str) -> None:
        """Run between transactions; may raise to stop the import there."""

    def manifest_changed(self, before: str, after: str, is_valid: bool) -> None:
        """Report the SHA-256 of the planned manifest and of its replacement."""


class Importer:
    """Imports the batch of one claim.

    Every commit stays when a hook stops the import; the next claim of the job continues there.
    """

    def __init__(
        self, db: Database, mount: Mount, claim: Claim, heartbeat: Heartbeat, hooks: ImportHooks,
        *, chunk_items: int, readers: int, on_change: str = HOLD,
    ):
        self._db, self._mount, self._claim, self._heartbeat, self._hooks = db, mount, claim, heartbeat, hooks
        self._limits, self._on_change = Limits(chunk_items, readers), on_change
        self.items_done, self.items_total = claim.items_done, claim.items_total
        self._noted = monotonic()

    def run(self) -> ImportResult:
        """Import everything that is not settled yet, and end the job.

        Raises: ClaimLostError.
        Raises: BundleIncompleteError or MountUnavailableError, when the bundle or the mount is gone or not readable.
        Raises: ImportRejectedError.
        Raises: DatabaseUnavailableError.
        """
        manifest = self._manifest()
        run = ImportRun(self._db.run_read(self._bundle_order, manifest), self._claim.job_id, self._on_change)
        failures = Pipeline(self, self._mount, run, manifest, self._limits).run()
        self.checkpoint()
        return self._finish(manifest, failures)

    @property
    def progress(self) -> str:
        """How many items are settled, failed ones included, in words."""
        return f"{self.items_done} of {self.items_total} items"

    # ------------------------------------------------------------------------------------------- the manifest

    def _manifest(self) -> Manifest:
        """Return the manifest; plan the batch again when it has changed."""
        planned = self._db.run_read(ledger.get_batch, self._claim.sync_id)["manifest_sha256"]
        return self._as_planned(planned) or self._replanned(planned)

    def _as_planned(self, planned: str | None) -> Manifest | None:
        try:
            raw = self._from_mount(MOUNT_TIMEOUT_SECONDS, lambda: self._mount.read_manifest(self._claim.sync_id))
            manifest = parse_manifest(raw, self._claim.sync_id, checkpoint=self.checkpoint)
        except ManifestError:
            return None  # planning these bytes reports their problems
        return manifest if manifest.sha256 == planned else None

    def _replanned(self, planned: str | None) -> Manifest:
        bundle = self._from_mount(EXAMINE_SECONDS, lambda: preflight.inspect_bundle(self._mount, self._claim.sync_id))
        if bundle.gone or (bundle.manifest and bundle.problems):
            raise BundleIncompleteError("; ".join(bundle.problems))
        result = self._db.run_transaction(self._plan_anew, bundle)
        if planned and bundle.sha256 and bundle.sha256 != planned:
            self._hooks.manifest_changed(planned, bundle.sha256, result.ok)
        if not result.ok or bundle.manifest is None:
            raise ImportRejectedError("; ".join(result.problems))
        self.items_done, self.items_total = 0, result.item_count
        return bundle.manifest

    def _bundle_order(self, tx: ReadTransaction, manifest: Manifest) -> BundleOrder:
        """Return the bundle's position in upstream's order, which the preflight fixed."""
        try:
            return order.bundle_order(tx, ledger.get_batch(tx, self._claim.sync_id), manifest)
        except OrderError as error:
            raise ImportRejectedError("; ".join(error.problems)) from error

    def _from_mount(self, seconds: float, look: Callable[[], T]) -> T:
        return call_with_timeout(look, self.checkpoint, seconds)

    def _plan_anew(self, tx: Transaction, bundle: preflight.BundleInspection) -> preflight.PreflightResult:
        claims.reset_progress(tx, self._claim, len(bundle.manifest.items) if bundle.manifest else 0)
        batch = tx.fetch_one("ledger.lock_by_id", batch_id=self._claim.batch_id)
        assert batch is not None
        return preflight.write_plan(tx, batch, bundle, self._claim.worker, phase="import")

    # ------------------------------------------------------------------------------------- the pipeline's target

    def checkpoint(self) -> None:
        """Run the hook; it may raise to stop the import."""
        self._hooks.checkpoint(self.progress)

    def planned_items(self, keys: list[AssetKey]) -> dict[AssetKey, dict[str, Any]]:
        """Return the ledger's rows of these items."""
        return self._db.run_read(ledger.planned_items, self._claim.batch_id, keys)

    def is_open(self, row: dict[str, Any]) -> bool:
        """Return whether no job has settled the item, or only as failed before."""
        failed_before = row["decision"] == Decision.FAILED and row["job_id"] != self._claim.job_id
        return failed_before or row["decision"] not in DONE_DECISIONS

    def settle(self, writer: ChunkWriter, chunk: list[ImportItem]) -> list[ImportItem]:
        """Write a chunk in one transaction; return the items still open.

        Items are still open only when a lost COMMIT had no effect.
        """
        since = monotonic()
        try:
            noted = self._write(writer, chunk)
            still_open = []
        except CommitUnknownError:
            noted, still_open = False, self._db.run_transaction(self._unfinished, chunk)
        self.items_done += len(chunk) - len(still_open)
        self._heartbeat.record_beat(since)
        if noted:
            self._noted = monotonic()
        return still_open

    def _write(self, writer: ChunkWriter, chunk: list[ImportItem]) -> bool:
        try:
            return self._db.run_transaction(self._commit_chunk, writer, chunk)
        except DataError:
            return self._db.run_transaction(self._commit_individually, writer, chunk)

    def _commit_chunk(self, tx: Transaction, writer: ChunkWriter, chunk: list[ImportItem]) -> bool:
        """Write library, fence, ledger and results; return whether an event was due."""
        settled = writer.write(tx, chunk)
        claims.advance(tx, self._claim, len(settled))
        writer.record(tx, settled)
        return self._note_progress(tx, len(settled))

    def _commit_individually(self, tx: Transaction, writer: ChunkWriter, chunk: list[ImportItem]) -> bool:
        """Do the same item by item; only those that the database refuses fail."""
        settled = writer.write_individually(tx, chunk)
        claims.advance(tx, self._claim, len(settled))
        return self._note_progress(tx, len(settled))

    def _note_progress(self, tx: Transaction, items: int) -> bool:
        noting = monotonic() - self._noted >= EVENT_SECONDS
        if noting:
            claims.append_progress_event(tx, self._claim, self.items_done + items, self.items_total)
        self._heartbeat.raise_if_lost()
        return noting

    def _unfinished(self, tx: Transaction, chunk: list[ImportItem]) -> list[ImportItem]:
        """Return the items that are not settled.

        The heartbeat first waits for our own transaction to end.
        """
        claims.heartbeat(tx, self._claim)
        rows = ledger.planned_items(tx, self._claim.batch_id, [entry.key for entry in chunk])
        return [entry for entry in chunk if rows.get(entry.key, NOT_PLANNED)["job_id"] != self._claim.job_id]

    def take(self, step: Step) -> list[str]:
        """Take one step of a container; repeat it after a lost reply."""
        try:
            return self._db.run_transaction(self._take, step)
        except CommitUnknownError:
            return self._db.run_transaction(self._take, step)

    def _take(self, tx: Transaction, step: Step) -> list[str]:
        missing = step(tx)
        claims.heartbeat(tx, self._claim)
        return missing

    # ------------------------------------------------------------------------------------------------- the end

    def _finish(self, manifest: Manifest, failures: list[ContainerFailure]) -> ImportResult:
        try:
            return self._db.run_transaction(self._end, manifest, failures)
        except CommitUnknownError:
            return self._finish_again(manifest, failures)

    def _finish_again(self, manifest: Manifest, failures: list[ContainerFailure]) -> ImportResult:
        """Finish after a lost reply.

        If the first COMMIT took effect, the job has ended under our token.
        """
        try:
            return self._db.run_transaction(self._end, manifest, failures)
        except ClaimLostError:
            if not self._db.run_read(claims.has_ended, self._claim.token):
                raise
            return self._db.run_read(self._outcome, failures)

    def _end(self, tx: Transaction, manifest: Manifest, failures: list[ContainerFailure]) -> ImportResult:
        self._heartbeat.raise_if_lost()
        outcome = self._outcome(tx, failures)
        claims.finish(tx, self._claim, outcome, manifest.sha256, failures)
        return outcome

    def _outcome(self, tx: Transaction, failures: list[ContainerFailure]) -> ImportResult:
        return result_of_counts(ledger.decision_counts(tx, self._claim.batch_id), len(failures))
