"""Columns that two programs cannot share: one keeps bytes or numbers where the other keeps digits or times.

A statement would convert such a column without an error, into other values, or the other program would go on writing
its own. So the script is refused, with the statements for a switch without both sides on one database
(docs/decisions/0183-columns-of-another-nature.md).
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from ..db.create_table import Column, Table, quoted

BYTES = re.compile(r"(?:var)?binary|(?:tiny|medium|long)?blob")
NUMBER = re.compile(r"(?:tiny|small|medium|big)?int|decimal|double|float")
KEY_PART = re.compile(r"^(.*?)((?:\(\d+\))?)$")  # a column of a key, with the length of its prefix
WORD = re.compile(r"'((?:[^']|'')*)'")
DIGITS = re.compile(r"char\((32|36|64)\)")
PREFIXED = "^[A-Za-z0-9-]+:[0-9A-Fa-f-]+$"  # such as sha256:
CAPITALS = "BINARY {0} <> LOWER({0})"
UUID = r"REGEXP_REPLACE({}, '^(.{{8}})(.{{4}})(.{{4}})(.{{4}})', '\\1-\\2-\\3-\\4-')"
# Columns with a default of which another program has the values under other names: no default can stand for them.
COMPUTED = {("asset_source", "sha256"), ("asset_ai_run", "content_sha256")}
# Tables whose numbers other rows refer to.
REFERRED = {"ingest_batch", "import_job", "asset", "asset_cover", "asset_gallery", "asset_collection"}


class Cause(NamedTuple):
    """Why a column cannot be changed, and what to do."""

    cause: str
    remedy: str


def find_cause(table: str, name: str, wanted: Table, actual: Table) -> Cause | None:
    """Return why the column cannot become the wanted one; None if it can."""
    if name not in wanted.columns:
        return None
    column = wanted.columns[name][0]
    if name not in actual.columns:
        return _missing(table, name, wanted, actual) if _is_essential(table, name, wanted) else None
    if column.generated:
        return None
    return _other_nature(table, name, column, actual)


def _other_nature(table: str, name: str, wanted: Column, theirs: Table) -> Cause | None:
    actual, kept = theirs.columns[name][0], kept_times(theirs)
    found = f"it is {actual.type}, and must be {wanted.type}:"
    if (digits := DIGITS.fullmatch(wanted.type)) and BYTES.match(actual.type):
        text = f"LOWER(HEX({name}))"
        value = UUID.format(text) if digits[1] == "36" else text
        return Cause(f"{found} bytes, where this system keeps digits.", converted(
            f"ALTER TABLE {table} MODIFY {name} VARBINARY(64); UPDATE {table} SET {name} = {value}{kept};"
            f" ALTER TABLE {table} MODIFY {name} VARCHAR(64) CHARACTER SET ascii"
        ))
    if wanted.type.startswith("datetime") and NUMBER.match(actual.type):
        return Cause(f"{found} numbers, such as seconds or milliseconds since 1970.", converted(
            f"ALTER TABLE {table} ADD {name}_at DATETIME(6) NULL; UPDATE {table} SET {name}_at ="
            f" FROM_UNIXTIME(NULLIF({name}, 0) / IF({name} >= 1e11, 1000, 1)){kept};"
            f" ALTER TABLE {table} DROP {name}, RENAME COLUMN {name}_at TO {name}"
        ))
    if "int" in wanted.type and BYTES.match(actual.type):
        return Cause(f"{found} bytes, where this system keeps numbers.", "Number its rows anew, and those that refer to"
                     " them; the Perl programs must use these numbers.")
    return None


def find_other_letters(table: str, name: str, wanted: Column, theirs: Table) -> Iterator[tuple[str, Cause]]:
    """Yield (query of the rows, cause) of capital letters and prefixes of digests."""
    actual, kept = theirs.columns[name][0], kept_times(theirs)
    if not actual.collation:
        return
    if DIGITS.fullmatch(wanted.type):
        yield f"SELECT * FROM {table} WHERE {CAPITALS.format(f'`{name}`')}", Cause(
            "it has capital letters, where this system keeps small ones, and finds no others.",
            converted(f"UPDATE {table} SET {name} = LOWER({name}){kept}"),
        )
        prefixed = f"`{name}` REGEXP '{PREFIXED}'"
        yield f"SELECT * FROM {table} WHERE {prefixed}", Cause(
            "it has a prefix before its digits, where this system keeps the digits alone.",
            converted(f"UPDATE {table} SET {name} = SUBSTRING_INDEX({name}, ':', -1){kept} WHERE {prefixed}"),
        )


def kept_times(theirs: Table, alias: str = "", changed: str = "") -> str:
    """Return the assignments by which an UPDATE of `changed` leaves the times of the latest change as they are."""
    touched = [
        f"{alias}{quoted(name)}" for name, (column, _) in theirs.columns.items() if column.touched and name != changed
    ]
    return "".join(f", {name} = {name}" for name in touched)


def words_of(column: Column) -> list[str]:
    """Return the words of an ENUM; none of another column."""
    return WORD.findall(column.type) if column.type.startswith("enum(") else []


def converted(statements: str) -> str:
    """Return the remedy by statements that run once the Perl programs have stopped."""
    return (
        "Both programs cannot share it. Skip the side by side; when both panels and workers have stopped in step 8, run"
        f" in a session of the Perl side's zone: {statements}; then repeat step 1. SET time_zone = 'Europe/Vienna' sets"
        " the zone of a session. After error 1298, first load the zones:"
        " mariadb-tzinfo-to-sql /usr/share/zoneinfo | mariadb mysql"
    )


def unique_instead(wanted: Table, actual: Table) -> str:
    """Return the clause that keeps the columns of a dropped primary key unique; empty if another key does.

    The Perl programs still run: without the key, their INSERT ... ON DUPLICATE KEY UPDATE would add rows.
    """
    columns = actual.indexes["PRIMARY"][1]
    others = [key for name, (unique, key) in actual.indexes.items() if unique and name != "PRIMARY"]
    if any(set(key.split(",")) <= set(columns.split(",")) for key in others):
        return ""
    ours = (name for name, index in wanted.indexes.items() if index == (True, columns) and name not in actual.indexes)
    listed = ", ".join(KEY_PART.sub(lambda part: quoted(part[1]) + part[2], part, 1) for part in columns.split(","))
    return f"ADD UNIQUE KEY {next(ours, 'primary_before')} ({listed}), "


def _unnumbered(table: str, others: str, wanted: Table, actual: Table) -> Cause:
    """Return what to do where rows have no number; no other table refers to it."""
    dropped = f"DROP PRIMARY KEY, {unique_instead(wanted, actual)}" if "PRIMARY" in actual.indexes else ""
    # MyISAM writes rows into the space of others, so that their order says nothing; InnoDB copies them as they came.
    by_time = ", ORDER BY created_at" if "created_at" in actual.columns and actual.engine != "InnoDB" else ""
    return Cause(
        f"{table} has no such column. Columns that this system does not know: {others}.",
        f"If one of them numbers the rows, rename it: ALTER TABLE {table} RENAME COLUMN ... TO id. Otherwise add it;"
        f" the Perl programs need not know it: ALTER TABLE {table} {dropped}ADD id BIGINT UNSIGNED NOT NULL"
        f" AUTO_INCREMENT PRIMARY KEY{by_time}; then repeat step 1.",
    )


def _is_essential(table: str, name: str, wanted: Table) -> bool:
    """Whether rows lose their meaning with a default: parts of keys, references, and states."""
    column = wanted.columns[name][0]
    if column.nullable or column.generated or (table, name) in COMPUTED:
        return False
    keys = [columns.split(",") for unique, columns in wanted.indexes.values() if unique]
    is_key = any(name in columns for columns in keys)
    is_reference = any(f"FOREIGN KEY({name})" in text for text in wanted.foreign.values())
    return is_key or is_reference or column.type.startswith("enum(")


def _missing(table: str, name: str, wanted: Table, actual: Table) -> Cause:
    others = ", ".join(column for column in actual.columns if column not in wanted.columns) or "none"
    if name == "id" and table not in REFERRED:
        return _unnumbered(table, others, wanted, actual)
    return Cause(
        f"{table} has no such column, and no default can stand for its values. Columns that this system does not know:"
        f" {others}.",
        f"If one of them is {name}, rename it, and let the Perl programs use the new name: ALTER TABLE {table} RENAME"
        f" COLUMN ... TO {name}; `compare schemas` proposes which.",
    )
