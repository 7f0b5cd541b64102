"""The mapping file: other names for the tables of etc/schema.sql.

An INI file, documented in docs/PERL-PARITY.md: `[side] time_zone`, `[tables] ours = theirs`, and a section named after
each of our tables with `our_column = their_column`. `-` marks a missing table or column. A section `[table.column]`
names their words: `our_word = their_word`, several separated by commas. Names that the file does not mention are the
same.
"""

import re
from collections import Counter
from collections.abc import Mapping
from configparser import ConfigParser
from datetime import UTC, tzinfo
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple
from zoneinfo import ZoneInfo

from ..errors import ConfigurationError
from . import table_specs
from .ini_file import read_ini

ABSENT = "-"
# A name of MariaDB in any script; a statement cannot carry these two characters within backquotes.
NAME = re.compile(r"[^`%\x00-\x1f\x7f]{1,64}")
HINT = "docs/PERL-PARITY.md describes the mapping file; `compare schemas` proposes one."

Catalogue = dict[str, set[str]]


class NameMapping(NamedTuple):
    """The different names.

    `zone` is the time zone of the DATETIME columns of the side. `words` maps (table, column) to their word -> our word.
    """

    tables: Mapping[str, str] = MappingProxyType({})
    columns: Mapping[tuple[str, str], str] = MappingProxyType({})
    zone: tzinfo = UTC
    words: Mapping[tuple[str, str], Mapping[str, str]] = MappingProxyType({})

    def table(self, name: str) -> str:
        return self.tables.get(name, name)

    def column(self, table: str, name: str) -> str:
        return self.columns.get((table, name), name)


def load_mapping(path: Path) -> NameMapping:
    """Read and check a mapping file.

    Raises ConfigurationError with every problem found.
    """
    mapping, problems = _read(read_ini(path, HINT, are_names=True))
    if problems:
        raise ConfigurationError(f"{path} cannot be used", problems, HINT)
    return mapping


def _read(parser: ConfigParser) -> tuple[NameMapping, list[str]]:
    expected = set(table_specs.BY_NAME)
    tables: dict[str, str] = {}
    columns: dict[tuple[str, str], str] = {}
    words: dict[tuple[str, str], dict[str, str]] = {}
    problems: list[str] = []
    zone: tzinfo = UTC
    for section in parser.sections():
        names = dict(parser[section])
        table, _, column = section.partition(".")
        if section == "side":
            zone, side_problems = _side(names)
            problems += side_problems
        elif section == "tables":
            problems += _names(section, names, expected)
            tables = names
        elif section in expected:
            problems += _names(section, names, set(table_specs.column_types(section)))
            columns |= {(section, ours): theirs for ours, theirs in names.items()}
        elif table in expected and column in table_specs.column_types(table):
            words[table, column], word_problems = _words(table, column, names)
            problems += word_problems
        else:
            choices = ", ".join(sorted(expected))
            problems.append(
                f"[{section}]: unknown section, expected side, tables, or table or table.column of {choices}"
            )
    return NameMapping(tables, columns, zone, words), problems


def _words(table: str, column: str, options: dict[str, str]) -> tuple[dict[str, str], list[str]]:
    """Return their word -> our word of a column, and what is wrong with it."""
    place = f"[{table}.{column}]"
    if column in table_specs.NEVER_COMPARED or table_specs.column_kind(table, column) is not table_specs.PLAIN:
        return {}, [f"{place}: only columns of words have other words, not ids, times, digests and JSON"]
    known = table_specs.words_of(table, column)
    unknown = [ours for ours in options if known and ours not in known]
    problems = [f"{place} {ours}: unknown, expected one of {', '.join(known)}" for ours in unknown]
    pairs = [(theirs.strip(), ours) for ours, listed in options.items() for theirs in listed.split(",")]
    problems += [f"{place} {ours}: empty, expected their word" for theirs, ours in pairs if not theirs]
    problems += [
        f"{place} {theirs}: named {count} times, expected once"
        for theirs, count in sorted(Counter(theirs for theirs, _ in pairs).items()) if count > 1 and theirs
    ]
    return dict(pairs), problems


