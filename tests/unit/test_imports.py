"""The layout shows the flow, and imports point one way (docs/CONTRACT.md, 3)."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
from constants import TREE

PACKAGE = TREE / "lib" / "gpupanel"

# room -> its level; a room imports from lower levels only, or from itself.
LEVELS = [
    {"errors"},
    {"models", "reference_fold", "window"},
    {"config", "memory", "pagination", "resources", "rows", "streams", "text"},
    {"perl_time", "event_sentences"},
    {"db", "mount", "manifest"},
    {"digests", "order"},
    {
        "library_reader", "search", "ledger", "thumbnails", "job_queue", "holds", "workers", "file_check",
        "preflight_requests", "asset_history",
    },
    {"container_reader", "attention", "bundle_inspection"},
    {"decision"},
    {"scan"},
    {"preflight", "receipts", "scan_run"},
    {"undo", "unseen_change"},
    {"undo_service", "doctor", "bundle_check", "archive", "notify"},
    {"services"},
    {"bulk_service", "folds"},
    {"web", "worker"},
    {"cli"},
    {"migration", "devtools"},
]
LEVEL = {room: level for level, rooms in enumerate(LEVELS) for room in rooms}
# `job_queue` writes the ledger's part of its own transactions.
WITHIN_A_LEVEL = {
    ("job_queue", "ledger"), ("job_queue", "holds"), ("job_queue", "preflight_requests"),
    ("job_queue", "workers"),
    ("preflight_requests", "ledger"), ("holds", "ledger"),
}
ONLY = {"pymysql": {"db"}, "bottle": {"web"}, "jinja2": {"web", "migration"}}

MODULES = sorted(path for path in PACKAGE.rglob("*.py"))


def room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path: Path):
    """(room of ours, None) or (None, foreign package) for each import, wherever in the module it stands."""
    depth = len(path.relative_to(PACKAGE).parts)
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from absolute(alias.name)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield from absolute(node.module)
        elif isinstance(node, ast.ImportFrom) and node.level == depth:
            for name in [node.module] if node.module else [alias.name for alias in node.names]:
                yield name.split(".")[0], None


def absolute(name: str):
    package, _, rest = name.partition(".")
    yield (rest.split(".")[0], None) if package == "gpupanel" else (None, package)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_from_the_edges_to_the_core(path):
    here = room(path)
    if here == "__init__":
        return
    for other, foreign in imports(path):
        if other is not None and other != here:
            assert LEVEL[other] < LEVEL[here] or (here, other) in WITHIN_A_LEVEL, f"{here} imports {other}"
        if foreign in ONLY:
            assert here in ONLY[foreign], f"{here} imports {foreign}"


def test_every_room_has_its_level():
    assert {room(path) for path in MODULES} - {"__init__"} == set(LEVEL)


def test_what_refers_to_the_contract_names_a_section_of_it():
    contract = (TREE / "docs" / "CONTRACT.md").read_text()
    sections = set(re.findall(r"(?m)^(?:## |- \*\*)([\d.]*\d)", contract))
    titles = set(re.findall(r"(?m)^## (.+)$", contract))
    said = "".join(path.read_text() for folder in ("lib", "tests", "bench") for path in (TREE / folder).rglob("*.py"))
    numbers = re.findall(r"docs/CONTRACT\.md, (\d[\d., and]*)", said)
    quoted = [" ".join(title.split()) for title in re.findall(r'CONTRACT\.md,\s+"(\d[^"]*)"', said)]
    assert numbers or quoted
    assert {number for each in numbers for number in re.findall(r"[\d.]*\d", each)} <= sections
    assert {title for title in quoted if title not in titles and title not in sections} == set()


def test_the_web_application_brings_no_importer_along():
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import gpupanel.web.wsgi, gpupanel.web, pkgutil, importlib;"
        "[importlib.import_module(m.name) for m in pkgutil.walk_packages(gpupanel.web.__path__, 'gpupanel.web.')];"
        "print([name for name in sys.modules if (name + '.').startswith('gpupanel.worker.')])"
    )
    result = subprocess.run([sys.executable, "-c", code, str(PACKAGE.parent)], capture_output=True, text=True)
    assert result.stdout.strip() == "[]", result.stderr
