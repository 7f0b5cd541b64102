"""compare databases: a change of any one value of any column is reported once, or named as tolerated."""

import dataclasses
import hashlib
import json
import uuid
from collections import Counter
from datetime import datetime, timedelta
from decimal import Decimal

import installation
import pytest
from gpupanel.db import Database, schema
from gpupanel.devtools.mariadb_server import MariaDBServer, THROWAWAY
from gpupanel.migration import database_diff, masks, table_specs, value_diff
from gpupanel.migration.compared_database import ComparedDatabase
from gpupanel.migration.findings import Findings
from gpupanel.migration.row_diff import ComparisonOptions
from test_compare_databases import configure

LEFT, RIGHT = "any_left", "any_right"
ROWS = 150
# Rows that others refer to: as many again without a row that belongs to them, for an id to be changed to.
PARENTS = {"ingest_batch", "import_job", "asset", "asset_gallery", "asset_collection", "asset_cover"}
NOON = datetime(2026, 4, 30, 12)
DOCUMENT = {
    "list": [1, 2, 3],
    "names": ["a", "b"],
    "title": "Psalm:23",
    "note": "asset 5",
    "host": "media:8080",
    "number": -1.5,
    "whole": 4,
    "text": "4",
    "nothing": None,
    "yes": True,
    "deep": {"shot": "roll:12"},
}
# A job under another batch is a job that one batch lacks, and an additional one of the other.
OF_TWO_LINES = ("import_job", "batch_id")
TOLERATED = {
    masks.WORKER_NAMES, masks.REASON_NAMES, value_diff.JOB_IDS, "claim tokens", "times of the latest change",
    "the job of the latest import",
}


@pytest.fixture(scope="module")
def sides(tmp_path_factory):
    """Two databases with the same rows, in which every column has a value: (administrator, configurations)."""
    folder = tmp_path_factory.mktemp("any")
    with MariaDBServer(installation.prepared(tmp_path_factory.mktemp("any-mariadb")), *THROWAWAY) as server:
        schema.apply(dataclasses.replace(server.admin(RIGHT)))
        db = Database(server.admin(RIGHT))
        db.execute(f"CREATE DATABASE {LEFT} CHARACTER SET utf8mb4")
        db.execute("SET foreign_key_checks = 0")
        for table in table_specs.BY_NAME:
            fill(db, table)
            loosen(db, table)
        (folder / "left.mapping").write_text("[side]\ntime_zone = Asia/Kolkata\n")
        left, right = (configure(server, folder / f"{name}.conf", name) for name in (LEFT, RIGHT))
        yield db, [(left, folder / "left.mapping"), (right, None)]
        db.close()


def columns_of(table):
    generated = {name for name, (column, _) in table_specs.expected()[table].columns.items() if column.generated}
    return {column: kind for column, kind in table_specs.column_types(table).items() if column not in generated}


def fill(db, table):
    rows = range(1, (2 * ROWS if table in PARENTS else ROWS) + 1)
    columns = list(columns_of(table))
    values = ", ".join(f"%(v{n})s" for n in range(len(columns)))
    statement = f"INSERT INTO {RIGHT}.{table} ({', '.join(columns)}) VALUES ({values})"
    for row in rows:
        given = {f"v{n}": value_of(table, column, row) for n, column in enumerate(columns)}
        db.execute(statement, **given)


