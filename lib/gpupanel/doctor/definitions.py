"""CREATE TABLE, as etc/schema.sql and as MariaDB's SHOW CREATE TABLE say it, in one form that can be compared."""

import re
from typing import NamedTuple

TABLE = re.compile(r"CREATE TABLE (?:IF NOT EXISTS )?`?(\w+)`? \((.*)\)(.*)", re.DOTALL)
AFTER_A_COMMA = re.compile(r",\s*\n\s*(?=[\w`]+ )")  # each definition starts a line
QUOTED_OR_NOT = re.compile(r"('(?:[^']|'')*')|([^']+)")
INDEX = re.compile(r"(UNIQUE |PRIMARY )?KEY (?:(\w+) )?\((.*)\)")
FOREIGN = re.compile(r"CONSTRAINT (\w+) (FOREIGN KEY .*)")
TYPE = re.compile(r"\w+(?:\([^)]*\))?(?: unsigned)?")
WIDTH = re.compile(r"\b((?:tiny|small|medium|big)?int)\(\d+\)")  # says how it is shown, and not what it holds
TEXT = re.compile(r"(var)?char|\w*text|enum")
CHARSET = re.compile(r"char(?:acter )?set ?=? ?(\w+)")
COLLATION = re.compile(r"collate ?=? ?(\w+)")
DEFAULT = re.compile(r" default ('(?:[^']|'')*'|[\w.()-]+)")
GENERATED = re.compile(r" as (\(.*\)) (stored|persistent|virtual)")


class Column(NamedTuple):
    """What must be equal; texts are empty where there is no such thing."""

    type: str
    nullable: bool
    default: str
    counts: bool
    touched: bool
    generated: str
    collation: str

    @property
    def required(self) -> bool:
        """Whether an INSERT that does not know of the column fails."""
        return not (self.nullable or self.default or self.counts or self.generated)


class Table(NamedTuple):
    """column -> (what it is, its definition); index -> (unique, columns); foreign key -> its definition."""

    columns: dict[str, tuple[Column, str]]
    indexes: dict[str, tuple[bool, str]]
    foreign: dict[str, str]
    engine: str


def table(statement: str) -> tuple[str, Table]:
    """A table's name and what the statement that creates it says."""
    name, body, options = TABLE.match(statement).groups()
    found = Table({}, {}, {}, re.search(r"ENGINE ?= ?(\w+)", options)[1])
    for definition in AFTER_A_COMMA.split(body.strip()):
        _add(found, " ".join(definition.replace("`", "").split()), options)
    return name, found


def _add(found: Table, definition: str, options: str) -> None:
    if index := INDEX.match(definition):
        found.indexes[index[2] or "PRIMARY"] = (bool(index[1]), index[3].replace(" ", ""))
    elif foreign := FOREIGN.match(definition):
        found.foreign[foreign[1]] = re.sub(r"(\w) \(", r"\1(", foreign[2]).replace(", ", ",")
    elif not definition.startswith("CONSTRAINT"):
        name, _, text = definition.partition(" ")
        if text.endswith(" PRIMARY KEY"):
            text = text.removesuffix(" PRIMARY KEY")
            found.indexes["PRIMARY"] = (True, name)
        found.columns[name] = (_column(_lowered(text), _lowered(options)), text)


def _lowered(text: str) -> str:
    """In small letters, but for what is quoted; without spaces after commas."""
    small = "".join(quoted or other.lower() for quoted, other in QUOTED_OR_NOT.findall(text))
    return small.replace("', '", "','")


def _column(text: str, options: str) -> Column:
    kind = "json" if "json_valid" in text else WIDTH.sub(r"\1", TYPE.match(text)[0])
    default, generated = DEFAULT.search(text), GENERATED.search(text)
    return Column(
        kind, "not null" not in text, default[1] if default and default[1] != "null" else "", "auto_increment" in text,
        "on update" in text, re.sub(r"[\s()]", "", generated[1]) if generated else "",
        _collation(kind, text, options),
    )


def _collation(kind: str, text: str, options: str) -> str:
    """Of text: its collation where that compares byte by byte, else its character set."""
    if kind == "json" or not TEXT.match(kind):
        return ""
    said = text if COLLATION.search(text) or CHARSET.search(text) else options
    collation = COLLATION.search(said)
    if collation and collation[1].endswith("_bin"):
        return collation[1]
    return CHARSET.search(said)[1] if CHARSET.search(said) else collation[1].partition("_")[0]