def _side(options: dict[str, str]) -> tuple[tzinfo, list[str]]:
    zone = options.pop("time_zone", "UTC")
    problems = [f"[side] {option}: unknown option, expected time_zone" for option in options]
    try:
        return (UTC if zone == "UTC" else ZoneInfo(zone)), problems
    except (ValueError, OSError, KeyError):
        return UTC, [*problems, f"[side] time_zone: found {zone!r}, expected a name such as Europe/Vienna"]


def _names(section: str, names: dict[str, str], expected: set[str]) -> list[str]:
    choices = ", ".join(sorted(expected))
    problems = [f"[{section}] {ours}: unknown, expected one of {choices}" for ours in names if ours not in expected]
    problems += [
        f"[{section}] {ours}: found {theirs!r}, expected a name without ` and %, or {ABSENT}"
        for ours, theirs in names.items() if theirs != ABSENT and not NAME.fullmatch(theirs)
    ]
    used = Counter(theirs for theirs in names.values() if theirs != ABSENT)
    return problems + [
        f"[{section}] {name}: named {count} times, expected once" for name, count in sorted(used.items()) if count > 1
    ]


def check_mapping(mapping: NameMapping, catalogue: Catalogue) -> list[str]:
    """Return a line for each name that the database does not have."""
    problems = [
        f"[tables] {ours} = {theirs}: the database has no such table"
        for ours, theirs in mapping.tables.items() if theirs != ABSENT and theirs not in catalogue
    ]
    tables = Counter(mapping.table(table) for table in table_specs.BY_NAME)
    problems += [
        f"[tables] {theirs}: {count} of our tables would be read from it; mark those that are missing with {ABSENT}"
        for theirs, count in tables.items() if count > 1 and theirs != ABSENT and theirs in catalogue
    ]
    for (table, ours), theirs in mapping.columns.items():
        actual = mapping.table(table)
        if actual == ABSENT:
            problems.append(f"[{table}] {ours} = {theirs}: the mapping file marks its table as missing")
        elif theirs != ABSENT and actual in catalogue and theirs not in catalogue[actual]:
            problems.append(f"[{table}] {ours} = {theirs}: {actual} has no such column")
    problems += [
        f"[{table}.{column}]: the database has no column {mapping.column(table, column)} in {mapping.table(table)}"
        for table, column in mapping.words
        if mapping.column(table, column) not in catalogue.get(mapping.table(table), ())
    ]
    return problems + [problem for table in table_specs.BY_NAME for problem in _shared(mapping, catalogue, table)]


def _shared(mapping: NameMapping, catalogue: Catalogue, table: str) -> list[str]:
    """Return a line for each column of the database that two of our columns would be read from."""
    existing = catalogue.get(mapping.table(table), set())
    used: dict[str, list[str]] = {}
    for column in table_specs.column_types(table):
        used.setdefault(mapping.column(table, column), []).append(column)
    return [
        f"[{table}] {' and '.join(columns)}: both are {theirs}; mark the one that is missing with {ABSENT}"
        for theirs, columns in used.items() if len(columns) > 1 and theirs in existing
    ]


def format_mapping(mapping: NameMapping, notes: Mapping[tuple[str, str], str] = MappingProxyType({})) -> str:
    """Return the mapping as the text of a file; `notes` are comments by (table, column) or (table, "")."""
    lines = [] if mapping.zone is UTC else ["[side]", f"time_zone = {mapping.zone}", ""]
    lines += ["[tables]"] if mapping.tables else []
    for ours, theirs in mapping.tables.items():
        lines += [*_comment(notes, (ours, "")), f"{ours} = {theirs}"]
    for table in dict.fromkeys(table for table, _ in mapping.columns):
        lines += ["", f"[{table}]"]
        for (name, ours), theirs in mapping.columns.items():
            if name == table:
                lines += [*_comment(notes, (name, ours)), f"{ours} = {theirs}"]
    for (table, column), words in mapping.words.items():
        place = f"{table}.{column}"
        lines += ["", f"[{place}]", *_comment(notes, (place, ""))]
        for word in dict.fromkeys(words.values()):
            listed = ", ".join(theirs for theirs, ours in words.items() if ours == word)
            lines += [*_comment(notes, (place, word)), f"{word} = {listed}"]
    return "\n".join(lines).strip() + "\n"


def _comment(notes: Mapping[tuple[str, str], str], line: tuple[str, str]) -> list[str]:
    return [f"# {notes[line]}"] if line in notes else []
