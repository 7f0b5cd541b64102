"""The documentation names only modules and functions that exist."""

import re

import pytest
from constants import TREE

DOCS = sorted([*TREE.glob("*.md"), *TREE.glob("docs/**/*.md")])
ROOTS = (TREE, TREE / "lib" / "gpupanel", TREE / "lib", TREE / "bench", TREE / "tests")
PATH = re.compile(r"`([A-Za-z_.-]+(?:/[A-Za-z0-9_.-]+)*\.py)[`:]")
FOLDER = re.compile(r"`((?:lib|tests|bench|templates|static|bin|cgi-bin)/[a-z0-9_/.-]*)`")
# A row of the table in architecture.md: a module and the function or class in it.
ENTRY = re.compile(r"`([a-z_/]+\.py)`, `([A-Za-z_]+)`")


@pytest.mark.parametrize("doc", DOCS, ids=lambda path: path.name)
def test_every_module_and_folder_in_the_documentation_exists(doc):
    text = doc.read_text()
    named = {*PATH.findall(text), *FOLDER.findall(text)}
    assert {path for path in named if not any((root / path).exists() for root in ROOTS)} == set()


def test_every_function_in_the_table_of_the_architecture_exists():
    entries = ENTRY.findall((TREE / "docs" / "architecture.md").read_text())
    missing = []
    for module, name in entries:
        source = (TREE / "lib" / "gpupanel" / module).read_text()
        if not re.search(rf"(?m)^ *(?:(?:def|class) )?{name}\b", source):
            missing.append(f"{module}: {name}")
    assert entries and missing == []


def test_the_readme_leads_to_each_document():
    readme = (TREE / "README.md").read_text()
    assert [path.name for path in sorted(TREE.glob("docs/*.md")) if f"(docs/{path.name})" not in readme] == []


def test_the_architecture_names_each_room():
    text = (TREE / "docs" / "architecture.md").read_text()
    table = text[text.index("## Modules"):text.index("## Where do I find")]
    package = TREE / "lib" / "gpupanel"
    modules = [path.stem for path in package.glob("*.py") if path.stem != "__init__"]
    folders = [f"{path.name}/" for path in package.iterdir() if path.is_dir() and path.name != "__pycache__"]
    assert [room for room in sorted(modules + folders) if f"`{room}`" not in table] == []


def test_each_button_that_a_document_names_is_on_a_page():
    labels = " ".join(page.read_text() for page in (TREE / "templates").glob("*.html"))
    named = {
        (document.name, label)
        for document in (TREE / "docs").glob("*.md")
        for label in re.findall(r"\b[Pp]ress(?:es|ing)?\s+\*\*(.+?)\*\*", document.read_text(), re.DOTALL)
    }
    assert ("runbook.md", "Retry failed items") in named
    assert [(name, label) for name, label in named if f">{label}<" not in labels and f'"{label}"' not in labels] == []
