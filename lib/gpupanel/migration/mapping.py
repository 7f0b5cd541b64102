"""The mapping file: what a database calls the tables and columns that we know from etc/schema.sql.

An INI file, documented in docs/PERL-PARITY.md: `[side] time_zone`, `[tables] ours = theirs`, and a section named after
each of our tables with `our_column = their_column`. `-` says that there is no such table or column. Names that are not
mentioned are the same.
"""

import re
from collections import Counter
from configparser import ConfigParser
from configparser import Error as SyntaxProblem
from datetime import UTC, tzinfo
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

from ..errors import ConfigurationError
from . import table_specs

ABSENT = "-"
NAME = re.compile(r"[A-Za-z0-9_$]{1,64}")
HINT = "docs/PERL-PARITY.md describes the mapping file; `compare schemas` proposes one."

Catalogue = dict[str, set[str]]


class NameMapping(NamedTuple):
    """Names that differ; `zone` is the time zone in which the side writes its DATETIME columns."""

    tables: dict[str, str] = {}
    columns: dict[tuple[str, str], str] = {}
    zone: tzinfo = UTC

    def table(self, name: str) -> str:
        return self.tables.get(name, name)

    def column(self, table: str, name: str) -> str:
        return self.columns.get((table, name), name)


def load_mapping(path: Path) -> NameMapping:
    """Read and check a mapping file. Raises ConfigurationError with every problem found."""
    parser = ConfigParser(interpolation=None, default_section="\0")
    parser.optionxform = str
    try:
        parser.read_string(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read", [f"{path}: {error.strerror}"], HINT) from None
    except (SyntaxProblem, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} cannot be used", [" ".join(str(error).split())], HINT) from None
    mapping, problems = _read(parser)
    if problems:
        raise ConfigurationError(f"{path} cannot be used", problems, HINT)
    return mapping


def _read(parser: ConfigParser) -> tuple[NameMapping, list[str]]:
    known, tables, columns, problems, zone = set(table_specs.BY_NAME), {}, {}, [], UTC
    for section in parser.sections():
        names = dict(parser[section])
        if section == "side":
            zone, wrong = _side(names)
            problems += wrong
        elif section == "tables":
            problems += _names(section, names, known)
            tables = names
        elif section in known:
            problems += _names(section, names, set(table_specs.column_types(section)))
            columns |= {(section, ours): theirs for ours, theirs in names.items()}
        else:
            problems.append(f"[{section}]: unknown section, expected side, tables, or one of {', '.join(sorted(known))}")
    return NameMapping(tables, columns, zone), problems


def _side(options: dict[str, str]) -> tuple[tzinfo, list[str]]:
    zone = options.pop("time_zone", "UTC")
    problems = [f"[side] {option}: unknown option, expected time_zone" for option in options]
    try:
        return (UTC if zone == "UTC" else ZoneInfo(zone)), problems
    except (ValueError, OSError, KeyError):
        return UTC, [*problems, f"[side] time_zone: found {zone!r}, expected a name such as Europe/Vienna"]


def _names(section: str, names: dict[str, str], known: set[str]) -> list[str]:
    expected = ", ".join(sorted(known))
    problems = [f"[{section}] {ours}: unknown, expected one of {expected}" for ours in names if ours not in known]
    problems += [
        f"[{section}] {ours}: found {theirs!r}, expected a name of letters, digits, _ and $, or {ABSENT}"
        for ours, theirs in names.items() if theirs != ABSENT and not NAME.fullmatch(theirs)
    ]
    used = Counter(theirs for theirs in names.values() if theirs != ABSENT)
    return problems + [
        f"[{section}] {name}: named {count} times, expected once" for name, count in sorted(used.items()) if count > 1
    ]


def check_mapping(mapping: NameMapping, catalogue: Catalogue) -> list[str]:
    """What the mapping names and the database does not have, a line each."""
    problems = [
        f"[tables] {ours} = {theirs}: the database has no such table"
        for ours, theirs in mapping.tables.items() if theirs != ABSENT and theirs not in catalogue
    ]
    for (table, ours), theirs in mapping.columns.items():
        actual = mapping.table(table)
        if actual == ABSENT:
            problems.append(f"[{table}] {ours} = {theirs}: the table itself is said to be absent")
        elif theirs != ABSENT and actual in catalogue and theirs not in catalogue[actual]:
            problems.append(f"[{table}] {ours} = {theirs}: {actual} has no such column")
    return problems


def format_mapping(mapping: NameMapping) -> str:
    """The mapping as a file."""
    lines = ["[tables]", *(f"{ours} = {theirs}" for ours, theirs in mapping.tables.items())] if mapping.tables else []
    for table in dict.fromkeys(table for table, _ in mapping.columns):
        lines += ["", f"[{table}]"]
        lines += [f"{ours} = {theirs}" for (name, ours), theirs in mapping.columns.items() if name == table]
    return "\n".join(lines).strip() + "\n"
