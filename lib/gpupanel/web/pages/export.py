"""Export of a batch's items as CSV or JSON: a complete file or an error."""

import csv
import io
import json
import re
from collections.abc import Callable, Iterator
from datetime import datetime
from tempfile import SpooledTemporaryFile
from typing import IO, Any

from ... import ledger
from ...config import Settings
from ...db import Database
from ...errors import InvalidInputError, InvalidStateError
from ...text import json_object
from .. import template_filters, templating
from . import item_list
from .. import request as parameters
from ..responses import FileResponse
from ..request import Request

AT_ONCE = 1000  # items in memory
IN_MEMORY = 1024 * 1024  # bytes of the file; a larger one goes to the disk
BOM = b"\xef\xbb\xbf"  # without it, spreadsheets read the file in the encoding of their locale
# A spreadsheet evaluates a cell that starts with one of these; East Asian locales also know wide and small forms. Where
# lists are separated by semicolons, it begins a cell after each semicolon, whatever the quotes of this file say.
# Characters that nobody sees may stand in front: some programs drop them, and begin a row at any line end.
INVISIBLE = r"\s\x00-\x1f\x7f-\xa0\xad\u061c\u180e\u200b-\u200f\u2028-\u202f\u2060-\u206f\ufeff"
FORMULA = re.compile(
    rf"""(^|[;,|\t\r\n\x0b\x0c\x1c-\x1e\x85\u2028\u2029])"""
    rf"""(?=[{INVISIBLE}"']*[=+\-@\uff1d\uff0b\uff0d\uff20\ufe66\ufe62\ufe63\ufe6b]|[\t\r\n])"""
)
# Separators of cells and rows. In JSON, semicolons and bars are within strings, and line ends and tabs are not.
JSON_ESCAPES = str.maketrans(
    {char: f"\\u{ord(char):04x}" for char in ";|\x85\u2028\u2029"} | dict.fromkeys("\t\r\n", " ")
)


def view(db: Database, request: Request, settings: Settings) -> FileResponse:
    """Return a batch's items as csv or json. Raises InvalidInputError, NotFoundError, InvalidStateError.

    A temporary file comes first, so that a database error cannot leave a truncated download.
    """
    sync_id = parameters.sync_id(request.query.get("sync_id"))
    kind = request.choice("format", list(WRITERS)) or "json"
    item_filter = item_list.parse_item_filter(request)
    if item_filter.hash_start:
        raise InvalidInputError("q: an export contains all items, or those of one decision or mark")
    batch = db.run_read(ledger.get_batch, sync_id)
    if ledger.is_archived(batch):
        raise InvalidStateError(
            f"The items of batch {sync_id} are archived, see {batch['archive_file']}.", "gpupanel restore-archive FILE"
        )
    batch_id = batch["id"]
    file: IO[bytes] = SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115 (closed after the response)
    WRITERS[kind](file, _items(db, batch_id, item_filter))
    length = file.tell()
    file.seek(0)
    name = "-".join([sync_id, "items", *(value for value in item_filter if value)])
    return FileResponse(file, {
        "Content-Type": TYPES[kind], "Content-Length": str(length),
        "Content-Disposition": f'attachment; filename="{name}.{kind}"',
    })


def _items(db: Database, batch_id: int, item_filter: item_list.ItemFilter) -> Iterator[dict[str, Any]]:
    start: int | None = 0
    while start is not None:
        rows, start = db.run_read(item_list.list_page, batch_id, item_filter, start, AT_ONCE)
        yield from map(item_list.serialize_item, rows)


def _write_csv(file: IO[bytes], rows: Iterator[dict[str, Any]]) -> None:
    file.write(BOM)
    text = io.TextIOWrapper(file, encoding="utf-8", newline="", write_through=True)
    writer = csv.writer(text)
    writer.writerow(item_list.ITEM_KEYS)
    writer.writerows([safe_cell(row[key]) for key in item_list.ITEM_KEYS] for row in rows)
    text.detach()


def _write_json(file: IO[bytes], rows: Iterator[dict[str, Any]]) -> None:
    """Write one array, with one item per line."""
    file.write(b"[")
    for number, row in enumerate(rows):
        file.write((b",\n" if number else b"\n") + templating.as_json(row).rstrip(b"\n"))
    file.write(b"\n]\n")


def safe_cell(value: Any) -> str:
    """Return a value as text, with ' before all that a spreadsheet would run."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict | list):
        return _dump_cell(value) if value else ""
    text = template_filters.iso(value) or "" if isinstance(value, datetime) else str(value)
    return FORMULA.sub(r"\1'", text)


def json_cell(text: str | None) -> str:
    """Return the JSON text of an object as a cell of the same value; other text becomes a safe cell."""
    is_json = text is not None and text.startswith("{") and json_object(text) is not None
    return text.translate(JSON_ESCAPES) if text and is_json else safe_cell(text)


def _dump_cell(value: dict[str, Any] | list[Any]) -> str:
    return json.dumps(value, ensure_ascii=False).translate(JSON_ESCAPES)


WRITERS: dict[str, Callable[[IO[bytes], Iterator[dict[str, Any]]], None]] = {"csv": _write_csv, "json": _write_json}
TYPES = {"csv": "text/csv; charset=utf-8; header=present", "json": "application/json"}
