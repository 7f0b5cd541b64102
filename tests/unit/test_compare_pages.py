"""compare pages: the values parsed from a page, and the differences."""

import json
import re

import preloaded_programs
import pytest
from constants import GPUPANEL
from gpupanel.errors import PanelError
from gpupanel.migration import page_diff, page_fetch
from gpupanel.migration.findings import Findings

HTML = """<!doctype html><html><body><nav><a href="/">Home</a></nav><p>No site selected</p><h1>Import <b>Media</b></h1>
<p>Some sentence.</p><h2>Batch 1</h2><p>Status: queued; action: update</p>
<dl><div><dt>Items</dt><dd>4</dd></div><div><dt>Bytes</dt><dd>172.8 MB</dd></div></dl>
<form><label>Press</label><button>Queue</button></form>
<h3>Items <span>1</span></h3><table><thead><tr><th>id</th><th>decision</th><th>updated_at</th></tr></thead>
<tbody><tr><td>3</td><td>will_create</td><td>2026-04-30 00:32:19</td></tr>\
<tr class="note"><td colspan="3">ours</td></tr></tbody></table>
</body></html>"""

TEXT = """Import Media
Some other sentence.
Batch 1
Status: queued; action: update
Items
4
Bytes
172.8 MB
Items 1
In words.
| id | decision | updated_at |
|---|---|---|
| 3 | will_create | 2026-04-30 00:32:19 |
"""

OTHER_MARKUP = """<body><div><h1>Import Media</h1></div><h2>Batch 1</h2><div>Status: queued; action: update</div>
<div class=card><div class=label>Items</div><div class=value>4</div></div>\
<div class=card><span><div>Bytes</div></span><div>172.8 MB</div></div>
<h3>Items 1</h3><table><tr><th>id</th><th>decision</th><th>updated_at</th></tr>\
<tr><td>3</td><td>will_create</td><td>2026-04-30 00:32:19</td></tr>
</table></body>"""


def differences(left, right, exact=True):
    findings = Findings()
    page_diff.compare_pages(page_diff.parse_page(left), page_diff.parse_page(right), findings, exact)
    return [
        (group.kind, group.table, group.column, sample.left, sample.right)
        for group in findings.groups
        for sample in group.samples
    ]


def test_headings_facts_and_tables_are_taken_out_and_chrome_is_not():
    assert page_diff.parse_page(HTML) == page_diff.ParsedPage(
        ["Import Media", "Batch 1", "Items 1"],
        [
            ("Batch 1", "Status", "queued"), ("Batch 1", "action", "update"), ("Batch 1", "Items", "4"),
            ("Batch 1", "Bytes", "172.8 MB"),
        ],
        [("Items 1", [("id", "decision", "updated_at"), ("3", "will_create", "2026-04-30 00:32:19")])],
        ["Some sentence."],
    )


@pytest.mark.parametrize("other", [HTML, TEXT, OTHER_MARKUP])
def test_the_same_page_is_the_same_whatever_its_markup(other):
    assert differences(HTML, other) == []


@pytest.mark.parametrize(("here", "there", "found"), [
    ("172.8 MB", "172.79 MB", ("fact", "facts", "Bytes", "172.8 MB", "172.79 MB")),
    ("<dt>Bytes</dt>", "<dt>Size</dt>", ("fact", "facts", "Bytes", "172.8 MB", "")),
    ("will_create", "will_skip", ("cell", "Items 1", "decision", "will_create", "will_skip")),
    (
        "<th>decision</th>", "<th>verdict</th>",
        ("columns", "Items 1", "", "id | decision | updated_at", "id | verdict | updated_at"),
    ),
    ("Batch 1", "Batch 2", ("heading", "headings", "", "Batch 1", "Batch 2")),
    ("</tbody>", "<tr><td>4</td><td>x</td><td>-</td></tr></tbody>", ("row", "Items 1", "", "", "4 | x | -")),
    ("19</td>", "20</td>", ("cell", "Items 1", "updated_at", "2026-04-30 00:32:19", "2026-04-30 00:32:20")),
])
def test_what_differs_is_told_with_both_sides(here, there, found):
    assert found in differences(HTML, HTML.replace(here, there))


