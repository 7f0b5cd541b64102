"""Compare the rows of the database with the receipts, and the receipts with a head that was kept outside."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..db import Database, ReadTransaction
from ..errors import InvalidStateError
from .lines import EMPTY_HEAD, Hasher, MARK_DIGITS, digest_of, next_head, receipt_body
from .rows import Span, container_lines, read_lines, unpack
from .verify_file import Check, archive_path, verify_file

PAGE_RECEIPTS = 500
PAGE_JOBS = 500
MAX_FILES = 16  # archives whose roots are kept
CHANGED_ROW = "its own row was changed: batch, job, lines, bounds, time, previous or root"
NO_BOUNDS = {"id": 0, "root": None, "result_id": 0, "event_id": 0}

Row = dict[str, Any]


@dataclass
class DatabaseCheck(Check):
    """What a check found; `unsealed` are ended jobs without a receipt, which prove nothing and are no problem."""

    max_problems = 100
    head: str = EMPTY_HEAD
    unsealed: int = 0
    archived: int = 0  # receipts whose rows are in archives that were not checked


class DatabaseVerifier:
    """Goes through the chain of receipts.

    `known` are the heads that were kept outside of the database: the id of a receipt, or 0 where it is not known, and
    the head after it. `archives` is the folder of the archive files, None to leave archived rows unchecked.
    """

    def __init__(self, db: Database, known: Collection[tuple[int, str]] = (), archives: Path | None = None):
        self._db, self._archives = db, archives
        self._roots_in: dict[str, frozenset[str]] = {}  # file -> the roots of its receipts, of the latest files
        self._heads = {head for _, head in known}
        self._head_of = {receipt_id: head for receipt_id, head in known if receipt_id}
        self._check = DatabaseCheck()
        self._expected_id = 1

    def run(self) -> DatabaseCheck:
        """Check each receipt; one receipt's lines are read in one transaction."""
        check, after = self._check, 0
        while page := self._db.run_read(_page, after):
            for row in page:
                self._check_chain(row)
                self._db.run_read(self._check_receipt, row)
                check.receipts += 1
            after = page[-1]["id"]
        for head in sorted(self._heads):
            check.add_problem(
                f"no receipt has the head {head}, which was kept outside: receipts were changed, removed or replaced"
                f" since; the last receipt with such a head is {check.proven}"
            )
        check.unsealed = self._db.run_read(_count_unsealed)
        return check

    def _check_chain(self, row: Row) -> None:
        check = self._check
        if row["id"] != self._expected_id:
            check.add_problem(f"{_title(row)}: its place in the chain is {row['id']}, expected {self._expected_id}")
        self._expected_id = row["id"] + 1
        check.head = next_head(check.head, row["root"])
        if row["head"] != check.head:
            check.add_problem(f"{_title(row)}: its head does not fit the roots up to it")
            check.head = row["head"]  # each break of the chain is named once
        self._check_outside(row)

    def _check_outside(self, row: Row) -> None:
        """Compare the head after a receipt with the head that was kept outside."""
        check = self._check
        expected = self._head_of.get(row["id"])
        if expected not in (None, check.head):
            self._heads.discard(expected)
            check.add_problem(
                f"{_title(row)}: the head after it is not the one that was kept outside: a receipt from"
                f" {check.proven + 1} to {row['id']} was changed"
            )
        if check.head in self._heads:
            self._heads.discard(check.head)
            check.proven = row["id"]

    def _check_receipt(self, tx: ReadTransaction, row: Row) -> None:
        archive = tx.fetch_one("archive.file_of_receipt", batch_id=row["batch_id"], receipt_id=row["id"])
        if archive:
            self._check_archived(row, archive)
            return
        problems, lines = check_receipt(tx, row)
        self._check.lines += lines
        for problem in problems:
            self._check.add_problem(problem)

    def _check_archived(self, row: Row, archive: Row) -> None:
        """Check that the file holds the receipt; its rows in the database, while they are deleted, do not count."""
        if self._archives is None:
            self._check.archived += 1
        elif row["root"] not in self._roots(self._archives, archive["file"]):
            self._check.add_problem(f"{_title(row)}: it is not in the archive {archive['file']}")

    def _roots(self, folder: Path, name: str) -> frozenset[str]:
        """Verify a file; return the roots of its receipts."""
        if name not in self._roots_in:
            while len(self._roots_in) >= MAX_FILES:
                del self._roots_in[next(iter(self._roots_in))]
            self._roots_in[name] = self._verified_roots(folder, name)
        return self._roots_in[name]

    def _verified_roots(self, folder: Path, name: str) -> frozenset[str]:
        try:
            check = verify_file(archive_path(folder, name))
        except OSError as error:
            self._check.add_problem(f"the archive {name} cannot be read: {error.strerror}")
            return frozenset()
        except InvalidStateError as error:
            self._check.add_problem(str(error))
            return frozenset()
        for problem in check.problems:
            self._check.add_problem(f"the archive {name}: {problem}")
        self._check.lines += check.lines
        return frozenset(check.roots)


