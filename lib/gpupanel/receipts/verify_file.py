"""Verify a file of receipts without a database.

The file is the output of `gpupanel receipt`, or an archive, also compressed by gzip. One line is in memory at a time,
and of a long one no values are made: the file may come from anybody.
"""

import gzip
import json
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, ClassVar, NamedTuple

from ..errors import InvalidStateError
from ..text import escape_unprintable
from .lines import ARCHIVE, Hasher, Line, MEMBER, RECEIPT, TOMBSTONE, digest_of, parse_line

MAX_LINE_BYTES = 64 * 1024 * 1024
MAX_DECODED_BYTES = 64 * 1024  # of a line whose values are needed: values take up to fifty times their text
GZIP_MAGIC = b"\x1f\x8b"


class ArchivedBatch(NamedTuple):
    """A batch whose items are in a file, under their root: the lines after `start`, up to the root's line, `end`."""

    batch_id: int
    sync_id: str
    root: str
    start: int = 0
    end: int = 0


@dataclass
class Check:
    """What was checked and does not fit; `proven` are the receipts up to the one that is known from outside."""

    max_problems: ClassVar[int]
    lines: int = 0
    receipts: int = 0
    problems: list[str] = field(default_factory=list)
    problem_count: int = 0
    proven: int = 0

    def add_problem(self, text: str) -> None:
        """Keep the first problems, and count all."""
        self.problem_count += 1
        if len(self.problems) < self.max_problems:
            self.problems.append(text)


@dataclass
class FileCheck(Check):
    """What a file says; `roots` are those of its receipts in order, `archives` are its batches with their items.

    A receipt or archive whose root does not fit is a problem, and not among them.
    """

    max_problems = 20
    roots: list[str] = field(default_factory=list)
    archives: list[ArchivedBatch] = field(default_factory=list)
    sync_ids: list[str] = field(default_factory=list)

    @property
    def is_consistent(self) -> bool:
        return not self.problem_count


def archive_path(folder: Path, name: str) -> Path:
    """The file of an archive; its name comes from the database. Raises InvalidStateError for a path that leads out."""
    if "/" in name or name.startswith("."):
        raise InvalidStateError(f"The database names an archive {escape_unprintable(name)}, which is no file's name.")
    return folder / name


def print_batch(path: Path, sync_id: str, job_id: int | None, out: IO[bytes]) -> None:
    """Write the receipts of a batch, or that of one job, out of a file.

    The file is read twice: a receipt names its batch on its last line. Raises OSError.
    """
    ranges = _ranges(path, sync_id, job_id)
    with open_lines(path) as file:
        number = 0
        for start, end in ranges:
            while number < end:
                text = file.readline(MAX_LINE_BYTES)
                number += 1
                if number > start and parse_line(text.removesuffix(b"\n")):
                    out.write(text)


def _ranges(path: Path, sync_id: str, job_id: int | None) -> list[tuple[int, int]]:
    """Return the first line, from 0, and the line after the last one, of each such receipt."""
    ranges, start, number = list[tuple[int, int]](), 0, 0
    with open_lines(path) as file:
        while text := file.readline(MAX_LINE_BYTES):
            number += 1
            if not text.startswith(b'{"root":'):
                continue
            line = parse_line(text.removesuffix(b"\n"))
            facts = _decode(line) if line and line.kind == RECEIPT else None
            if facts and facts.get("sync_id") == sync_id and job_id in (None, facts.get("job_id")):
                ranges.append((start, number))
            start = number
    return ranges


def verify_file(path: Path, known_root: str | None = None) -> FileCheck:
    """Recompute each line and each root of a file; `known_root` comes from outside of the file and the database.

    Raises OSError.
    """
    with open_lines(path) as file:
        return _FileVerifier(known_root).run(file)


def open_lines(path: Path) -> IO[bytes]:
    """Open a file of lines, which may be compressed."""
    file = path.open("rb")
    magic = file.read(len(GZIP_MAGIC))
    file.seek(0)
    return gzip.GzipFile(fileobj=file) if magic == GZIP_MAGIC else file  # type: ignore[return-value]


