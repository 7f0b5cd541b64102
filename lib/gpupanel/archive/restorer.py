"""Bring the rows of an archive back into the database, with their ids, for a look.

Only rows that the database has a receipt or an archive of come back, so that a file from elsewhere can add none. The
file stays, and a later `archive` writes the batch into another one. A run that is killed is repeated.

Archives of one batch are restored in any order. Its items are those of its latest archive: while that is not restored,
an earlier file brings back all but items, and the batch stays archived (docs/decisions/0170-archive.md).
"""

import json
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .. import ledger
from ..db import Database, ReadTransaction, RunLock, Transaction
from ..errors import InvalidStateError, NotFoundError
from ..receipts.lines import ARCHIVE, EVENT, ITEM, MEMBER, RESULT, TOMBSTONE, parse_line
from ..receipts.verify_file import ArchivedBatch, FileCheck, open_lines, verify_file
from .archiver import lock_archiving, roots_of
from .file_writer import damage_error

CHUNK_ROWS = 500
PARTS = (MEMBER, TOMBSTONE)  # of results; the batch that a tombstone names is that of its say


@dataclass
class RestoreReport:
    """The batches that came back, and rows by kind.

    Items of `replanned` batches stay as they are. Items of `superseded` ones are in a later archive.
    """

    batches: list[str] = field(default_factory=list)
    rows: dict[str, int] = field(default_factory=dict)
    replanned: list[str] = field(default_factory=list)
    superseded: list[str] = field(default_factory=list)


class Restorer:
    """Reads a file twice: to verify it, and to insert its rows, all by one connection."""

    _lock: RunLock

    def __init__(self, db: Database, path: Path, actor: str, checkpoint: Callable[[str], None] = lambda step: None):
        self._db, self._path, self._actor, self._checkpoint = db, path, actor, checkpoint
        self._report = RestoreReport()
        self._wanted: dict[int, ArchivedBatch] = {}
        self._superseded: set[int] = set()  # batches with a later archive that is not restored
        self._kind, self._rows = "", list[dict[str, Any]]()

    def run(self, sync_ids: list[str] | None = None) -> RestoreReport:
        """Bring back all batches of the file, or these.

        Raises: InvalidStateError, if the file is damaged or not of this database, or another run works.
        Raises: NotFoundError, if the file lacks a batch.
        Raises: OSError.
        """
        with lock_archiving(self._db) as self._lock:
            check = self._verified(sync_ids)
            self._db.run_read(self._raise_if_unsealed, check)
            wanted = [each for each in check.archives if not sync_ids or each.sync_id in sync_ids]
            self._wanted = self._db.run_read(self._own, wanted, bool(sync_ids))
            self._superseded = self._db.run_read(self._find_superseded, check)
            for batch_id in self._wanted:
                self._lock.run_transaction(_announce, batch_id, self._path.name)
            self._insert_all(check.archives)
        return self._report

    def _verified(self, sync_ids: list[str] | None) -> FileCheck:
        """Verify the whole file, which must have the wanted batches."""
        check = verify_file(self._path)
        if check.problems:
            raise damage_error(self._path, check)
        missing = set(sync_ids or ()) - {each.sync_id for each in check.archives}
        if missing:
            raise NotFoundError(f"{self._path.name} has no batch {', '.join(sorted(missing))}.")
        return check

    def _raise_if_unsealed(self, tx: ReadTransaction, check: FileCheck) -> None:
        """Raise InvalidStateError if the file has a receipt that is none of this database for the file's batches."""
        sealed = {
            row["root"] for batch_id in {each.batch_id for each in check.archives}
            for row in tx.fetch_all("receipts.of_batch", batch_id=batch_id)
        }
        if unknown := [root for root in check.roots if root not in sealed]:
            raise InvalidStateError(
                f"{self._path.name} has a receipt that is none of its batches in this database, with the root"
                f" {unknown[0]}; nothing was changed.",
                "Use the database that the file comes from.",
            )

    def _own(self, tx: ReadTransaction, batches: list[ArchivedBatch], all_of_them: bool) -> dict[int, ArchivedBatch]:
        """Return those that this database recorded for this file; a stopped run may have recorded some of it alone.

        Raises InvalidStateError if none is, or not `all_of_them`.
        """
        own, foreign = {}, []
        for each in batches:
            rows = tx.fetch_all("archive.of_file", batch_id=each.batch_id, file=self._path.name)
            if each.root in [row["root"] for row in rows]:
                own[each.batch_id] = each
            else:
                foreign.append(each)
        if foreign and (all_of_them or not own):
            raise InvalidStateError(
                f"{self._path.name} is no archive of batch {foreign[0].sync_id} in this database; nothing was changed.",
                "Use the database that the file comes from, and the name that the file had.",
            )
        return own

    def _find_superseded(self, tx: ReadTransaction, check: FileCheck) -> set[int]:
        """Return the batches with a later archive that is not restored.

        Raises InvalidStateError if the file lacks a receipt of a wanted batch, although each of its parts fits.
        """
        superseded, roots = set(), {*check.roots, *(each.root for each in check.archives)}
        for batch_id in self._wanted:
            last = tx.fetch_all("archive.of_file", batch_id=batch_id, file=self._path.name)[-1]
            if not roots_of(tx, last) <= roots:
                raise damage_error(self._path)
            if tx.fetch_one("archive.later", batch_id=batch_id, id=last["id"]):
                superseded.add(batch_id)
        return superseded

    def _insert_all(self, archives: list[ArchivedBatch]) -> None:
        """Insert the rows of the wanted batches; members and tombstones belong to the results before them.

        Items come from the lines below the root of a wanted batch alone, and all else from lines below receipts.
        """
        batch_id, left = 0, deque(archives)
        with open_lines(self._path) as file:
            for number, text in enumerate(file, 1):
                line = parse_line(text.removesuffix(b"\n"))
                if line is None:
                    raise InvalidStateError(f"{self._path} was changed while it was read.", "Repeat this.")
                while left and left[0].end < number:
                    left.popleft()
                archive = left[0] if left and left[0].start < number else None
                if archive and archive.batch_id not in self._wanted:
                    continue
                if line.kind not in ((ITEM, ARCHIVE) if archive else (*PARTS, RESULT, EVENT)):
                    continue
                row = json.loads(line.body)[line.kind]
                batch_id = batch_id if line.kind in PARTS else row["batch_id"]
                if batch_id not in self._wanted:
                    continue
                if line.kind == ARCHIVE:
                    self._flush()
                    self._checkpoint("finish")
                    self._finish(batch_id)
                elif line.kind != ITEM or batch_id not in self._superseded:
                    self._add(line.kind, row)

    def _add(self, kind: str, row: dict[str, Any]) -> None:
        if kind != self._kind or len(self._rows) >= CHUNK_ROWS:
            self._flush()
        self._kind = kind
        self._rows.append(row)

    def _flush(self) -> None:
        if self._rows:
            self._checkpoint(self._kind)
            number = self._lock.run_transaction(INSERTS[self._kind], self._rows)
            self._report.rows[self._kind] = self._report.rows.get(self._kind, 0) + number
        self._rows = []

    def _finish(self, batch_id: int) -> None:
        """Record that all rows are back, and show the batch again, unless its items are in a later archive."""
        sync_id, is_superseded = self._wanted[batch_id].sync_id, batch_id in self._superseded
        was_archived = self._lock.run_transaction(_finish, batch_id, self._path.name, self._actor, is_superseded)
        if not was_archived:
            self._report.replanned.append(sync_id)
        elif is_superseded:
            self._report.superseded.append(sync_id)
        self._report.batches.append(sync_id)


