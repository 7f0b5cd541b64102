"""Read the values of a row as those of etc/schema.sql, whatever the types of the columns.

Times become UTC, digests text, and texts of binary columns characters. What was converted is counted by name. A value
that cannot be converted stays as it is, and is compared as such.
"""

import re
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Set
from datetime import UTC, date, datetime, timedelta, tzinfo
from decimal import Decimal
from functools import partial
from typing import Any, NamedTuple

from . import table_specs, value_diff
from .table_specs import REFERENCES, TableSpec

Row = dict[str, Any]

TEXT_TIMES, EPOCHS, NO_TIMES = "times stored as text", "times stored as numbers", "values that are no times"
BINARY_HASHES, BINARY_TEXTS = "digests stored as bytes", "texts stored as bytes"
TEXT_NUMBERS = "numbers stored as text"
# Numbers between them are seconds since 1970, between 2001 and 2286; milliseconds have three digits more.
EPOCH_SECONDS, EPOCH_MILLISECONDS = (1e9, 1e10), (1e12, 1e13)
EPOCH_START, ZERO = datetime(1970, 1, 1), timedelta()
NUMBER = re.compile(r"\d{10,13}(\.\d+)?")
# A number as MariaDB writes it; another form of a number, such as 007, is a difference.
PLAIN_NUMBER = re.compile(r"-?(?:0|[1-9]\d{0,29})(?:\.\d{1,30})?", re.ASCII)
NUMBER_TYPES = ("tinyint", "smallint", "mediumint", "int", "bigint", "decimal", "double", "float")


class Zones(NamedTuple):
    """The time zone of the DATETIME columns of a side; those of `in_utc`, by (table, column), are in UTC.

    A TIMESTAMP is one of these: the server converts it to the zone of the session, which is UTC.
    """

    local: tzinfo = UTC
    in_utc: Set[tuple[str, str]] = frozenset()

    def of(self, table: str, column: str) -> tzinfo:
        """Return the zone of a column."""
        return UTC if (table, column) in self.in_utc else self.local


class RowReader:
    """Converts the rows of one table of one side.

    `converted` counts (table, column, name).
    """

    def __init__(self, table: TableSpec, paths: list[str], zones: Zones, converted: Counter[tuple[str, str, str]]):
        self._table, self._zones, self._converted = table.name, zones, converted
        self._converters = [
            (path, self._converter(*table_specs.end_of(table.name, path)))
            for path in paths if path.rpartition(".")[2] not in (*REFERENCES, "#", "id")
        ]

    def read(self, rows: Iterator[Row]) -> Iterator[Row]:
        """Yield the rows with converted values."""
        for row in rows:
            for path, convert in self._converters:
                value = row.get(path)
                if value is not None:
                    row[path] = convert(value, path)
            yield row

    def _converter(self, table: str, column: str) -> Callable[[Any, str], Any]:
        if table_specs.column_types(table)[column].startswith("datetime"):
            return partial(self._time, zone=self._zones.of(table, column))
        if table_specs.column_types(table)[column].startswith(NUMBER_TYPES):
            return self._number
        return self._hash if table_specs.is_hash(column) else self._text

    def _count(self, path: str, name: str) -> None:
        self._converted[self._table, path.partition(".")[0], name] += 1

    def _text(self, value: Any, path: str) -> Any:
        if not isinstance(value, (bytes, bytearray)):
            return value
        self._count(path, BINARY_TEXTS)
        return value.decode("utf-8", "surrogateescape")

    def _number(self, value: Any, path: str) -> Any:
        text = self._text(value, path)
        if not isinstance(text, str) or not PLAIN_NUMBER.fullmatch(text):
            return text
        self._count(path, TEXT_NUMBERS)
        return Decimal(text) if "." in text else int(text)

    def _hash(self, value: Any, path: str) -> Any:
        if isinstance(value, (bytes, bytearray)) and len(value) in (16, 32):
            self._count(path, BINARY_HASHES)
            return value.hex() if len(value) == 32 else str(uuid.UUID(bytes=bytes(value)))
        return self._text(value, path)

    def _time(self, value: Any, path: str, zone: tzinfo) -> Any:
        if isinstance(value, datetime):
            return value if zone is UTC else _utc(value, zone)
        moment = parse_time(self._text(value, path), zone)
        if moment is None:
            self._count(path, NO_TIMES)
            return value
        self._count(path, TEXT_TIMES if isinstance(value, str) and not NUMBER.fullmatch(value.strip()) else EPOCHS)
        return moment


def parse_time(value: Any, zone: tzinfo = UTC) -> datetime | None:
    """Return the UTC time of a value of any type; None if it is no time."""
    if isinstance(value, datetime):
        return _utc(value, zone)
    if isinstance(value, date):
        return _utc(datetime(value.year, value.month, value.day), zone)
    if isinstance(value, str) and not NUMBER.fullmatch(value.strip()):
        try:
            moment = datetime.fromisoformat(value.strip())
        except ValueError:
            return None
        return _utc(moment, zone) if moment.tzinfo is None else moment.astimezone(UTC).replace(tzinfo=None)
    return _from_epoch(value)


def _utc(moment: datetime, zone: tzinfo) -> datetime:
    try:
        earlier, later = moment.replace(tzinfo=zone), moment.replace(tzinfo=zone, fold=1)
        time = earlier.astimezone(UTC).replace(tzinfo=None)
        # A time that a change of the clock skips has two offsets, too; the one before the change is the smaller one.
        if (earlier.utcoffset() or ZERO) > (later.utcoffset() or ZERO):
            return value_diff.TimeTwice.of(time, later.astimezone(UTC).replace(tzinfo=None))
        return time
    except OverflowError:  # the first and the last day of the calendar
        return moment


def _from_epoch(value: Any) -> datetime | None:
    """Return the moment of a number of seconds or milliseconds, which is UTC everywhere."""
    number = Decimal(value.strip()) if isinstance(value, str) else value
    if not isinstance(number, (int, float, Decimal)):
        return None
    for (low, high), unit in ((EPOCH_SECONDS, 1), (EPOCH_MILLISECONDS, 1000)):
        if low <= number < high:
            return EPOCH_START + timedelta(microseconds=round(Decimal(str(number)) * 1_000_000 / unit))
    return None