def value_of(table, column, row):
    """Return a value that no other row of the table has, if the type allows it."""
    kind = columns_of(table)[column]
    if column == "id" or column in table_specs.REFERENCES:
        return row
    if column in table_specs.IDENTIFIERS:
        return str(uuid.UUID(int=0xABCDEF << 80 | row << 8 | 0xAB))
    if column in ("created_at", "updated_at") or kind.startswith("datetime"):
        return NOON + timedelta(hours=row, minutes=list(columns_of(table)).index(column))
    if kind.startswith("enum"):
        return "queued" if column == "state" else kind.split("'")[1]
    if kind == "char(64)" or kind == "char(32)":
        return hashlib.sha256(f"{table} {column} {row}".encode()).hexdigest()[:int(kind[5:7])]
    if kind == "json" or column == "document":
        jobs = {"job_id": row, "worker": f"host:{row}"} if column == "payload" else {}
        return json.dumps(DOCUMENT | {"row": row} | jobs)
    if kind == "double":
        return -row - 0.5
    if "int" in kind:
        return row % 100 + 1
    return f"host:{row}" if column in ("worker", "actor") else f"Psalm:{row} asset {row} m:{row}"


def loosen(db, table):
    """Copy a table to the left side, with types that store any value."""
    db.execute(f"CREATE TABLE {LEFT}.{table} AS SELECT * FROM {RIGHT}.{table}")
    changes = ["ADD PRIMARY KEY (id)"]
    for column, kind in columns_of(table).items():
        if kind.startswith(("enum", "varchar", "char")):
            changes.append(f"MODIFY {column} VARCHAR(1000) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL")
        elif column != "id" and "int" in kind:
            changes.append(f"MODIFY {column} BIGINT NULL")
        elif kind.startswith("datetime"):
            changes.append(f"MODIFY {column} TIMESTAMP(6) NULL")  # in UTC, whatever the zone of the side is
        elif kind in ("json", "longtext", "text"):
            changes.append(f"MODIFY {column} LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL")
    db.execute(f"ALTER TABLE {LEFT}.{table} {', '.join(changes)}")


# ------------------------------------------------------------------------------------------------------- changes


def changes_of(table, column, row):
    """Yield other values of a column."""
    value = value_of(table, column, row)
    if column in table_specs.REFERENCES:
        yield value + ROWS if value <= ROWS else value - ROWS
        if column not in {part.partition(".")[0] for part in table_specs.BY_NAME[table].key}:
            yield from (999_999, None)
        return
    if table_specs.column_kind(table, column) == table_specs.JSON:
        yield from changed_json(value)
        return
    if isinstance(value, datetime):
        yield from (value + timedelta(microseconds=1), value - timedelta(hours=5), None)
    elif isinstance(value, float):
        yield from (-value, value + 1e-12, None)
    elif isinstance(value, int):
        yield from (value + 1, value ^ 64, -value, None)
    else:
        yield from (value.swapcase(), value + " ", f" {value}", value[:-1] + chr(ord(value[-1]) ^ 1), value + "é")
        yield value.replace("Psalm:", "Psalm:1")
        if column != "sync_id":  # a bundle without it is another one
            yield None


def changed_json(text):
    """Yield a document with one change each, and one that is none."""
    document = json.loads(text)
    for name, value in (
        ("title", "Psalm:119"),
        ("note", "asset 6"),
        ("host", "other:9090"),
        ("host", "Media:8080"),
        ("title", "Psalm: 23"),
        ("number", 1.5),
        ("whole", "4"),
        ("text", 4),
        ("nothing", 0),
        ("nothing", False),
        ("yes", 1),
        ("list", [3, 2, 1]),
        ("list", [1, 2]),
        ("names", ["b", "a"]),
        ("names", ["a", "B"]),
        ("deep", {"shot": "reel:99"}),
        ("whole", 5),
        ("new", 1),
    ):
        yield json.dumps(document | {name: value})
    yield json.dumps({name: value for name, value in document.items() if name != "yes"})
    yield json.dumps(document, separators=(",", ":"))
    yield json.dumps(document, sort_keys=True)
    yield text + " "
    yield text[:-1] + ', "whole": 4}'  # a repeated key
    yield text.replace("-1.5", "-1.50000000000000000001")
    yield text[:-1]


def compare(sides):
    findings = Findings()
    left, right = (ComparedDatabase(*files) for files in sides[1])
    with left.opened(), right.opened():
        database_diff.compare_databases(left, right, ComparisonOptions(by_bytes=True, tolerance=0), findings)
    return findings