def test_facts_in_another_order_are_a_difference():
    swapped = TEXT.replace("Items\n4\nBytes\n172.8 MB", "Bytes\n172.8 MB\nItems\n4")
    assert {(kind, table) for kind, table, *_ in differences(TEXT, swapped)} == {("fact", "order of facts")}


@pytest.mark.parametrize("page", [HTML, TEXT])
@pytest.mark.parametrize(("here", "there", "found"), [
    ("<h3>Items", "<h3>Overview</h3><h3>Items", ("heading", "", "Overview")),
    ("Items 1", "Overview{p}Items 1", ("heading", "", "Overview")),
    ("Batch 1", "Notes{p}Batch 1", ("heading", "", "Notes")),
    ("| 3 |", "| 4 | failed | 2026-04-30 00:32:19 |\n| 3 |", ("row", "", "4 | failed | 2026-04-30 00:32:19")),
    ("<tr><td>3", "<tr><td>4</td><td>failed</td><td>2026-04-30 00:32:19</td></tr><tr><td>3",
     ("row", "", "4 | failed | 2026-04-30 00:32:19")),
    ("Bytes", "Source host{q}flux-1{p}Bytes", ("fact", "", "flux-1")),
])
def test_what_one_page_has_besides_is_one_difference_and_moves_no_other(page, here, there, found):
    markup = page is HTML
    if here not in page:  # it is written otherwise
        return
    if "{q}" in there:
        there = there.format(p="</dd></div><div><dt>", q="</dt><dd>") if markup else there.format(p="\n", q="\n")
    else:
        there = there.format(p="</h2><h2>" if markup else "\n")
    other = page.replace(here, there, 1)
    assert [(kind, left, right) for kind, _, _, left, right in differences(page, other)] == [found]
    assert [(kind, right, left) for kind, _, _, left, right in differences(other, page)] == [found]


def test_an_empty_cell_is_a_dash_and_sentences_without_a_counterpart_are_counted():
    findings = Findings()
    other = HTML.replace("<td>will_create</td>", "<td></td>").replace("Some sentence.", "Another. And one more.")
    pages = [page_diff.parse_page(page) for page in (HTML.replace("will_create", "-"), other)]
    page_diff.compare_pages(*pages, findings, exact=True)
    assert findings.equal
    assert findings.tolerated == {
        (page_diff.EMPTY_CELLS, "Items 1"): 1, (page_diff.SENTENCES, "page"): 2,
    }


@pytest.mark.parametrize(("here", "there"), [
    ("2026-04-30 00:32:19", "2020-01-01 01:02:03"), ("<td>3</td>", "<td>77</td>"),
])
def test_times_and_ids_are_compared_only_exactly(here, there):
    assert differences(HTML, HTML.replace(here, there), exact=False) == []
    assert differences(HTML, HTML.replace(here, there), exact=True) != []


def compare(*arguments):
    return preloaded_programs.run([GPUPANEL, "compare", "pages", *arguments])


def test_saved_pages_are_compared_in_a_shell(tmp_path):
    (tmp_path / "a.html").write_text(HTML)
    (tmp_path / "b.txt").write_text(TEXT)
    assert compare(tmp_path / "a.html", tmp_path / "b.txt", "--exact").returncode == 0
    (tmp_path / "b.txt").write_text(TEXT.replace("172.8", "172.7"))
    answer = compare(tmp_path / "a.html", tmp_path / "b.txt", "--json")
    assert answer.returncode == 1 and json.loads(answer.stdout)["differences"] == 1


def test_a_page_that_cannot_be_had_is_a_message(tmp_path):
    for place, status in ((tmp_path / "none.html", 3), ("http://127.0.0.1:1/", 3)):
        answer = compare(place, place)
        assert answer.returncode == status and "Traceback" not in answer.stderr and str(place) in answer.stderr


@pytest.mark.parametrize("place", ["http://a..b/", "http://127.0.0.1:abc/", "http://127.0.0.1:99999999/", "http://[::1/"])
def test_an_address_that_cannot_be_is_named(place):
    with pytest.raises(PanelError, match=f"^{re.escape(place)} cannot be fetched: "):
        page_fetch.fetch_page(place)