class _FileVerifier:
    """Goes through a file; a segment is the lines up to a line with a root."""

    def __init__(self, known_root: str | None):
        self._known_root = known_root
        self._check = FileCheck()
        self._hasher = Hasher()
        self._previous: dict[str, str] = {}  # sync_id -> root of its latest receipt in the file

    def run(self, file: IO[bytes]) -> FileCheck:
        check = self._check
        try:
            while text := file.readline(MAX_LINE_BYTES):
                check.lines += 1
                self._read(text)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            check.add_problem(f"after line {check.lines}: the compressed file is damaged: {error}")
        if self._hasher.lines:
            check.add_problem(f"after line {check.lines}: the file ends without the last line of a receipt")
        elif not check.receipts:
            check.add_problem("the file has no receipt")
        if self._known_root and not check.proven:
            last = check.roots[-1] if check.roots else "none"
            check.add_problem(f"no receipt of the file has the root {self._known_root}; its last root is {last}")
        return check

    def _read(self, text: bytes) -> None:
        where = f"line {self._check.lines}"
        line = parse_line(text.removesuffix(b"\n"))
        if line is None or not text.endswith(b"\n"):
            self._check.add_problem(f"{where}: no line of a receipt")
            self._hasher.add("")
        elif line.is_closing:
            self._close(where, line)
            self._hasher = Hasher()
        else:
            if digest_of(line.body) != line.digest:
                self._check.add_problem(f"{where}: {name_of(line)}: its SHA-256 does not fit")
            self._hasher.add(line.digest)

    def _close(self, where: str, line: Line) -> None:
        facts = _decode(line)
        if line.kind not in (RECEIPT, ARCHIVE) or facts is None:
            self._check.add_problem(f"{where}: no last line of a receipt")
            return
        if facts.get("lines") != self._hasher.lines:
            self._check.add_problem(f"{where}: {_title(line.kind, facts)} has {facts.get('lines')} lines, the file"
                                    f" {self._hasher.lines}")
        if self._hasher.root(line.body) != line.digest:
            self._check.add_problem(f"{where}: the root of {_title(line.kind, facts)} does not fit its lines")
        elif line.kind == RECEIPT:
            self._add_receipt(where, line, facts)
        else:
            self._add_archive(where, line, facts)

    def _add_archive(self, where: str, line: Line, facts: dict[str, Any]) -> None:
        batch_id, sync_id, end = facts.get("batch_id"), facts.get("sync_id"), self._check.lines
        if not isinstance(batch_id, int) or not isinstance(sync_id, str):
            self._check.add_problem(f"{where}: no last line of an archive")
            return
        start = end - self._hasher.lines - 1
        self._check.archives.append(ArchivedBatch(batch_id, sync_id, line.digest, start, end))

    def _add_receipt(self, where: str, line: Line, facts: dict[str, Any]) -> None:
        check, sync_id = self._check, str(facts.get("sync_id"))
        before = self._previous.get(sync_id)
        if before is not None and facts.get("previous") != before:
            check.add_problem(f"{where}: {_title(line.kind, facts)} does not follow the one before it in the file")
        self._previous[sync_id] = line.digest
        check.receipts += 1
        check.roots.append(line.digest)
        if sync_id not in check.sync_ids[-1:]:
            check.sync_ids.append(sync_id)
        if line.digest == self._known_root:
            check.proven = check.receipts


def name_of(line: Line) -> str:
    """Name the row of a line: its kind, and its ids."""
    facts = _decode(line)
    if facts is None:
        return f"a {line.kind} of {len(line.body):,} bytes"
    if line.kind == MEMBER:
        return f"member {facts.get('asset_id')} of result {facts.get('result_id')}"
    if line.kind == TOMBSTONE:
        return f"tombstone {str(facts.get('asset_hash'))[:16]} of result {facts.get('result_id')}"
    return f"{line.kind} {facts.get('id')}"


def _title(kind: str, facts: dict[str, Any]) -> str:
    job = f"job {facts.get('job_id')}, " if kind == RECEIPT else ""
    return f"the {kind} of {job}batch {facts.get('sync_id')}"


def _decode(line: Line) -> dict[str, Any] | None:
    if len(line.body) > MAX_DECODED_BYTES:
        return None
    try:
        facts = json.loads(line.body)[line.kind]
    except (ValueError, RecursionError):
        return None
    return facts if isinstance(facts, dict) else None
