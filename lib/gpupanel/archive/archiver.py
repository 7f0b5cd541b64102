"""Archive settled batches: write a file, verify it, mark its batches, and only then delete their rows.

Each step may be the last one of a run that is killed; the next run continues from what it finds. Only the account of
archives may delete (docs/decisions/0170-archive.md).
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from .. import ledger
from ..db import Database, ReadTransaction, RunLock, Transaction, hold_run_lock
from ..errors import InvalidInputError, InvalidStateError
from ..models import BatchStatus
from ..receipts.verify_database import NO_BOUNDS
from ..receipts.verify_file import archive_path, verify_file
from .file_writer import ArchiveFile, Candidate, Entry, NotArchivable, SUFFIX, damage_error, raise_if_obstacle

SETTLED = (BatchStatus.COMPLETED, BatchStatus.PARTIAL, BatchStatus.FAILED)
PAGE_BATCHES = 500
MAX_FILE_BATCHES = 1_000
MAX_FILE_BYTES = 256 * 1024 * 1024  # after which the next batch starts a new file
DELETED_ROWS = 900  # of one transaction; a longer IN list may have another plan
BEGINNING = datetime(1000, 1, 1)
MAX_REFUSALS = 50


@dataclass
class ArchiveReport:
    """What a run did; `refused` maps the first batches that stay to the reason."""

    files: list[str] = field(default_factory=list)
    batches: int = 0
    continued: int = 0
    refused: dict[str, str] = field(default_factory=dict)
    refused_count: int = 0

    def refuse(self, sync_id: str, reason: str) -> None:
        """Keep the first refusals, and count all."""
        self.refused_count += 1
        if len(self.refused) < MAX_REFUSALS:
            self.refused[sync_id] = reason


class Archiver:
    """One run; `checkpoint` is called before each step with its name.

    Rows are deleted only by the connection that marked their batch: a server that comes back without its last commits
    may have lost the mark.
    """

    _lock: RunLock

    def __init__(
        self, db: Database, folder: Path, actor: str, checkpoint: Callable[[str], None] = lambda step: None
    ):
        self._db, self._folder, self._actor, self._checkpoint = db, folder, actor, checkpoint
        self._report = ArchiveReport()
        self._verified: dict[str, frozenset[str]] = {}  # file that was read again -> the roots in it

    def run(self, before: datetime) -> ArchiveReport:
        """Archive the batches whose import ended before a time of the database.

        Raises: InvalidStateError, if another run works, or a file is damaged or gone.
        Raises: InvalidInputError, for a time that has not passed.
        Raises: OSError.
        """
        with lock_archiving(self._db) as self._lock:
            self._lock.run_transaction(lambda tx: tx.execute("archive.probe"))
            if before > self._db.run_read(_now):
                raise InvalidInputError(f"The time {before} has not passed: only settled history is archived.")
            self._finish_earlier_runs()
            self._archive_all(self._candidates(before))
        return self._report

    def _archive_all(self, batches: Iterator[Candidate]) -> None:
        while entries := self._write_file(batches):
            for entry, name in entries:
                self._checkpoint("mark")
                if self._mark(entry, name):
                    self._report.batches += 1

    # -------------------------------------------------------------------------------------------------- writing

    def _candidates(self, before: datetime) -> Iterator[Candidate]:
        """Yield settled batches in the order in which they ended, page by page."""
        after, after_id = BEGINNING, 0
        while page := self._db.run_read(_candidates, before, after, after_id):
            yield from (batch for batch in page if batch.status in SETTLED)
            after, after_id = page[-1].completed_at, page[-1].id

    def _write_file(self, batches: Iterator[Candidate]) -> list[tuple[Entry, str]]:
        """Write and verify the next file; return its batches."""
        file: ArchiveFile | None = None
        try:
            for batch in batches:
                file = file or self._begin(batch)
                self._checkpoint("write")
                try:
                    self._db.run_read(file.add, batch)
                except NotArchivable as reason:
                    self._report.refuse(batch.sync_id, str(reason))
                if len(file.entries) >= MAX_FILE_BATCHES or file.size >= MAX_FILE_BYTES:
                    break
            if file is None or not file.entries:
                return []
            self._checkpoint("close")
            file.close()
            self._checkpoint("verify")
            file.verify()
        finally:
            if file is not None and not file.path.exists():
                file.discard()
        self._report.files.append(file.name)
        return [(entry, file.name) for entry in file.entries]

    def _begin(self, batch: Candidate) -> ArchiveFile:
        now: datetime = self._db.run_read(_now)
        return ArchiveFile(self._folder, f"archive-{now:%Y%m%dT%H%M%S%f}-{batch.id}{SUFFIX}")

    # -------------------------------------------------------------------------------------------------- marking

    def _mark(self, entry: Entry, name: str) -> bool:
        """Mark a batch as archived, and delete its rows; return False if it has changed since it was written."""
        try:
            archive_id = self._lock.run_transaction(_mark, entry, name, self._actor)
        except NotArchivable as reason:
            self._report.refuse(entry.batch.sync_id, str(reason))
            return False
        bounds = {name: getattr(entry, name) for name in ("first_receipt_id", "result_id", "event_id")}
        self._delete({"id": archive_id, "batch_id": entry.batch.id} | bounds)
        return True

    # ------------------------------------------------------------------------------------------------- deleting

    def _finish_earlier_runs(self) -> None:
        """Delete what a killed run had marked, after its file was verified again."""
        after = 0
        while page := self._db.run_read(_unfinished, after):
            for row in page:
                self._require_file(row)
                self._delete(row)
                self._report.continued += 1
            after = page[-1]["id"]

    def _require_file(self, row: dict[str, Any]) -> None:
        """Raise InvalidStateError unless the file of an archive is there, whole, and holds items and receipts."""
        path = archive_path(self._folder, row["file"])
        if not path.is_file():
            raise InvalidStateError(
                f"The archive {row['file']} of batch {row['sync_id']} is not in {self._folder}; no row was deleted.",
                "Name the folder of the run that was killed, or put the file back.",
            )
        if row["file"] not in self._verified:
            check = verify_file(path)
            if check.problems:
                raise damage_error(path, check)
            self._verified[row["file"]] = frozenset([*check.roots, *(each.root for each in check.archives)])
        if not self._db.run_read(roots_of, row) <= self._verified[row["file"]]:
            raise damage_error(path)

    def _delete(self, row: dict[str, Any]) -> None:
        """Delete the rows that an archive holds, in small transactions; members before their results.

        Rows of earlier receipts stay: they are restored, or a killed restoration has begun with them.
        """
        before = self._db.run_read(_bounds_before, row)
        row = row | {"after_result_id": before["result_id"], "after_event_id": before["event_id"]}
        for step in (_delete_results, _delete_events, _delete_items):
            more = True
            while more:
                self._checkpoint(step.__name__.removeprefix("_"))
                more = self._lock.run_transaction(step, row)
        self._checkpoint("emptied")
        self._lock.run_transaction(lambda tx: tx.execute("archive.emptied", id=row["id"]))


def lock_archiving(db: Database) -> AbstractContextManager[RunLock]:
    """Keep other runs off this database. Raises InvalidStateError."""
    return hold_run_lock(db, "gpupanel.archive", InvalidStateError(
        "Another archive or restore-archive works on this database; nothing was changed.", "Wait until it has ended.",
    ))


def _now(tx: ReadTransaction) -> datetime:
    now: datetime = tx.fetch_value("archive.now")
    return now


def _candidates(tx: ReadTransaction, before: datetime, after: datetime, after_id: int) -> list[Candidate]:
    rows = tx.fetch_all("archive.candidates", before=before, after=after, after_id=after_id, limit=PAGE_BATCHES)
    return [Candidate(**row) for row in rows]


def _unfinished(tx: ReadTransaction, after: int) -> list[dict[str, Any]]:
    return tx.fetch_all("archive.unfinished", after=after, limit=PAGE_BATCHES)


def _bounds_before(tx: ReadTransaction, row: dict[str, Any]) -> dict[str, Any]:
    """The last rows that the receipts before those of an archive cover."""
    return tx.fetch_one("receipts.before", batch_id=row["batch_id"], id=row["first_receipt_id"]) or NO_BOUNDS


def roots_of(tx: ReadTransaction, row: dict[str, Any]) -> set[str]:
    """The roots that the file of an archive must hold: that of the items, and those of the receipts."""
    receipts = tx.fetch_all("receipts.of_batch", batch_id=row["batch_id"])
    own = {each["root"] for each in receipts if row["first_receipt_id"] <= each["id"] <= row["receipt_id"]}
    return {row["root"]} | own


def _mark(tx: Transaction, entry: Entry, name: str, actor: str) -> int:
    """Record the archive of a batch. Raises NotArchivable if the batch is not as it was written."""
    batch = tx.fetch_one("archive.lock_batch", batch_id=entry.batch.id)
    if any(batch[name] != value for name, value in (entry.batch._asdict() | {"archived_at": None}).items()):
        raise NotArchivable("it has changed while it was archived")
    raise_if_obstacle(tx, entry.batch.id, entry.result_id)
    archive_id = tx.insert(
        "archive.insert", batch_id=entry.batch.id, file=name, first_receipt_id=entry.first_receipt_id,
        receipt_id=entry.receipt_id, result_id=entry.result_id, event_id=entry.event_id, items=entry.items,
        root=entry.root,
    )
    tx.execute("archive.mark", batch_id=entry.batch.id, archived_at=_now(tx))
    payload = {"file": name, "items": entry.items, "phase": "archive", "receipts": len(entry.receipt_roots)}
    ledger.append_event(tx, entry.batch.id, "batch_archived", payload, actor)
    return archive_id


def _delete_results(tx: Transaction, row: dict[str, Any]) -> bool:
    """Delete some results with their members and tombstones; return whether there may be more."""
    rows = tx.fetch_all(
        "archive.results_between", batch_id=row["batch_id"], after_result_id=row["after_result_id"],
        result_id=row["result_id"], limit=DELETED_ROWS,
    )
    if not rows:
        return False
    result_ids = [each["id"] for each in rows]
    if tx.execute("archive.delete_members", result_ids=result_ids, limit=DELETED_ROWS) == DELETED_ROWS:
        return True
    params = {"result_ids": result_ids, "batch_id": row["batch_id"], "limit": DELETED_ROWS}
    if tx.execute("archive.delete_tombstones", **params) == DELETED_ROWS:
        return True
    tx.execute("archive.delete_results", result_ids=result_ids)
    return len(rows) == DELETED_ROWS


def _delete_events(tx: Transaction, row: dict[str, Any]) -> bool:
    deleted = tx.execute(
        "archive.delete_events", batch_id=row["batch_id"], after_event_id=row["after_event_id"],
        event_id=row["event_id"], limit=DELETED_ROWS,
    )
    return deleted == DELETED_ROWS


def _delete_items(tx: Transaction, row: dict[str, Any]) -> bool:
    """Delete some items, unless a preflight has planned the batch anew since it was archived."""
    if not ledger.is_archived(tx.fetch_one("archive.lock_batch", batch_id=row["batch_id"])):
        return False
    return tx.execute("archive.delete_items", batch_id=row["batch_id"], limit=DELETED_ROWS) == DELETED_ROWS
