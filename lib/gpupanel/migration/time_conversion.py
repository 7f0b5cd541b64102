"""Convert the local times that the Perl side wrote to UTC, and back (docs/decisions/0182-conversion-of-times.md).

A time is ours where a record of this system was written within a minute of it: an event with an actor for the ledger, a
result for the library. Jobs show it by their claim token and by the events that queued and ended them, events by their
actor. All other times are Perl's. A time of Perl's in UTC may lie within a minute of such a record, so the event of a
conversion to UTC names the columns of its batch that were kept, and the way back reads them.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from json import dumps, loads
from typing import NamedTuple
from zoneinfo import ZoneInfo

from ..db import Database, ReadTransaction, Transaction
from ..errors import InvalidInputError, InvalidStateError
from ..models import EventType
from ..text import pluralize
from . import table_specs

EVENT: EventType = "times_converted"
TO_UTC, TO_LOCAL = "utc", "local"
NEAR_SECONDS = 60  # a row and the record of its change are written in one transaction, seconds apart
STATEMENT_TIMEOUT_SECONDS = 24 * 3600
FIRST_TIME = "1000-01-01"  # of a DATETIME; what is before it is a zero date
# Records of ours: what they are about, its id, and when they were written.
RECORDS = (
    "CREATE TEMPORARY TABLE our_records (about VARCHAR(16) CHARACTER SET ascii NOT NULL, id BIGINT UNSIGNED NOT NULL,"
    " at DATETIME(6) NOT NULL, KEY (about, id, at)) ENGINE = InnoDB",
    f"INSERT INTO our_records SELECT 'batch', batch_id, created_at FROM ingest_event"
    f" WHERE actor <> '' AND event_type <> '{EVENT}'",
    "INSERT INTO our_records SELECT 'asset', a.id, r.created_at FROM ingest_result r"
    " JOIN asset a ON a.asset_type = r.kind AND a.asset_hash = r.hash",
    *(
        f"INSERT INTO our_records SELECT '{kind}', c.id, r.created_at FROM ingest_result r"
        f" JOIN asset_{kind} c ON r.kind = '{kind}' AND c.{kind}_hash = r.hash" for kind in ("gallery", "collection")
    ),
)
# table -> what its rows are about, and the column with the id of that.
ABOUT = {
    "ingest_batch": ("batch", "id"), "import_job": ("batch", "batch_id"), "ingest_batch_item": ("batch", "batch_id"),
    "asset": ("asset", "id"), "asset_gallery": ("gallery", "id"), "asset_collection": ("collection", "id"),
    "asset_gallery_item": ("gallery", "gallery_id"), "asset_collection_item": ("collection", "collection_id"),
}
# `kept` are the columns of a batch that were ours at its conversion to UTC; NULL where an older version converted it.
CONVERTED = (
    "CREATE TEMPORARY TABLE converted (batch_id BIGINT UNSIGNED NOT NULL PRIMARY KEY, at DATETIME(6) NOT NULL,"
    " kept VARCHAR(255) CHARACTER SET ascii NULL) ENGINE = InnoDB",
    f"REPLACE INTO converted SELECT batch_id, created_at, JSON_VALUE(payload, '$.kept') FROM ingest_event"
    f" WHERE event_type = '{EVENT}' ORDER BY id",
)
KEPT = "*kept*"
ADD_EVENTS = (
    f"INSERT INTO ingest_event (batch_id, event_type, payload, actor)"
    f" SELECT b.id, '{EVENT}', REPLACE(%(payload)s, '{KEPT}', COALESCE(c.kept, '')), %(actor)s FROM ingest_batch b"
    " LEFT JOIN converted c ON c.batch_id = b.id ORDER BY b.id"
)
# Of the way back: Perl's although a record of ours is near, since it was converted before.
WAS_CONVERTED = {
    "ingest_batch": "EXISTS (SELECT 1 FROM converted c WHERE c.batch_id = t.id AND t.{column} < c.at"
    " AND NOT FIND_IN_SET('{column}', c.kept))",
    # Our worker names its job in each item that it settles, and our preflight what it planned; Perl need not.
    "ingest_batch_item": "EXISTS (SELECT 1 FROM converted c LEFT JOIN import_job j ON j.id = t.job_id"
    " WHERE c.batch_id = t.batch_id AND t.{column} < c.at AND IF(j.id IS NULL,"
    " IF(LEFT(t.decision, 5) = 'will_', t.planned IS NULL, t.decision <> 'withdrawn'), NOT ({our_claim})))",
}
# As `job_queue.queued_here`.
NAMED_HERE = (
    "EXISTS (SELECT 1 FROM ingest_event e FORCE INDEX (kind)"
    " WHERE e.batch_id = t.batch_id AND e.event_type IN ({types}) AND e.actor <> ''"
    " AND JSON_VALUE(e.payload, '$.job_id') = t.id)"
)
QUEUED_HERE = NAMED_HERE.format(types="'job_queued'")
ENDED_HERE = NAMED_HERE.format(types="'job_canceled', 'job_failed'")  # of jobs that no worker ended
ARCHIVED = (
    "SELECT b.sync_id FROM ingest_archive a JOIN ingest_batch b ON b.id = a.batch_id"
    " WHERE a.restored_at IS NULL LIMIT 1"
)
OUR_CLAIM = "RIGHT(t.claim_token, 8) <=> BINARY LEFT(SHA2(t.worker, 256), 8)"


class Offset(NamedTuple):
    """The seconds that a zone is ahead of UTC, from a time on."""

    since: datetime
    seconds: int


class ConversionReport(NamedTuple):
    """The number of rows whose times were converted, of each table."""

    direction: str
    zone: str
    rows: dict[str, int]


def time_columns(table: str) -> list[str]:
    """Return the columns of times that the Perl side writes, too."""
    return [
        column for column, kind in table_specs.column_types(table).items()
        if kind.startswith("datetime") and (table, column) not in table_specs.OURS_ONLY
    ]


def convert_times(db: Database, direction: str, actor: str, *, commit: bool = True) -> ConversionReport:
    """Convert the times of the Perl side in one transaction, and write an event to each batch.

    Raises InvalidInputError without a time zone, InvalidStateError while a job runs or if the times were converted.
    """
    zone = db.settings.perl_time_zone
    if zone is None:
        raise InvalidInputError(
            "[database] perl_time_zone is not set.", "Name the zone in which the Perl side writes its times."
        )
    report = ConversionReport(direction, zone.key, {})
    with db.transaction() as tx:
        _raise_unless_possible(tx, direction)
        for statement in (*RECORDS, *CONVERTED):
            _execute(tx, statement)
        if direction == TO_UTC:
            _execute(tx, _keep_columns_of_batches())
        for table in (spec.name for spec in table_specs.TABLES):
            report.rows[table] = _convert_table(tx, table, direction, zone)
        if commit:
            kept = {"kept": KEPT} if direction == TO_UTC else {}
            payload = {"direction": direction, **kept, "phase": "cutover", "zone": zone.key}
            _execute(tx, ADD_EVENTS, payload=dumps(payload, separators=(",", ":")), actor=actor)
        _execute(tx, "DROP TEMPORARY TABLE our_records, converted")
        if not commit:
            raise _DryRunEnded(report)
    return report


def _keep_columns_of_batches() -> str:
    """Return the statement that notes which columns of each batch are ours, before they are converted."""
    names = ", ".join(
        f"IF({_is_ours('ingest_batch', column, TO_UTC)}, '{column}', NULL)" for column in time_columns("ingest_batch")
    )
    return f"REPLACE INTO converted SELECT t.id, NOW(6), CONCAT_WS(',', {names}) FROM ingest_batch t"


def preview(db: Database, direction: str, actor: str) -> ConversionReport:
    """Return what `convert_times` would do; nothing is written. Raises as convert_times."""
    try:
        return convert_times(db, direction, actor, commit=False)
    except _DryRunEnded as ended:
        return ended.report


class _DryRunEnded(Exception):  # noqa: N818 - a signal that rolls the transaction back
    def __init__(self, report: ConversionReport):
        super().__init__()
        self.report = report


def _raise_unless_possible(tx: ReadTransaction, direction: str) -> None:
    running = tx.fetch_all_sql("SELECT id, worker FROM import_job WHERE state = 'running' LIMIT 1")
    if running:
        raise InvalidStateError(
            f"Job {running[0]['id']} runs on {running[0]['worker']}; nothing was converted.",
            "Stop both workers and both panels first; `gpupanel cutover drained` says when all jobs have ended.",
        )
    _raise_for_zero_dates(tx)
    archived = tx.fetch_all_sql(ARCHIVED)
    if archived:
        raise InvalidStateError(
            f"Batch {archived[0]['sync_id']} is in an archive, with the records that tell its times of this system from"
            " those of Perl; nothing was converted.",
            "Restore the archives with gpupanel restore-archive first.",
        )
    latest = tx.fetch_all_sql(
        "SELECT payload, actor, created_at FROM ingest_event WHERE event_type = %(event)s ORDER BY id DESC LIMIT 1",
        event=EVENT,
    )
    state = loads(latest[0]["payload"])["direction"] if latest else TO_LOCAL
    if state == direction:
        known = "".join(
            f": {row['actor']} converted them at {row['created_at']:%Y-%m-%d %H:%M:%S} UTC" for row in latest
        )
        zone = "UTC" if state == TO_UTC else "its local zone"
        raise InvalidStateError(
            f"Nothing was converted. The times of the Perl side are in {zone} already{known}.",
            "Convert them back with --back." if state == TO_UTC else "",
        )


def _raise_for_zero_dates(tx: ReadTransaction) -> None:
    """Refuse times that no zone has; they would hide the earliest time, and stop the UPDATE."""
    for table in (spec.name for spec in table_specs.TABLES):
        counts = (f"COUNT(IF({column} < '{FIRST_TIME}', 1, NULL)) AS {column}" for column in time_columns(table))
        [row] = tx.fetch_all_sql(f"SELECT {', '.join(counts)} FROM {table}")
        if column := next((column for column, rows in row.items() if rows), ""):
            raise InvalidStateError(
                f"{table}.{column} has zero dates in {pluralize(row[column], 'row')}; nothing was converted.",
                "gpupanel doctor --statements names them, and the statement that makes them NULL.",
            )


def _execute(tx: Transaction, statement: str, **params: str) -> int:
    """Execute a statement; return the number of its rows."""
    tx.fetch_all_sql(statement, **params)
    [row] = tx.fetch_all_sql("SELECT ROW_COUNT() AS n")
    return int(row["n"])


def _convert_table(tx: Transaction, table: str, direction: str, zone: ZoneInfo) -> int:
    columns = time_columns(table)
    bounds = _bounds(tx, table, columns)
    if bounds is None:
        return 0
    steps = list(offsets(zone, *bounds))
    theirs = {column: f"t.{column} IS NOT NULL AND NOT ({_is_ours(table, column, direction)})" for column in columns}
    changes = ", ".join(
        f"t.{column} = IF({theirs[column]}, {_converted(f't.{column}', steps, direction)}, t.{column})"
        for column in columns
    )
    return _execute(tx, f"UPDATE {table} t SET {changes} WHERE {' OR '.join(theirs.values())}")


def _bounds(tx: ReadTransaction, table: str, columns: list[str]) -> tuple[datetime, datetime] | None:
    """Return the earliest and the latest time of a table."""
    ends = ", ".join(f"MIN({column}) AS min_{column}, MAX({column}) AS max_{column}" for column in columns)
    [row] = tx.fetch_all_sql(f"SELECT {ends} FROM {table}")
    times = [time for time in row.values() if time is not None]
    return (min(times), max(times)) if times else None


def _is_ours(table: str, column: str, direction: str) -> str:
    """Return the condition that this system wrote a time."""
    if direction == TO_LOCAL and table in WAS_CONVERTED:
        our_claim = OUR_CLAIM.replace("t.", "j.")
        was_converted = WAS_CONVERTED[table].format(column=column, our_claim=our_claim)
        return f"{_is_ours(table, column, TO_UTC)} AND NOT {was_converted}"
    if table == "ingest_event":
        return "t.actor <> ''"
    if (table, column) == ("import_job", "queued_at"):
        return QUEUED_HERE
    if (table, column) == ("import_job", "finished_at"):
        return f"IF(t.worker IS NULL OR t.state = 'canceled', {ENDED_HERE}, {OUR_CLAIM})"
    about, key = ABOUT.get(table, ("asset", "asset_id"))
    recorded = (
        f"EXISTS (SELECT 1 FROM our_records o WHERE o.about = '{about}' AND o.id = t.{key} AND o.at BETWEEN"
        f" t.{column} - INTERVAL {NEAR_SECONDS} SECOND AND t.{column} + INTERVAL {NEAR_SECONDS} SECOND)"
    )
    if table == "import_job":
        return f"IF(t.worker IS NULL, {recorded}, {OUR_CLAIM})"
    return recorded


def _converted(column: str, steps: list[Offset], direction: str) -> str:
    """Return the SQL of a converted time: the offset of the latest step that is not after it."""
    sign = "-" if direction == TO_UTC else "+"
    shift = timedelta() if direction == TO_LOCAL else None
    text = ""
    for step in reversed(steps[1:]):
        # In local time an offset begins at its own clock; a time that exists twice is the later one.
        since = step.since + (timedelta(seconds=step.seconds) if shift is None else shift)
        text += f" WHEN {column} >= '{since:%Y-%m-%d %H:%M:%S}' THEN {column} {sign} INTERVAL {step.seconds} SECOND"
    rest = f"{column} {sign} INTERVAL {steps[0].seconds} SECOND"
    return f"CASE{text} ELSE {rest} END" if text else rest


def offsets(zone: ZoneInfo, first: datetime, last: datetime) -> Iterator[Offset]:
    """Yield the offsets of a zone between two times, each with the UTC time from which it holds."""
    step, end = timedelta(hours=6), last + timedelta(days=2)
    at = first - timedelta(days=2)
    known = _offset(zone, at)
    yield Offset(at, known)
    while at < end:
        after = at + step
        if (seconds := _offset(zone, after)) != known:
            yield Offset(_change(zone, at, after), seconds)
            known = seconds
        at = after


def _change(zone: ZoneInfo, before: datetime, after: datetime) -> datetime:
    """Return the second, in UTC, at which the offset changes."""
    old = _offset(zone, before)
    before, after = before.replace(microsecond=0), after.replace(microsecond=0)
    while after - before > timedelta(seconds=1):
        middle = before + timedelta(seconds=int((after - before).total_seconds()) // 2)
        before, after = (middle, after) if _offset(zone, middle) == old else (before, middle)
    return after


def _offset(zone: ZoneInfo, at: datetime) -> int:
    offset = at.replace(tzinfo=UTC).astimezone(zone).utcoffset() or timedelta()
    return int(offset.total_seconds())
