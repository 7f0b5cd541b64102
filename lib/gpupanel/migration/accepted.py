"""Accepted differences, each with a reason.

An INI file: one section per decision, with any name. `reason` is required; `kind`, `table`, `column`, `path`, `row`,
`bundle`, `left` and `right` limit what it accepts, with `*` and `?` as in file names.
"""

from configparser import ConfigParser
from configparser import Error as SyntaxProblem
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

from ..errors import ConfigurationError
from .difference_kinds import KINDS
from .findings import Difference

FIELDS = ("kind", "table", "column", "path", "row", "bundle", "left", "right")
HINT = "docs/PERL-PARITY.md describes the file; etc/accepted-differences.example is one."


class AcceptedDifference(NamedTuple):
    """One decision; `patterns` maps some of FIELDS to patterns."""

    name: str
    reason: str
    patterns: dict[str, str]

    def covers(self, difference: Difference) -> bool:
        """Return whether this decision accepts the difference."""
        return all(fnmatchcase(str(getattr(difference, field)), pattern) for field, pattern in self.patterns.items())


def load_accepted(path: Path) -> list[AcceptedDifference]:
    """Load the decisions of a file.

    Raises ConfigurationError with every problem.
    """
    parser = ConfigParser(interpolation=None, default_section="\0")
    try:
        parser.read_string(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read", [f"{path}: {error.strerror}"], HINT) from None
    except (SyntaxProblem, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} cannot be used", [" ".join(str(error).split())], HINT) from None
    sections = {name: dict(parser[name]) for name in parser.sections()}
    if problems := [problem for name, options in sections.items() for problem in _problems(name, options)]:
        raise ConfigurationError(f"{path} cannot be used", problems, HINT)
    return [AcceptedDifference(name, options.pop("reason"), options) for name, options in sections.items()]


def _problems(name: str, options: dict[str, str]) -> list[str]:
    problems = [f"[{name}] {option}: unknown option, expected one of reason, {', '.join(FIELDS)}"
                for option in options if option not in (*FIELDS, "reason")]
    if not options.get("reason", "").strip():
        problems.append(f"[{name}] reason: missing, expected why this is accepted")
    if not options.keys() & set(FIELDS):
        problems.append(f"[{name}]: accepts everything, expected at least one of {', '.join(FIELDS)}")
    kind = options.get("kind", "*")
    if not any(fnmatchcase(name, kind) for name in KINDS):
        problems.append(f"[{name}] kind: found {kind!r}, expected one of {', '.join(KINDS)}")
    return problems
