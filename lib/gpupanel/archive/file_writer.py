"""Write batches into an archive: their receipts with all lines, then their items.

Each batch is a gzip member of its own, so that one that does not fit its receipts is cut off again. The whole file
can be read by zcat, and verified by `gpupanel verify`.
"""

import gzip
import os
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from ..db import ReadTransaction
from ..errors import InvalidStateError
from ..receipts.lines import (
    ARCHIVE, FORMAT_VERSION, Hasher, ITEM, digest_of, encode_body, encode_closing, encode_line, receipt_body,
)
from ..receipts.verify_database import check_receipt
from ..receipts.verify_file import FileCheck, verify_file

COMPRESSION_LEVEL = 6
SUFFIX = ".jsonl.gz"
PART = ".part"  # of a file that is not complete


class Candidate(NamedTuple):
    """A batch whose import has ended."""

    id: int
    sync_id: str
    status: str
    completed_at: datetime


class Entry(NamedTuple):
    """A batch in a file: what its rows were when they were written, and the bounds of what the file holds."""

    batch: Candidate
    first_receipt_id: int
    receipt_id: int
    result_id: int
    event_id: int
    items: int
    root: str
    receipt_roots: list[str]


class NotArchivable(Exception):  # noqa: N818  # no error: the batch stays where it is
    """A batch cannot be archived now, for a reason."""


class ArchiveFile:
    """An archive that is being written; it has its name only when it is complete.

    Raises: OSError.
    """

    def __init__(self, folder: Path, name: str):
        self.name, self.path = name, folder / name
        self._folder, self._part = folder, folder / f".{name}{PART}"
        self._file: BinaryIO = os.fdopen(
            os.open(self._part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o640), "wb"
        )
        self.entries: list[Entry] = []

    @property
    def size(self) -> int:
        """Bytes that were written."""
        return self._file.tell()

    def add(self, tx: ReadTransaction, batch: Candidate) -> None:
        """Write a batch, from where the file ended before it.

        Raises: NotArchivable, and the file is as it was before.
        """
        start = self.size
        try:
            entry = self._write(tx, batch)
        except BaseException:
            self._file.seek(start)
            self._file.truncate()
            raise
        self.entries.append(entry)

    def _write(self, tx: ReadTransaction, batch: Candidate) -> Entry:
        receipts = _receipts_to_write(tx, batch.id)
        last = receipts[-1]
        raise_if_obstacle(tx, batch.id, last["result_id"])
        with gzip.GzipFile("", "wb", COMPRESSION_LEVEL, self._file, mtime=0) as out:
            for row in receipts:
                problems, _ = check_receipt(tx, row, lambda body, digest: out.write(encode_line(body, digest)))
                if problems:
                    raise NotArchivable(problems[0])
                out.write(encode_closing(receipt_body(row), row["root"]))
            hasher = Hasher()
            for item in tx.stream("archive.items", batch_id=batch.id):
                body = encode_body(ITEM, item)
                digest = digest_of(body)
                hasher.add(digest)
                out.write(encode_line(body, digest))
            closing = _closing(batch, self.name, hasher.lines)
            root = hasher.root(closing)
            out.write(encode_closing(closing, root))
        return Entry(
            batch, receipts[0]["id"], last["id"], last["result_id"], last["event_id"], hasher.lines, root,
            [row["root"] for row in receipts],
        )

    def close(self) -> None:
        """Write the file to the disk, and give it its name."""
        self._file.flush()
        os.fsync(self._file.fileno())
        # What is verified next is what the disk has.
        os.posix_fadvise(self._file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        self._file.close()
        os.rename(self._part, self.path)
        folder = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def discard(self) -> None:
        """Remove a file that has no batch."""
        self._file.close()
        self._part.unlink(missing_ok=True)

    def verify(self) -> None:
        """Read the file again, and compare it with what was to be written. Raises InvalidStateError."""
        check = verify_file(self.path)
        roots = [root for entry in self.entries for root in entry.receipt_roots]
        archives = [(entry.batch.id, entry.batch.sync_id, entry.root) for entry in self.entries]
        if check.problems or check.roots != roots or [each[:3] for each in check.archives] != archives:
            raise damage_error(self.path, check)


def _receipts_to_write(tx: ReadTransaction, batch_id: int) -> list[dict[str, Any]]:
    """The receipts of a batch whose rows are in the database; those of one file follow each other.

    Raises: NotArchivable.
    """
    receipts: list[dict[str, Any]] = []
    gap = ""  # the archive after the receipts so far
    for row in tx.fetch_all("receipts.of_batch", batch_id=batch_id):
        archive = tx.fetch_one("archive.file_of_receipt", batch_id=batch_id, receipt_id=row["id"])
        if archive:
            gap = archive["file"] if receipts else ""
        elif gap:
            raise NotArchivable(f"an earlier archive of it is restored, a later one is not: restore {gap}, too")
        else:
            receipts.append(row)
    if not receipts:
        raise NotArchivable("it has no receipt")
    return receipts


def raise_if_obstacle(tx: ReadTransaction, batch_id: int, result_id: int) -> None:
    """Raise NotArchivable while the rows of a batch are still needed."""
    if reason := tx.fetch_value("archive.obstacle", batch_id=batch_id, result_id=result_id):
        raise NotArchivable(reason)


def damage_error(path: Path, check: FileCheck | None = None) -> InvalidStateError:
    """The error for a file that is not what was written."""
    problem = check.problems[0] if check and check.problems else "it holds other batches or receipts"
    return InvalidStateError(
        f"The archive {path} does not fit: {problem}. No row was deleted because of it.",
        "Check the disk of that folder, or fetch the file from its backup; then repeat this.",
    )


def _closing(batch: Candidate, name: str, items: int) -> bytes:
    facts: dict[str, Any] = {"batch_id": batch.id, "sync_id": batch.sync_id, "file": name, "lines": items}
    return encode_body(ARCHIVE, facts | {"version": FORMAT_VERSION})