def test_the_two_sides_agree_before_anything_is_changed(sides):
    findings = compare(sides)
    assert findings.equal and not findings.tolerated
    assert all(tally.equal == tally.rows >= ROWS for tally in findings.tallies)


@pytest.mark.parametrize("table", table_specs.BY_NAME)
def test_any_changed_value_of_any_column_is_reported_once_or_named(sides, table):
    work = [
        (column, change) for column in table_specs.compared_columns(table) if (table, column) != OF_TWO_LINES
        for change in range(len(changes(table, column, 1)))
    ]
    for start in range(0, len(work), ROWS):
        changed = dict(enumerate(work[start:start + ROWS], 1))
        check(sides, table, {
            row: (column, changes(table, column, row)[change]) for row, (column, change) in changed.items()
        })


def changes(table, column, row):
    """Return what the value of this row is changed to: the same changes in each row."""
    original = value_of(table, column, 1)
    useful = [not value_diff.is_same(change, original) for change in changes_of(table, column, 1)]
    return [change for change, is_useful in zip(changes_of(table, column, row), useful, strict=True) if is_useful]


def check(sides, table, changed):
    db = sides[0]
    for row, (column, value) in changed.items():
        db.execute(f"UPDATE {LEFT}.{table} SET {column} = %(value)s WHERE id = %(row)s", value=value, row=row)
    try:
        each = []
        findings = compare_each(sides, each)
    finally:
        for row, (column, _) in changed.items():
            db.execute(
                f"UPDATE {LEFT}.{table} l JOIN {RIGHT}.{table} r USING (id)"
                f" SET l.{column} = r.{column} WHERE id = %(row)s",
                row=row,
            )
    assert {difference.table for difference in each} == {table}, [each_ for each_ in each if each_.table != table]
    reported = Counter(difference.column for difference in each)
    named = Counter()
    for (name, place), count in findings.tolerated.items():
        assert name in TOLERATED or name.startswith("values that are no times"), (name, place)
        named[place.partition(".")[2]] += count
    expected = Counter(column for column, _ in changed.values())
    surplus = [difference for difference in each if reported[difference.column] != expected[difference.column]]
    assert reported + named == expected, surplus
    assert all(difference.bundle for difference in each)


def test_a_job_of_another_batch_is_one_that_one_batch_lacks_and_the_other_has_besides(sides):
    db = sides[0]
    db.execute(f"UPDATE {LEFT}.import_job SET batch_id = 200 WHERE id = 3")
    try:
        each = []
        compare_each(sides, each)
    finally:
        db.execute(f"UPDATE {LEFT}.import_job SET batch_id = 3 WHERE id = 3")
    bundles = {(found.table, found.bundle) for found in each if found.table == "import_job"}
    assert bundles == {("import_job", value_of("ingest_batch", "sync_id", row)) for row in (3, 200)}


def test_every_column_of_every_compared_table_is_changed():
    for table in table_specs.BY_NAME:
        known = {*columns_of(table)} - {"id"}
        assert known == {*table_specs.compared_columns(table)}, table
        assert all(changes(table, column, 1) for column in known), table


def compare_each(sides, each):
    findings = Findings(each=each.append)
    left, right = (ComparedDatabase(*files) for files in sides[1])
    with left.opened(), right.opened():
        database_diff.compare_databases(left, right, ComparisonOptions(by_bytes=True, tolerance=0), findings)
    return findings


def test_numbers_of_another_type_are_equal_in_value_only():
    assert [found.path for found in value_diff.diff_plain(4, Decimal("4.0"))] == [value_diff.NUMBER_TYPES]
    assert [found.kind for found in value_diff.diff_plain(4, "4")] == ["wording"]
    assert [found.kind for found in value_diff.diff_plain(0.0, -0.0)] == ["value"]
