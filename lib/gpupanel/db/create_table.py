"""Parse CREATE TABLE statements into a form for comparison."""

import re
from typing import NamedTuple

from .connection import Database

TABLE = re.compile(r"CREATE TABLE (?:IF NOT EXISTS )?`?(\w+)`? \((.*)\)(.*)", re.DOTALL)
PARTITIONS = re.compile(r"\n\s*(?:/\*!\d+ )?PARTITION BY ")
VERSIONED = " WITH SYSTEM VERSIONING"
AFTER_A_COMMA = re.compile(r",\s*\n\s*(?=`|\w+ )")  # each definition starts a line
QUOTED_OR_NOT = re.compile(r"('(?:[^']|'')*')|([^']+)")
SPACES = re.compile(r"\s+")
ENGINE = re.compile(r"ENGINE ?= ?(\w+)")
COLUMN_NAME = re.compile(r"`((?:[^`]|``)+)` ")
INDEX = re.compile(r"(UNIQUE |PRIMARY )?KEY (?:(`(?:[^`]|``)+`|\w+) )?\((.*)\)")
NO_COLUMNS = ("CONSTRAINT ", "FULLTEXT ", "SPATIAL ", "VECTOR ", "PERIOD ")
COMMENT = re.compile(r" comment '(?:[^']|'')*'")
CHECK = re.compile(r"CONSTRAINT `((?:[^`]|``)+)` (CHECK .*)", re.DOTALL)
FOREIGN = re.compile(r"CONSTRAINT (\w+) (FOREIGN KEY .*)")
TYPE = re.compile(r"\w+(?:\([^)]*\))?(?: unsigned)?")
WIDTH = re.compile(r"\b((?:tiny|small|medium|big)?int)\(\d+\)")  # the display width, which does not limit the values
TEXT = re.compile(r"(var)?char|\w*text|enum")
CHARSET = re.compile(r"char(?:acter )?set ?=? ?(\w+)")
COLLATION = re.compile(r"collate ?=? ?(\w+)")
DEFAULT = re.compile(r" default ('(?:[^']|'')*'|[\w.()-]+)")
GENERATED = re.compile(r" as (\(.*\)) (stored|persistent|virtual)")


class Column(NamedTuple):
    """The properties of a column that are compared."""

    type: str
    nullable: bool
    default: str
    counts: bool
    touched: bool
    generated: str
    collation: str

    @property
    def required(self) -> bool:
        """Whether an INSERT without this column fails."""
        return not (self.nullable or self.default or self.counts or self.generated)


class Table(NamedTuple):
    """Columns, indexes, foreign keys and checks of a table, each by name with its definition.

    Names of columns are in small letters: the server does not distinguish them.
    """

    columns: dict[str, tuple[Column, str]]
    indexes: dict[str, tuple[bool, str]]
    foreign: dict[str, str]
    engine: str
    is_partitioned: bool
    is_versioned: bool
    checks: dict[str, str]


def quoted(name: str) -> str:
    """Return a name of another program as a statement takes it, whatever its characters."""
    return f"`{name.replace('`', '``')}`"


def read_table(db: Database, name: str) -> Table | None:
    """Return an existing table; None for a view."""
    [row] = db.execute(f"SHOW CREATE TABLE {quoted(name)}")
    return parse_create_table(row["Create Table"])[1] if "Create Table" in row else None


def parse_create_table(statement: str) -> tuple[str, Table]:
    """Parse a CREATE TABLE statement; return the table's name and content."""
    described, *partitions = PARTITIONS.split(statement, maxsplit=1)
    match = TABLE.match(described)
    if match is None:
        raise ValueError(f"not a CREATE TABLE statement: {statement[:80]}")
    name, body, options = match.groups()
    engine = ENGINE.search(options)
    parsed = Table({}, {}, {}, engine[1] if engine else "", bool(partitions), VERSIONED in options, {})
    for definition in AFTER_A_COMMA.split(body.strip()):
        _add(parsed, definition, options)
    return name, parsed


def _add(parsed: Table, definition: str, options: str) -> None:
    if column := COLUMN_NAME.match(definition):
        name, text = column[1].replace("``", "`").lower(), _plain(definition[column.end():])
        parsed.columns[name] = (_column(_lowered(text), _lowered(options)), text)
    elif index := INDEX.match(definition):
        columns = index[3].replace("`", "").replace(" ", "").lower()
        parsed.indexes[(index[2] or "PRIMARY").replace("`", "")] = (bool(index[1]), columns)
    elif check := CHECK.match(definition):
        parsed.checks[check[1].replace("``", "`")] = _plain(check[2])
    elif foreign := FOREIGN.match(plain := _plain(definition)):
        parsed.foreign[foreign[1]] = re.sub(r"(\w) \(", r"\1(", foreign[2]).replace(", ", ",")
    elif not plain.startswith(NO_COLUMNS):
        name, _, text = plain.partition(" ")
        if text.endswith(" PRIMARY KEY"):
            text = text.removesuffix(" PRIMARY KEY")
            parsed.indexes["PRIMARY"] = (True, name)
        parsed.columns[name] = (_column(_lowered(text), _lowered(options)), text)


def _plain(definition: str) -> str:
    """Remove backquotes and runs of white space outside of quotes."""
    parts = QUOTED_OR_NOT.findall(definition)
    return "".join(text or SPACES.sub(" ", other.replace("`", "")) for text, other in parts).strip()


def _lowered(text: str) -> str:
    """Lower-case the text outside of quotes; remove spaces after commas."""
    small = "".join(quoted or other.lower() for quoted, other in QUOTED_OR_NOT.findall(text))
    return small.replace("', '", "','")


def _column(text: str, options: str) -> Column:
    text = COMMENT.sub("", text)
    kind = "json" if "json_valid" in text else WIDTH.sub(r"\1", _match(TYPE, text))
    default, generated = DEFAULT.search(text), GENERATED.search(text)
    return Column(
        kind, "not null" not in text, default[1] if default and default[1] != "null" else "", "auto_increment" in text,
        "on update" in text, re.sub(r"[\s()]", "", generated[1]) if generated else "",
        _collation(kind, text, options),
    )


def _match(pattern: re.Pattern[str], text: str) -> str:
    match = pattern.match(text)
    return match[0] if match else ""


def _collation(kind: str, text: str, options: str) -> str:
    """The collation of a text column if it compares bytes, else its charset."""
    if kind == "json" or not TEXT.match(kind):
        return ""
    source = text if COLLATION.search(text) or CHARSET.search(text) else options
    collation, charset = COLLATION.search(source), CHARSET.search(source)
    if collation and (collation[1].endswith("_bin") or not charset):
        return collation[1] if collation[1].endswith("_bin") else collation[1].partition("_")[0]
    return charset[1] if charset else ""
