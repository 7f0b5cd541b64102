"""docs/decisions/: one file per decision, complete, indexed, and cited by numbers that exist."""

import re

import pytest
from constants import TREE

FOLDER = TREE / "docs" / "decisions"
FILES = sorted(path for path in FOLDER.glob("*.md") if path.name != "README.md")
NUMBERS = {path.name[:4] for path in FILES}
SECTIONS = ["Context", "Decision", "Consequences", "Rejected alternatives"]
CITATION = re.compile(r"\bdocs/decisions/(\d+)")
# Folders and files whose text may cite a decision.
CITING = (
    "bench", "bin", "cgi-bin", "docs", "etc", "lib", "static", "templates", "tests", "CHANGELOG.md", "Makefile",
    "README.md",
)
TEXT_SUFFIXES = {"", ".cgi", ".css", ".example", ".html", ".js", ".md", ".py", ".sql", ".txt", ".wsgi"}


def texts():
    """The text of each file that may cite a decision."""
    for name in CITING:
        start = TREE / name
        for path in sorted(start.rglob("*")) if start.is_dir() else [start]:
            if path.is_file() and path.suffix in TEXT_SUFFIXES:
                yield path, path.read_text(errors="replace")


def status(path) -> str:
    return re.search(r"(?m)^- Status: (.+)$", path.read_text()).group(1)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_each_decision_has_number_date_status_and_sections(path):
    text = path.read_text()
    assert re.fullmatch(r"\d{4}-[a-z0-9]+(-[a-z0-9]+)*\.md", path.name)
    assert re.match(rf"# {path.name[:4]}\. \S", text)
    assert re.search(r"(?m)^- Date: 2026-\d\d-\d\d$", text)
    assert re.fullmatch(r"accepted|superseded by \d{4}", status(path))
    _, *parts = re.split(r"(?m)^## ", text)
    assert [part.split("\n")[0] for part in parts] == SECTIONS
    assert all(part.split("\n", 1)[1].strip() for part in parts)


def test_each_number_belongs_to_one_decision():
    assert len(NUMBERS) == len(FILES) > 60
    assert {"0639", "0640"} <= NUMBERS, "operators know these two by number"


def test_the_index_lists_each_decision_with_its_title_and_status():
    rows = re.findall(r"(?m)^\| \[(\d{4})\]\((.+?)\) \| (.+?) \| (.+?) \|$", (FOLDER / "README.md").read_text())
    titles = {path: path.read_text().split("\n")[0].split(". ", 1)[1] for path in FILES}
    assert rows == [(path.name[:4], path.name, titles[path], status(path)) for path in FILES]


def test_a_superseded_decision_names_a_later_one_that_is_accepted():
    accepted = {path.name[:4] for path in FILES if status(path) == "accepted"}
    successors = {status(path)[-4:] for path in FILES if status(path) != "accepted"}
    assert successors <= accepted


def test_each_cited_number_exists():
    cited = {(number, str(path.relative_to(TREE))) for path, text in texts() for number in CITATION.findall(text)}
    assert len(cited) >= 10
    assert {entry for entry in cited if entry[0] not in NUMBERS} == set()


def test_no_text_cites_the_former_single_document():
    former = "DECISIONS" + ".md"
    assert [
        str(path.relative_to(TREE)) for path, text in texts() if f"docs/{former}" in text and path.name != "README.md"
    ] == []
