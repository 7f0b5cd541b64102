"""The versions of the schema, and the files that lead from each to the next.

docs/decisions/0116-schema-versions.md
"""

import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

from ..errors import PanelError

MIGRATIONS = Path(__file__).parents[1] / "sql" / "migrations"
FILE_NAME = re.compile(r"(\d{4})-([a-z0-9-]+)\.sql")
# The schema of 0.1.0, which recorded no version.
FIRST = 1


class Migration(NamedTuple):
    """The statements that lead from version - 1 to `version`; each may run again."""

    version: int
    name: str
    statements: tuple[str, ...]


def split_statements(text: str) -> list[str]:
    """Split a file whose comments are lines of their own and whose strings hold no semicolon."""
    code = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("--"))
    return [statement.strip() for statement in code.split(";") if statement.strip()]


@cache
def load() -> tuple[Migration, ...]:
    """All migrations, the oldest first."""
    files = sorted(MIGRATIONS.glob("*.sql"))
    return tuple(_migration(file) for file in files)


def newest_version() -> int:
    """Return the version of etc/schema.sql."""
    return max((migration.version for migration in load()), default=FIRST)


def _migration(file: Path) -> Migration:
    match = FILE_NAME.fullmatch(file.name)
    if match is None:
        raise PanelError(f"The name of the migration {file} is invalid: found {file.name}, expected 0002-name.sql.")
    number, name = match.groups()
    return Migration(int(number), name, tuple(split_statements(file.read_text(encoding="utf-8"))))
