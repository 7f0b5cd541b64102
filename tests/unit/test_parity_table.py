"""docs/PERL-PARITY.md names existing files and tests only, and every fact of the reference page."""

import ast
import re

import checklist
import pytest
from constants import TREE
from gpupanel.event_sentences import EVENT_TYPES
from gpupanel.migration import difference_kinds, page_diff, table_specs

TEXT = (TREE / "docs" / "PERL-PARITY.md").read_text()
SECTION = TEXT.split("## Behaviour")[1].split("\n## ")[0]
ROWS = [
    tuple(cell.strip() for cell in line.strip("|").split(" | "))
    for line in SECTION.splitlines()
    if line.startswith("| ")
][1:]
REFERENCE = page_diff.parse_page((TREE / "tests" / "reference" / "perl-batch-page.txt").read_text())


def facts():
    """Every heading, label, column, event and payload key of the reference page."""
    yield from (re.sub(r" [\da-f-]{36}$| \d+$", "", heading) for heading in REFERENCE.headings)
    yield from (label for _, label, _ in REFERENCE.facts)
    for section, (head, *rows) in REFERENCE.tables:
        yield from head
        for row in rows if section == "Recent events" else ():
            yield row[0]
            yield from re.findall(r'"(\w+)": ?', row[1])


EVENTS_OF_PERL = {"scan", "preflight_started", "preflight_finished", "job_queued", "job_canceled"}
# In ledgers of earlier versions.
NO_LONGER_WRITTEN = {"mount_unavailable"}
# Counted values, not facts of the page.
NOT_FACTS = {"cover", "photo"}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0][:50])
def test_each_row_names_a_place_a_test_and_a_verdict_that_exist(row):
    _, place, held, verdict = row
    assert (TREE / place.strip("`")).is_file()
    file, name = held.strip("`").split("::")
    defined = {
        node.name for node in ast.walk(ast.parse((TREE / file).read_text())) if isinstance(node, ast.FunctionDef)
    }
    assert name in defined
    assert verdict in ("same", "different", "unknown")


@pytest.mark.parametrize("fact", sorted(set(facts()) - NOT_FACTS))
def test_each_fact_of_the_reference_page_is_in_the_table(fact):
    assert any(f"`{fact}`" in behaviour for behaviour, *_ in ROWS)


def test_what_differs_and_what_is_unknown_is_explained():
    verdicts = [verdict for *_, verdict in ROWS]
    assert verdicts.count("different") >= 4 and "## What differs on purpose" in TEXT
    assert verdicts.count("unknown") >= 4 and "## Unknown" in TEXT


@pytest.mark.parametrize("name", sorted(
    {column for _, column in table_specs.OURS_ONLY | table_specs.UNKNOWN_TO_PERL} | table_specs.OURS_ALONE
    | {event for event in EVENT_TYPES if event not in EVENTS_OF_PERL} | difference_kinds.OUR_EVENTS - NO_LONGER_WRITTEN
))
def test_each_event_column_and_table_of_this_system_alone_is_named_as_deliberate(name):
    assert f"`{name}`" in TEXT.split("## What differs on purpose")[1].split("\n## ")[0]


def test_compare_knows_each_event_of_this_system_alone():
    assert set(EVENT_TYPES) - EVENTS_OF_PERL <= difference_kinds.OUR_EVENTS


def test_the_checklist_has_its_steps_in_order():
    titles = [step.title for step in checklist.steps()]
    assert titles == [
        "Check the rows", "Drain", "Dump", "Change the tables", "Add what is missing", "Check the installation",
        "Compare", "Switch", "Convert the times", "Compare again", "Start",
    ]
    assert all(step.commands for step in checklist.steps())


def test_each_command_that_the_document_shows_is_understood():
    from gpupanel.cli.commands import build_parser

    lines = re.findall(r"(?m)^    bin/gpupanel (.*)$", TEXT)
    assert len(lines) > 12
    for line in lines:
        build_parser().parse_args(line.partition(" > ")[0].split())
