"""The items of a batch as one file, CSV or JSON: whole, or an error instead."""

import csv
import io
import json
from collections.abc import Iterator
from tempfile import SpooledTemporaryFile
from typing import Any, BinaryIO

from ... import ledger
from ...config import Settings
from ...database import Database
from ...errors import InvalidInput
from .. import formats, items, render
from .. import visit as parameters
from ..files import File
from ..visit import Visit

AT_ONCE = 1000  # items that are in memory
IN_MEMORY = 1024 * 1024  # bytes of the file, before it goes to the disk
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")  # how a cell begins that a spreadsheet would calculate


def show(db: Database, visit: Visit, settings: Settings) -> File:
    """`sync_id` chooses the batch, `decision` or `mark` some of its items, `format` csv or json. Raises InvalidInput, NotFound.

    It is written to a temporary file first, so that a database that fails half-way yields no file that looks whole.
    """
    sync_id = parameters.sync_id(visit.query.get("sync_id"))
    kind = visit.choice("format", list(WRITERS)) or "json"
    sieve = items.wanted(visit)
    if sieve.hash_start:
        raise InvalidInput("q: an export holds all items, or those of one decision or mark")
    batch_id = db.read(ledger.batch, sync_id)["id"]
    file = SpooledTemporaryFile(IN_MEMORY)
    WRITERS[kind](file, _items(db, batch_id, sieve))
    length = file.tell()
    file.seek(0)
    name = "-".join([sync_id, "items", *(each for each in sieve if each)])
    return File(file, {
        "Content-Type": TYPES[kind], "Content-Length": str(length),
        "Content-Disposition": f'attachment; filename="{name}.{kind}"',
    })


def _items(db: Database, batch_id: int, sieve: items.Sieve) -> Iterator[dict]:
    start: int | None = 0
    while start is not None:
        rows, start = db.read(items.page, batch_id, sieve, start, AT_ONCE)
        yield from map(items.shown, rows)


def _write_csv(file: BinaryIO, rows: Iterator[dict]) -> None:
    text = io.TextIOWrapper(file, encoding="utf-8", newline="", write_through=True)
    writer = csv.writer(text)
    writer.writerow(items.KEYS)
    writer.writerows([_cell(row[key]) for key in items.KEYS] for row in rows)
    text.detach()


def _write_json(file: BinaryIO, rows: Iterator[dict]) -> None:
    """One array, an item a line."""
    file.write(b"[")
    for number, row in enumerate(rows):
        file.write((b",\n" if number else b"\n") + render.as_json(row).rstrip(b"\n"))
    file.write(b"\n]\n")


def _cell(value: Any) -> str:
    """A value as text; what a spreadsheet would take for a formula gets an apostrophe in front."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (dict, list)):
        return json.dumps(value, ensure_ascii=False) if value else ""
    text = formats.iso(value) if hasattr(value, "year") else str(value)
    return f"'{text}" if text.startswith(FORMULA) else text


WRITERS = {"csv": _write_csv, "json": _write_json}
TYPES = {"csv": "text/csv; charset=utf-8; header=present", "json": "application/json"}