def check_receipt(
    tx: ReadTransaction, row: Row, write: Callable[[bytes, str], object] = lambda body, digest: None
) -> tuple[list[str], int]:
    """Recompute a receipt from the rows of the database; return what does not fit, and the number of lines.

    `write` gets each line and its digest.
    """
    title = _title(row)
    before = tx.fetch_one("receipts.before", batch_id=row["batch_id"], id=row["id"]) or NO_BOUNDS
    details = tx.fetch_one("receipts.details", id=row["id"])
    marks, containers = details["marks"] or "", details["containers"]
    hasher, unfit = Hasher(), ""
    for line in read_lines(tx, _span_of(row, before), containers):
        digest = digest_of(line.body)
        write(line.body, digest)
        start = hasher.lines * MARK_DIGITS
        if not unfit and digest[:MARK_DIGITS] != marks[start:start + MARK_DIGITS]:
            unfit = f"line {hasher.lines + 1}, {line.name}, is not what was sealed there"
        hasher.add(digest)
    problems = []
    if row["previous"] != before["root"]:
        problems.append(f"{title}: `previous` is not the root of the batch's receipt before it")
    if hasher.root(receipt_body(row)) != row["root"]:
        what = "; ".join(filter(None, (unfit, _counts(row, hasher))))
        problems.append(f"{title}: {what or CHANGED_ROW}")
    elif hasher.marks != marks:
        problems.append(f"{title}: its marks do not fit its lines")
    if details["is_last"]:
        problems += _beyond(tx, row, title) + _moved_containers(tx, row, containers, title)
    return problems, hasher.lines


def _counts(row: Row, hasher: Hasher) -> str:
    return f"{row['lines']:,} lines were sealed, {hasher.lines:,} are there" if row["lines"] != hasher.lines else ""


def _beyond(tx: ReadTransaction, row: Row, title: str) -> list[str]:
    """Name a result that was added to a job after its receipt."""
    extra = tx.fetch_one("receipts.results_beyond", batch_id=row["batch_id"], result_id=row["result_id"])
    return [f"{title}: result {extra['id']} of job {extra['job_id']} was added after its receipt"] if extra else []


def _moved_containers(tx: ReadTransaction, row: Row, containers: bytes | None, title: str) -> list[str]:
    """Name the first container whose row is not as it was sealed, where no preflight or job has changed it since."""
    if not containers or tx.fetch_value("receipts.has_moved_on", batch_id=row["batch_id"], event_id=row["event_id"]):
        return []
    sealed, found = unpack(containers), container_lines(tx, row["job_id"])
    for number, body in enumerate(sealed):
        if number >= len(found) or found[number] != body:
            return [f"{title}: container {number + 1} of job {row['job_id']} is not as it was sealed"]
    return []


def _span_of(row: Row, before: Row) -> Span:
    """What a receipt covers, given the receipt of the batch before it."""
    return Span(
        row["batch_id"], row["job_id"], before["result_id"], row["result_id"], before["event_id"], row["event_id"],
        row["version"],
    )


def _title(row: Row) -> str:
    return f"receipt {row['id']} (job {row['job_id']}, batch {row['sync_id'] or row['batch_id']})"


def _page(tx: ReadTransaction, after: int) -> list[Row]:
    return tx.fetch_all("receipts.page", after=after, limit=PAGE_RECEIPTS)


def _count_unsealed(tx: ReadTransaction) -> int:
    """Number of ended jobs without a receipt, counted up to a page."""
    return len(tx.fetch_all("receipts.unsealed_after", after=0, limit=PAGE_JOBS))
