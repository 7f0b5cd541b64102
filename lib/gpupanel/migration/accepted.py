"""Differences that a person accepts, each with a reason; `masks.py` has what is always ignored.

An INI file: one section per decision, with any name. `reason` is required; `kind`, `table`, `column`, `path`, `row`,
`bundle`, `left` and `right` limit what it accepts, with `*` and `?` as in file names. `kind`, `table` and `column` may
be several, separated by commas.
"""

from fnmatch import fnmatchcase
from pathlib import Path

from ..errors import ConfigurationError
from .difference_kinds import KINDS
from .findings import ACCEPTED_FIELDS, AcceptedDifference
from .ini_file import read_ini

HINT = "docs/PERL-PARITY.md describes the file; etc/accepted-differences.example is one."


def load_accepted(path: Path) -> list[AcceptedDifference]:
    """Load the decisions of a file.

    Raises ConfigurationError with every problem.
    """
    parser = read_ini(path, HINT)
    sections = {name: dict(parser[name]) for name in parser.sections()}
    if problems := [problem for name, options in sections.items() for problem in _problems(name, options)]:
        raise ConfigurationError(f"{path} cannot be used", problems, HINT)
    return [AcceptedDifference(name, options.pop("reason"), options) for name, options in sections.items()]


def _problems(name: str, options: dict[str, str]) -> list[str]:
    problems = [f"[{name}] {option}: unknown option, expected one of reason, {', '.join(ACCEPTED_FIELDS)}"
                for option in options if option not in (*ACCEPTED_FIELDS, "reason")]
    if not options.get("reason", "").strip():
        problems.append(f"[{name}] reason: missing, expected why this is accepted")
    if not options.keys() & set(ACCEPTED_FIELDS):
        problems.append(f"[{name}]: accepts everything, expected at least one of {', '.join(ACCEPTED_FIELDS)}")
    kinds = [kind.strip() for kind in options.get("kind", "*").split(",")]
    return problems + [
        f"[{name}] kind: found {kind!r}, expected one of {', '.join(KINDS)}"
        for kind in kinds if not any(fnmatchcase(known, kind) for known in KINDS)
    ]
