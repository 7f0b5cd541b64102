"""gpupanel receipt: the receipts of a batch, as lines that anyone can verify."""

import sys
from pathlib import Path
from typing import IO, Any

from .. import ledger
from ..db import ReadTransaction
from ..errors import InvalidStateError, NotFoundError
from ..receipts.lines import encode_closing, encode_line, receipt_body
from ..receipts.verify_database import check_receipt
from ..receipts.verify_file import archive_path, print_batch
from .context import CommandContext
from .output import format_cell


def run(context: CommandContext) -> int:
    """Print the receipts of a batch, the oldest first, or that of one job: JSON Lines, with --json too.

    Return 1 if the rows of the database do not fit them; standard error names the first line that does not.
    """
    problems = context.db.run_read(_print, context.sync_id, context.args.job, context.args.archives, sys.stdout.buffer)
    for problem in problems:
        print(f"gpupanel: {format_cell(problem)}", file=sys.stderr)
    return 1 if problems else 0


def _files_of(tx: ReadTransaction, receipts: list[dict[str, Any]]) -> dict[int, str]:
    """The files with archived receipts, by the ids of these."""
    found = {
        row["id"]: tx.fetch_one("archive.file_of_receipt", batch_id=row["batch_id"], receipt_id=row["id"])
        for row in receipts
    }
    return {receipt_id: archive["file"] for receipt_id, archive in found.items() if archive}


def _print(
    tx: ReadTransaction, sync_id: str, job_id: int | None, folder: Path | None, out: IO[bytes]
) -> list[str]:
    batch = ledger.get_batch(tx, sync_id)
    receipts = tx.fetch_all("receipts.of_batch", batch_id=batch["id"])
    if not receipts:
        raise NotFoundError(f"Batch {sync_id} has no receipt.", "gpupanel seal makes one for each job that has ended.")
    if job_id is not None and job_id not in [row["job_id"] for row in receipts]:
        raise InvalidStateError(f"Job {job_id} has no receipt in batch {sync_id}.", "Leave out --job to print all.")
    problems: list[str] = []
    wanted = [row for row in receipts if job_id in (None, row["job_id"])]
    file_of = _files_of(tx, wanted)
    if folder is None and file_of:
        first = next(iter(file_of.values()))
        raise InvalidStateError(f"Batch {sync_id} is archived, see {first}.", "Name its folder with --archives.")
    printed: set[str] = set()  # files, each of which holds receipts that follow each other
    for row in wanted:
        name = file_of.get(row["id"])
        if folder is None or name is None:
            problems += check_receipt(tx, row, lambda body, digest: out.write(encode_line(body, digest)))[0]
            out.write(encode_closing(receipt_body(row), row["root"]))
        elif name not in printed:
            printed.add(name)
            print_batch(archive_path(folder, name), sync_id, job_id, out)
    out.flush()
    return problems
