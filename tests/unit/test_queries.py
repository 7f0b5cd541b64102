"""Named queries: the used queries exist, the existing ones are used, holes take constants only."""

import ast
import re

import pytest

from gpupanel.db import fill, queries
from gpupanel.resources import TREE

SQL = TREE / "lib/gpupanel/sql"
FILES = sorted(path.stem for path in SQL.glob("*.sql"))
NAMES = {f"{file}.{name}" for file in FILES for name in queries(file)}
LOOKS_LIKE_A_QUERY = re.compile(rf"(?!worker\.conf$)({'|'.join(FILES)})\.(\w|\\w\+)+")


def patterns(tree):
    """Each text of a module as a pattern: any word in the holes of an f-string, and after a `_` at its end."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
        elif isinstance(node, ast.JoinedStr):
            text = "".join(str(part.value) if isinstance(part, ast.Constant) else r"\w+" for part in node.values)
            yield text + (r"\w+" if text.endswith("_") else "")


USED = {
    pattern for path in (TREE / "lib").rglob("*.py") for pattern in patterns(ast.parse(path.read_text()))
    if LOOKS_LIKE_A_QUERY.fullmatch(pattern)
}


def test_every_query_used_exists():
    assert [used for used in sorted(USED) if not any(re.fullmatch(used, name) for name in NAMES)] == []


def test_every_query_is_used():
    assert [name for name in sorted(NAMES) if not any(re.fullmatch(used, name) for used in USED)] == []


def test_every_query_is_explained():
    for file in FILES:
        for name, comment in re.findall(r"-- (?:name|shared): (\w+)\n(.*)", (SQL / f"{file}.sql").read_text()):
            assert comment.startswith("-- "), f"{file}.{name}"


def test_several_queries_have_each_shared_text():
    for file in FILES:
        text = (SQL / f"{file}.sql").read_text()
        for name in re.findall(r"-- shared: (\w+)", text):
            assert text.count(f"{{{name}}}") > 1, f"{file}.{name}"
            assert not any(f"{{{name}}}" in statement for statement in queries(file).values())


def test_a_hole_is_filled_by_name():
    holes = {"source": "ingest_batch b", "where": "TRUE", "order": "DESC", "key": "discovered_at"}
    assert "b.id DESC" in fill("search.page_keys", **holes)
    with pytest.raises(ValueError, match="expected"):
        fill("search.page_keys", source="ingest_batch b", where="TRUE")
    with pytest.raises(ValueError, match="expected"):
        fill("job_queue.now", where="TRUE")


@pytest.mark.parametrize("hostile", [
    "TRUE -- ", "TRUE /* */", "b.status = 'x' OR 'a b'", '"x"', "a\\", "`x`", "# x", "'",
])
def test_a_hole_takes_no_text_from_outside(hostile):
    with pytest.raises(ValueError, match="no constant"):
        fill("search.count", source="ingest_batch b", where=hostile)


def test_no_other_code_fills_holes():
    formatted = re.compile(r"\bquery\([^()]*\)\.format")
    offenders = {path.name for path in (TREE / "lib").rglob("*.py") if formatted.search(path.read_text())}
    assert offenders == set()