def _finish(tx: Transaction, batch_id: int, file: str, actor: str, is_superseded: bool) -> bool:
    """Record that the rows of an archive are back; return whether the batch was archived until now."""
    was_archived = ledger.is_archived(tx.fetch_one("archive.lock_batch", batch_id=batch_id))
    tx.execute("archive.restored", batch_id=batch_id, file=file)
    if not is_superseded:
        tx.execute("archive.mark", batch_id=batch_id, archived_at=None)
    ledger.append_event(tx, batch_id, "batch_restored", {"file": file, "phase": "restore"}, actor)
    return was_archived


def _announce(tx: Transaction, batch_id: int, file: str) -> None:
    tx.execute("archive.restoring", batch_id=batch_id, file=file)


def _insert_results(tx: Transaction, rows: list[dict[str, Any]]) -> int:
    present = _present(tx, "archive.present_results", rows)
    return _insert(tx, "archive.restore_results", [row for row in rows if row["id"] not in present])


def _insert_events(tx: Transaction, rows: list[dict[str, Any]]) -> int:
    present = _present(tx, "archive.present_events", rows)
    return _insert(tx, "archive.restore_events", [row for row in rows if row["id"] not in present])


def _insert_items(tx: Transaction, rows: list[dict[str, Any]]) -> int:
    """Insert items of one batch, unless a preflight has planned it anew."""
    if not ledger.is_archived(tx.fetch_one("archive.lock_batch", batch_id=rows[0]["batch_id"])):
        return 0
    present = _present(tx, "archive.present_items", rows)
    return _insert(tx, "archive.restore_items", [row for row in rows if row["id"] not in present])


# Of members that were sealed before results had their says.
NO_SAYS = {
    "say_only": 0, "source_at": None, "source_batch_id": None, "source_at_before": None, "source_batch_id_before": None,
}


def _insert_members(tx: Transaction, rows: list[dict[str, Any]]) -> int:
    ids, assets = [sorted({row[name] for row in rows}) for name in ("result_id", "asset_id")]
    found = tx.fetch_all("archive.present_members", ids=ids, assets=assets)
    present = {(row["result_id"], row["asset_id"]) for row in found}
    new = [NO_SAYS | row for row in rows if (row["result_id"], row["asset_id"]) not in present]
    return _insert(tx, "archive.restore_members", new)


def _insert_tombstones(tx: Transaction, rows: list[dict[str, Any]]) -> int:
    ids, hashes = [sorted({row[name] for row in rows}) for name in ("result_id", "asset_hash")]
    found = tx.fetch_all("archive.present_tombstones", ids=ids, hashes=hashes)
    present = {(row["result_id"], row["asset_hash"]) for row in found}
    new = [row for row in rows if (row["result_id"], row["asset_hash"]) not in present]
    return _insert(tx, "archive.restore_tombstones", new)


def _present(tx: Transaction, query: str, rows: list[dict[str, Any]]) -> set[int]:
    return {row["id"] for row in tx.fetch_all(query, ids=[row["id"] for row in rows])}


def _insert(tx: Transaction, query: str, rows: list[dict[str, Any]]) -> int:
    tx.insert_many(query, rows)
    return len(rows)


INSERTS = {
    RESULT: _insert_results, MEMBER: _insert_members, TOMBSTONE: _insert_tombstones, EVENT: _insert_events,
    ITEM: _insert_items,
}
