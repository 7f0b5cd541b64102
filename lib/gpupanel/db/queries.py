"""The named queries: `"job_queue.lock"` is `lock` of sql/job_queue.sql.

A query may have holes such as {where}, for what no parameter can stand for. Only `fill` fills them, and only with
constants of the code: each value from outside is a parameter, `%(name)s`.
"""

import re
from functools import cache
from pathlib import Path

SQL = Path(__file__).parents[1] / "sql"
HOLE = re.compile(r"\{(\w+)\}")
# Names, parameters, operators and quoted words: no comment, no quoted text with other characters.
FRAGMENT = re.compile(r"(?:[\w\s.,()=<>%*+;]|-(?!-)|'\w*')*")


@cache
def queries(file: str) -> dict[str, str]:
    """The queries of sql/<file>.sql; each starts with `-- name: <name>`."""
    text = (SQL / f"{file}.sql").read_text(encoding="utf-8")
    named = (part.partition("\n") for part in text.split("-- name: ")[1:])
    return {name.strip(): _without_comments(body) for name, _, body in named}


def _without_comments(body: str) -> str:
    return "\n".join(line for line in body.splitlines() if not line.startswith("--")).strip()


def query(name: str) -> str:
    """The statement called `file.name`."""
    file, _, key = name.partition(".")
    return queries(file)[key]


@cache
def fill(name: str, **fragments: str) -> str:
    """Fill all holes of a named query with constant SQL.

    Raises ValueError when the names are not those of its holes, or a fragment is more than names and operators.
    """
    statement = query(name)
    if fragments.keys() != set(HOLE.findall(statement)):
        raise ValueError(f"{name}: found {sorted(fragments)}, expected {sorted(set(HOLE.findall(statement)))}")
    for hole, fragment in fragments.items():
        if not FRAGMENT.fullmatch(fragment):
            raise ValueError(f"{name}: {hole} is no constant of the code")
    return HOLE.sub(lambda found: fragments[found[1]], statement)
