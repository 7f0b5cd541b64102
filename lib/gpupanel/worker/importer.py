"""The import of one claimed batch, up to the end of its job.

Every transaction carries the fence of the claim, so that a worker that lost its claim commits nothing. A job ends only
when nothing of its batch is open, however often the server lost commits (docs/CONTRACT.md, "9. Import").
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from time import monotonic
from typing import NamedTuple, Protocol

from .. import ledger
from ..db import DataError, Database, ReadTransaction, Transaction
from ..errors import ClaimLostError, CommitUnknownError, DatabaseUnavailableError, JobNotDoneError, PanelError
from ..ledger import results
from ..library_reader import AssetKey
from ..manifest import Container
from ..models import DONE_DECISIONS, SIZE, Decision
from ..mount import Mount
from ..rows import PlannedItem
from . import claims, containers
from .chunk_writer import HOLD, DocumentsRequired
from .claims import Claim, ImportResult, ManifestAtEnd
from .containers import PendingContainer, SettledContainer
from .outage_retry import run_idempotent
from .document_prefetch import ImportItem
from .entry_writers import ContainerGroupWriter, ItemWriter
from .heartbeat import Heartbeat
from .job_manifest import BundleChangedError, JobManifest
from .parallel_pipeline import ParallelPipeline, WrittenChunk
from .pipeline import Entries, Limits, Pipeline, Work, result_of_counts
from .undo_source import UndoSource

EVENT_SECONDS = 10
# A job fails after this many rounds in a row in which no open entry was settled.
FUTILE_ROUNDS = 5
# Items from which on two threads write the chunks: a smaller bundle has one or two chunks of the usual size.
PARALLEL_ITEMS = 1000


class ImportRejectedError(PanelError):
    """The batch cannot be imported as it is; the job fails with this reason."""

    message = "The batch cannot be imported as it is."


class ImportHooks(Protocol):
    """What an importer calls while it works."""

    def checkpoint(self, progress: str) -> None:
        """Run between transactions; may raise to stop the import there."""

    def warn(self, text: str) -> None:
        """Log a warning about the job."""


class JobSource(Protocol):
    """Where a job finds what it imports: the mount, or the plan of an undo."""

    @property
    def sha256(self) -> str | None:
        """The digest of the manifest, once it is open; an undo has none."""

    def open(self) -> Work:
        """Return what was approved, or raise what ends or holds the job."""

    def compare_at_end(self) -> ManifestAtEnd:
        """Compare the source with what was imported."""


class ImportOptions(NamedTuple):
    """Options of an import; `on_change` says what follows a change after the approval: hold or replan.

    `verify` and `fails_unreadable` are those of `Limits`.
    """

    chunk_items: int
    readers: int
    on_change: str = HOLD
    verify: str = SIZE
    fails_unreadable: bool = False


class Importer:
    """Imports the batch of one claim.

    Every commit stays when a hook stops the import; the next claim of the job continues there.
    """

    def __init__(
        self, db: Database, mount: Mount, claim: Claim, heartbeat: Heartbeat, hooks: ImportHooks, options: ImportOptions
    ):
        self._db, self._mount, self._claim, self._heartbeat, self._hooks = db, mount, claim, heartbeat, hooks
        self._options = options
        self._source: JobSource = (
            JobManifest(db, mount, claim, self, options.on_change) if claim.undo_of is None else UndoSource(db, claim)
        )
        self.items_done, self.items_total = claim.items_done, claim.items_total
        self._plan = claim.plan
        self._whole: Entries | None = None  # the entries, if one chunk may have all of them
        self._result_of_whole: ImportResult | None = None
        self._containers_total = 0
        self._progress_event_at = monotonic()
        self._epoch = db.epoch
        self._may_lack_entries = False  # a connection was replaced in this round, and the server may have lost commits

    def run(self) -> ImportResult:
        """Import everything that is not settled yet, and end the job.

        Raises: ClaimLostError.
        Raises: BundleIncompleteError or MountUnavailableError, when the bundle or the mount is gone or not readable.
        Raises: ImportRejectedError.
        Raises: DatabaseUnavailableError.
        """
        try:
            work = self._source.open()
        except BundleChangedError as changed:
            return changed.result
        self._claim = replace(self._claim, manifest_sha256=self._source.sha256)
        self._containers_total = len(work.entries.containers)
        if self._plan and len(self._plan) == len(work.entries.items) and not work.entries.containers:
            self._whole = work.entries
        return self._import_until_done(work)

    @property
    def progress(self) -> str:
        """How many items are settled, failed ones included, in words."""
        return f"{self.items_done} of {self.items_total} items"

    def _import_until_done(self, work: Work) -> ImportResult:
        """Import in rounds: a server that lost commits leaves entries open that were settled before."""
        options = self._options
        limits = Limits(options.chunk_items, options.readers, options.verify, options.fails_unreadable)
        is_parallel = not self._whole and self._claim.undo_of is None and len(work.entries.items) >= PARALLEL_ITEMS
        pipeline = ParallelPipeline if is_parallel else Pipeline
        left, futile = 0, 0
        while True:
            try:
                self._may_lack_entries = False
                pipeline(self, self._mount, work, limits).run()
                if self._result_of_whole:
                    return self._result_of_whole
                self.checkpoint()
                return self._finish(work.entries, self._source.compare_at_end())
            except JobNotDoneError as error:
                futile = futile + 1 if left and error.open_entries >= left else 0
                left = error.open_entries
                if futile == FUTILE_ROUNDS:
                    raise ImportRejectedError(f"{error} after {futile} rounds without progress") from error
                self._hooks.warn(f"{error}; they are imported again")
                self._recount()

    # ------------------------------------------------------------------------------------- the pipeline's target

    def checkpoint(self) -> None:
        """Run the hook; it may raise to stop the import."""
        self._hooks.checkpoint(self.progress)

    def warn(self, text: str) -> None:
        """Log a warning about the job."""
        self._hooks.warn(text)

    def planned_items(self, keys: list[AssetKey]) -> dict[AssetKey, PlannedItem]:
        """Return the ledger's rows of these items.

        A transaction that writes nothing begins with its query; a read-only one has a statement more.
        """
        if self._plan is not None:
            return {key: self._plan[key] for key in keys if key in self._plan}
        return run_idempotent(self._db, ledger.planned_items, self._claim.batch_id, keys)

    def is_open(self, row: PlannedItem) -> bool:
        """Return whether no job has settled the item, or only as failed before."""
        failed_before = row["decision"] == Decision.FAILED and row["job_id"] != self._claim.job_id
        return failed_before or row["decision"] not in DONE_DECISIONS

    def settle(self, writer: ItemWriter, chunk: list[ImportItem]) -> list[ImportItem]:
        """Write a chunk in one transaction; return the items still open.

        Items are still open only when a lost COMMIT had no effect.
        """
        if self._whole and len(chunk) == len(self._whole.items) and all(entry.id for entry in chunk):
            try:
                return self._settle_whole(writer, chunk, self._whole)
            except DataError:
                self._whole = None  # the chunk is written item by item, and the job ends after it
        return self._settle_chunk(writer, chunk)

    def _settle_chunk(self, writer: ItemWriter, chunk: list[ImportItem]) -> list[ImportItem]:
        still_open = self._write(self._commit, writer, chunk)
        self.count_done(len(chunk) - len(still_open))
        self._recount_after_reconnect()
        return still_open

    def _write(
        self, commit: Callable[[ItemWriter, list[ImportItem]], None], writer: ItemWriter, chunk: list[ImportItem]
    ) -> list[ImportItem]:
        """Write a chunk on the connection of this thread; return the items still open."""
        since = monotonic()
        still_open: list[ImportItem] = []
        try:
            commit(writer, chunk)
        except CommitUnknownError:
            still_open = run_idempotent(self._db, self._unfinished, chunk)
        self._heartbeat.record_beat(since)
        return still_open

    def _commit(self, writer: ItemWriter, chunk: list[ImportItem]) -> None:
        try:
            self._commit_together(writer, chunk)
        except DataError:
            self._db.run_transaction(self._commit_individually, writer, chunk)

    def _commit_together(self, writer: ItemWriter, chunk: list[ImportItem]) -> None:
        self._db.run_transaction(self._commit_chunk, writer, chunk)

    def _commit_chunk(self, tx: Transaction, writer: ItemWriter, chunk: list[ImportItem]) -> None:
        """Write library, results, fence and ledger, and an event if one is due.

        The fence locks the job, for which another thread then waits, so that it comes as late as the ledger allows.
        """
        self._raise_if_containers_lost(tx)
        settled = writer.write(tx, chunk)
        writer.append_results(tx, settled)
        claims.advance(tx, self._claim, len(settled))
        writer.record_in_ledger(tx, settled)
        self._note_progress(tx)

    def _commit_individually(self, tx: Transaction, writer: ItemWriter, chunk: list[ImportItem]) -> None:
        """Do the same item by item; only those that the database refuses fail.

        The fence comes first, since each item writes its row of the ledger.
        """
        self._raise_if_containers_lost(tx)
        claims.advance(tx, self._claim, len(chunk))
        writer.write_individually(tx, chunk)
        self._note_progress(tx)

    # ------------------------------------------------------------------------------------ threads that write chunks

    def write_in_thread(self, writer: ItemWriter, chunk: list[ImportItem]) -> WrittenChunk:
        """Write a chunk on the connection of this thread; the main thread counts it.

        The main thread writes a chunk that is to be written item by item, since its fence keeps the job locked for
        all of that time, and one for which this thread gets no first connection, as at a limit of connections.
        """
        epoch = self._db.epoch or 1  # the first connection of a thread is no new one
        still_open, unread = chunk, frozenset[AssetKey]()
        try:
            still_open = self._write(self._commit_together, writer, chunk)
        except DocumentsRequired as required:
            unread = frozenset(entry.key for entry in required.entries)
        except DataError:
            pass
        except DatabaseUnavailableError:
            if self._db.epoch:
                raise
        return WrittenChunk(len(chunk) - len(still_open), still_open, unread, self._db.epoch > epoch)

    def close_thread(self) -> None:
        """Close the connection of this thread."""
        self._db.close()

    def count_done(self, items: int) -> None:
        """Add settled items to the progress."""
        self.items_done = min(self.items_total, self.items_done + items)

    def recount(self) -> None:
        """Count the progress from the ledger, since the server may have lost commits; no thread writes meanwhile.

        Raises: ClaimLostError.
        """
        self._recount()
        self._may_lack_entries = True

    def _settle_whole(self, writer: ItemWriter, chunk: list[ImportItem], entries: Entries) -> list[ImportItem]:
        """Write the only chunk of a job and the end of the job in one transaction.

        Raises: DataError, when nothing was written.
        """
        at_end = self._source.compare_at_end()
        try:
            self._result_of_whole = self._db.run_transaction(self._commit_whole, writer, chunk, at_end)
        except CommitUnknownError:
            try:
                run_idempotent(self._db, claims.heartbeat, self._claim)  # waits for our own transaction to end
                return chunk
            except ClaimLostError:
                self._result_of_whole = self._result_of_ended(entries)
        self.items_done = self.items_total
        return []

    def _commit_whole(
        self, tx: Transaction, writer: ItemWriter, chunk: list[ImportItem], at_end: ManifestAtEnd
    ) -> ImportResult:
        """Write library, end of job and batch, ledger, results and events; no other entry of the batch exists."""
        settled = writer.write(tx, chunk)
        self._heartbeat.raise_if_lost()
        result = result_of_counts(Counter(str(each.plan.decision) for each in settled), {})
        failures = [each.plan.reason for each in settled if each.plan.decision is Decision.FAILED]
        samples = [reason[:ledger.MAX_REASON_LENGTH] for reason in failures[:results.FAILURE_SAMPLES]]
        writes_entry = len(failures) < len(settled)
        claims.write_end(tx, self._claim, result, at_end, samples, writes_entry=writes_entry)
        writer.record(tx, settled)
        claims.note_end(tx, self._claim, result, at_end, samples)
        return result

    def _note_progress(self, tx: Transaction) -> None:
        """Append an event now and then; the fence lets one thread at a time do so."""
        self._heartbeat.raise_if_lost()
        if monotonic() - self._progress_event_at < EVENT_SECONDS:
            return
        self._progress_event_at = monotonic()
        items_done, items_total = claims.progress(tx, self._claim)
        facts = {"items_done": items_done, "items_total": items_total}
        if self._containers_total:
            counts = ledger.container_counts(tx, self._claim.batch_id)
            done = sum(count for decision, count in counts.items() if decision in DONE_DECISIONS)
            facts |= {"containers_done": done, "containers_total": self._containers_total}
        claims.note(tx, self._claim, "job_progress", "job_progress", **facts)

    def _unfinished(self, tx: Transaction, chunk: list[ImportItem]) -> list[ImportItem]:
        """Return the items that are not settled.

        The heartbeat first waits for our own transaction to end.
        """
        claims.heartbeat(tx, self._claim)
        rows = ledger.planned_items(tx, self._claim.batch_id, [entry.key for entry in chunk])
        return [entry for entry in chunk if entry.key not in rows or rows[entry.key]["job_id"] != self._claim.job_id]

    def open_containers(self, entries: list[tuple[int, Container]]) -> list[PendingContainer]:
        """Return those of these containers that this job has not settled."""
        return self._db.run_read(self._open_containers, entries)

    def _open_containers(self, tx: ReadTransaction, entries: list[tuple[int, Container]]) -> list[PendingContainer]:
        claim = self._claim
        return containers.open_containers(
            tx, claim.batch_id, claim.job_id, entries, is_whole=claim.undo_of is not None
        )

    def settle_containers(
        self, writer: ContainerGroupWriter, group: list[PendingContainer]
    ) -> list[PendingContainer]:
        """Write a group of containers in one transaction; return what is still open.

        That are the members of a large container, and a group whose lost COMMIT had no effect.
        """
        since = monotonic()
        try:
            still_open = self._write_containers(writer, group)
        except CommitUnknownError:
            still_open = run_idempotent(self._db, self._unfinished_containers, group)
        self._heartbeat.record_beat(since)
        self._recount_after_reconnect()
        return still_open

    def _write_containers(
        self, writer: ContainerGroupWriter, group: list[PendingContainer]
    ) -> list[PendingContainer]:
        try:
            return self._db.run_transaction(self._commit_containers, writer.write, group)
        except DataError:
            return self._db.run_transaction(self._commit_containers, writer.write_individually, group)

    def _commit_containers(
        self, tx: Transaction, write: Callable[[Transaction, list[PendingContainer]], list[SettledContainer]],
        group: list[PendingContainer],
    ) -> list[PendingContainer]:
        self._raise_if_items_lost(tx)
        settled = write(tx, group)
        claims.heartbeat(tx, self._claim)
        containers.record(tx, self._claim, settled)
        self._note_progress(tx)
        return [each.entry.next_step() for each in settled if not each.is_final]

    def _unfinished_containers(self, tx: Transaction, group: list[PendingContainer]) -> list[PendingContainer]:
        """Return the containers that are not settled, after our own transaction has ended."""
        claims.heartbeat(tx, self._claim)
        return self._open_containers(tx, [(entry.position, entry.container) for entry in group])

    # -------------------------------------------------------------------------------------------- lost commits

    def _recount_after_reconnect(self) -> None:
        """Count from the ledger after a new connection: the server may have lost its last commits."""
        if self._db.epoch != self._epoch:
            self.recount()

    @property
    def _has_reconnected(self) -> bool:
        """Whether a thread that writes has a new connection in this round; no thread but the main one writes now."""
        return self._may_lack_entries or self._db.epoch != self._epoch

    def _raise_if_items_lost(self, tx: Transaction) -> None:
        """Raise JobNotDoneError where a new connection shows items open again: containers would miss them."""
        if not self._has_reconnected or self._claim.undo_of is not None:
            return
        items = ledger.decision_counts(tx, self._claim.batch_id)
        left = _count_open(items, 0)
        if items.get(Decision.FAILED):
            left += tx.fetch_value("claims.open_failures", batch_id=self._claim.batch_id, job_id=self._claim.job_id)
        if left:
            raise JobNotDoneError(left)

    def _raise_if_containers_lost(self, tx: Transaction) -> None:
        """Raise JobNotDoneError where a new connection shows containers of an undo open again: they list its items."""
        if not self._has_reconnected or self._claim.undo_of is None or not self._containers_total:
            return
        if left := _count_open(ledger.container_counts(tx, self._claim.batch_id), 0):
            raise JobNotDoneError(left)

    def _recount(self) -> None:
        """Read how far the job is.

        Raises: ClaimLostError, also when the claim itself was among the lost commits.
        """
        self._epoch = self._db.epoch
        self._plan = self._whole = None
        self.items_done, self.items_total = run_idempotent(self._db, claims.recount, self._claim)

    # ------------------------------------------------------------------------------------------------- the end

    def _finish(self, entries: Entries, at_end: ManifestAtEnd) -> ImportResult:
        try:
            return self._db.run_transaction(self._end, entries, at_end)
        except CommitUnknownError:
            return self._finish_again(entries, at_end)

    def _finish_again(self, entries: Entries, at_end: ManifestAtEnd) -> ImportResult:
        """Finish after a lost reply.

        If the first COMMIT took effect, the job has ended under our token.
        """
        try:
            return self._db.run_transaction(self._end, entries, at_end)
        except ClaimLostError:
            return self._result_of_ended(entries)

    def _result_of_ended(self, entries: Entries) -> ImportResult:
        """Return the result of a job that may have ended under our token.

        Raises: ClaimLostError, if it has not.
        """
        if not self._db.run_read(claims.has_ended, self._claim):
            raise ClaimLostError(claims.LOST)
        return self._db.run_read(self._result, entries)

    def _end(self, tx: Transaction, entries: Entries, at_end: ManifestAtEnd) -> ImportResult:
        self._heartbeat.raise_if_lost()
        result = self._result(tx, entries)
        claims.finish(tx, self._claim, result, at_end)
        return result

    def _result(self, tx: ReadTransaction, entries: Entries) -> ImportResult:
        """Count the entries by decision; those that are open, and those without a row, are left to be done."""
        batch_id = self._claim.batch_id
        items = ledger.decision_counts(tx, batch_id)
        containers = ledger.container_counts(tx, batch_id) if entries.containers else {}
        left = _count_open(items, len(entries.items)) + _count_open(containers, len(entries.containers))
        if items.get(Decision.FAILED):
            left += tx.fetch_value("claims.open_failures", batch_id=batch_id, job_id=self._claim.job_id)
        return replace(result_of_counts(items, containers), open_entries=left)


def _count_open(counts: dict[str, int], listed: int) -> int:
    """Return how many entries no job has settled; `listed` is their number in the manifest."""
    planned = sum(count for decision, count in counts.items() if decision not in DONE_DECISIONS)
    return planned + max(0, listed - sum(counts.values()))
