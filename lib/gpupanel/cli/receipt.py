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


def _archives(tx: ReadTransaction, receipts: list[dict[str, Any]], job_id: int | None) -> list[str]:
    """The files with archived receipts, each once, the oldest first."""
    files = (
        tx.fetch_one("archive.file_of_receipt", batch_id=row["batch_id"], receipt_id=row["id"])
        for row in receipts if job_id in (None, row["job_id"])
    )
    return list(dict.fromkeys(file["file"] for file in files if file))


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
    for name in _archives(tx, receipts, job_id):
        if folder is None:
            raise InvalidStateError(f"Batch {sync_id} is archived, see {name}.", "Name its folder with --archives.")
        print_batch(archive_path(folder, name), sync_id, job_id, out)
    for row in receipts:
        if tx.fetch_one("archive.file_of_receipt", batch_id=batch["id"], receipt_id=row["id"]):
            continue
        if job_id in (None, row["job_id"]):
            problems += check_receipt(tx, row, lambda body, digest: out.write(encode_line(body, digest)))[0]
            out.write(encode_closing(receipt_body(row), row["root"]))
    out.flush()
    return problems
