"""The named queries: `"job_queue.lock"` is `lock` of sql/job_queue.sql.

A query may have holes such as {where}, for what no parameter can stand for. Only `fill` fills them, and only with
constants of the code: each value from outside is a parameter, `%(name)s`. What several queries of a file share is
written once, as `-- shared: <name>`, and is in the place of each hole of that name from the start.
"""

import re
from functools import cache
from pathlib import Path

SQL = Path(__file__).parents[1] / "sql"
PART = re.compile(r"^-- (name|shared): (\w+)\n", re.MULTILINE)
HOLE = re.compile(r"\{(\w+)\}")
# Names, parameters, operators and quoted words: no comment, no quoted text with other characters.
FRAGMENT = re.compile(r"(?:[\w\s.,()=<>%*+;]|-(?!-)|'\w*')*")


@cache
def queries(file: str) -> dict[str, str]:
    """The queries of sql/<file>.sql, whole; each starts with `-- name: <name>`."""
    parts = PART.split((SQL / f"{file}.sql").read_text(encoding="utf-8"))[1:]
    bodies = [(kind, name, _without_comments(body)) for kind, name, body in zip(*[iter(parts)] * 3, strict=True)]
    shared = {name: body for kind, name, body in bodies if kind == "shared"}
    return {
        name: HOLE.sub(lambda hole: shared.get(hole[1], hole[0]), body)
        for kind, name, body in bodies if kind == "name"
    }


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
