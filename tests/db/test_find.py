"""Finding batches costs what is shown, whatever the filters, wherever the page (docs/decisions/0024)."""

from datetime import date

import pytest
from constants import NAME, bench_load, empty
from gpupanel import find
from gpupanel.database import Database
from gpupanel.filters import STATUSES, Filters
from gpupanel.find import SCAN, roads
from gpupanel.pagination import ENDS, Cursor
from rows_read import examined

BATCHES = 12_000  # more than twice what one page looks through at most, and more than a count goes on
PAGE = 50
ROWS = 8 * (PAGE + 1)  # what a page may read: an index entry, the batch and its latest job, each found by a key
FIRST, LAST = Cursor(ENDS[0], ascending=True), Cursor(ENDS[1], ascending=False)
DAY = date(2025, 12, 22)

ALONE = [
    Filters(), Filters(status="completed"), Filters(status="failed"), Filters(status="importing"), Filters(action="remove"),
    Filters(sync_type="video_simple"), Filters(host="cloud-3.example.net"), Filters(since=DAY), Filters(until=DAY),
    Filters(status="completed", since=DAY, until=DAY), Filters(asset_hash="f" * 9), Filters(sync_id="abcd"),
]
SEVERAL = [
    Filters(status="completed", action="create"), Filters(status="failed", sync_type="gallery"), Filters(sync_id="a"),
    Filters(status="completed", action="remove", sync_type="video_simple", host="cloud-3.example.net"),
    Filters(status="importing", action="create"), Filters(sync_id="a", host="cloud-3.example.net"),
    Filters(status="completed", action="remove", since=DAY, until=DAY),
]


def name(filters):
    return " ".join(f"{key}={value}" for key, value in filters._asdict().items() if value) or "none"


@pytest.fixture(scope="module")
def ledger(server):
    """What bench/make_ledger.py makes, in small; the first thousand batches share one moment, as after a migration."""
    db = Database(server.admin(NAME))
    empty(db)
    db.execute("SET foreign_key_checks = 0, unique_checks = 0")
    bench_load().fill(db, BATCHES, tables=("ingest_batch", "import_job", "ingest_batch_item"))
    db.execute("UPDATE ingest_batch SET discovered_at = '2025-12-20' WHERE id <= 1000")
    yield db
    db.close()


@pytest.fixture(scope="module")
def wanted(ledger):
    """The ids of all that fit, newest first, found the long way: `wanted(filters)`."""
    rows = ledger.execute("SELECT id, sync_id, status, sync_type, action, source_host, DATE(discovered_at) AS day"
                          " FROM ingest_batch ORDER BY discovered_at DESC, id DESC")
    return lambda filters: [row["id"] for row in rows if _fits(row, filters)]


def _fits(row, filters):
    equal = {"status": "status", "sync_type": "sync_type", "action": "action", "host": "source_host"}
    return (
        all(getattr(filters, key) in (None, row[column]) for key, column in equal.items())
        and row["sync_id"].startswith(filters.sync_id or "")
        and (filters.since or row["day"]) <= row["day"] <= (filters.until or row["day"])
    )


@pytest.mark.parametrize("place", [None, FIRST, LAST, Cursor(500, ascending=False), Cursor(10_000, ascending=True)], ids=str)
@pytest.mark.parametrize("filters", ALONE, ids=name)
def test_one_filter_reads_what_the_page_shows_and_no_more_on_whichever_page(ledger, filters, place):
    page, read = examined(ledger, lambda tx: find.page(tx, filters, place, limit=PAGE))
    assert page.stopped_at is None
    assert read <= ROWS


@pytest.mark.parametrize("place", [None, FIRST, Cursor(10_000, ascending=False)], ids=str)
@pytest.mark.parametrize("filters", SEVERAL, ids=name)
def test_several_filters_look_through_a_bounded_number_of_rows(ledger, filters, place):
    page, read = examined(ledger, lambda tx: find.page(tx, filters, place, limit=PAGE))
    choosing = (SCAN + 1) * len(roads.given(filters))
    looking = 2 * SCAN
    assert read <= 2 * choosing + looking + ROWS  # what is counted is read once more, from where it was put
    assert page.rows or page.stopped_at or not page.next


@pytest.mark.parametrize("filters", ALONE + SEVERAL, ids=name)
def test_no_list_sorts_more_than_it_may_look_through(ledger, filters):
    ledger.execute("FLUSH STATUS")
    ledger.read(find.page, filters, limit=PAGE)
    [row] = ledger.execute("SHOW SESSION STATUS LIKE 'Sort_rows'")
    assert int(row["Value"]) <= (PAGE + 1 if filters.sync_id or filters.asset_hash else 0)


@pytest.mark.parametrize("oldest_first", [False, True])
@pytest.mark.parametrize("filters", [
    Filters(status="failed"), Filters(sync_id="ab"), Filters(until=date(2025, 12, 20)), *SEVERAL,
], ids=name)
def test_pages_follow_each_other_without_gap_or_repeat_to_the_end_and_back(ledger, wanted, filters, oldest_first):
    expected = wanted(filters)[::-1 if oldest_first else 1]
    there, place = [], None
    while True:
        page = ledger.read(find.page, filters, place, oldest_first=oldest_first, limit=400)
        there += [row["id"] for row in page.rows]
        if page.next is None:
            break
        place = page.next
    assert there == expected
    back, place = [], FIRST if not oldest_first else LAST
    while place:
        page = ledger.read(find.page, filters, place, oldest_first=oldest_first, limit=400)
        back = [row["id"] for row in page.rows] + back
        place = page.previous
    assert back == expected


@pytest.mark.parametrize("filters", ALONE[:10] + SEVERAL, ids=name)
def test_a_count_is_exact_or_says_that_it_is_the_least(ledger, wanted, filters):
    (count, statuses), read = examined(ledger, lambda tx: find.counts(tx, filters))
    counted = [(count, filters), *((each, filters._replace(status=status)) for status, each in statuses.items())]
    assert tuple(statuses) == STATUSES
    for found, meant in counted:
        number = len(wanted(meant))
        assert found.number == number if found.exact else found.number <= number, meant
    assert read <= 2 * find.BOUND + 4 * SCAN
    assert count == ledger.read(find.count, filters)


@pytest.mark.parametrize("filters, times", [
    (Filters(), 1), (Filters(since=DAY), 1), (Filters(status="failed", until=DAY), 1),
    (Filters(host="cloud-3.example.net"), 3),  # it is looked for where to stop, and each is put into its group
], ids=str)
def test_a_small_ledger_is_counted_to_the_end_and_its_statuses_sum_up(ledger, monkeypatch, filters, times):
    monkeypatch.setattr(find.batches, "BOUND", BATCHES)
    (count, statuses), read = examined(ledger, lambda tx: find.counts(tx, filters))
    assert all(each.exact for each in [count, *statuses.values()])
    assert count.number == sum(each.number for status, each in statuses.items() if filters.status in (None, status))
    assert read <= times * sum(each.number for each in statuses.values()) + 50


def test_a_large_ledger_is_passed_over_to_its_bound_and_each_status_to_a_smaller_one(ledger):
    (count, statuses), read = examined(ledger, lambda tx: find.counts(tx, Filters()))
    assert count == (find.BOUND + 1, False)
    assert statuses["completed"] == statuses["failed"] == (find.MANY, False) and statuses["queued"] == (12, True)
    assert read <= find.BOUND + 2 * len(statuses) * (find.MANY + 1)


def test_an_asset_leads_to_every_bundle_that_lists_it(ledger, monkeypatch):
    [item] = ledger.execute("SELECT asset_hash FROM ingest_batch_item WHERE batch_id = 7 AND position = 0")
    ledger.execute("UPDATE ingest_batch_item SET asset_hash = %(hash)s WHERE batch_id IN (70, 700) AND position = 0",
                   hash=item["asset_hash"])
    for start in (item["asset_hash"], item["asset_hash"][:16]):
        page, read = examined(ledger, lambda tx: find.page(tx, Filters(asset_hash=start)))
        assert [row["id"] for row in page.rows] == [700, 70, 7]
        assert read <= ROWS
    count, statuses = ledger.read(find.counts, Filters(asset_hash=start))
    assert count == (3, True) and sum(each.number for each in statuses.values()) == 3
    for module in (find.batches, roads):
        monkeypatch.setattr(module, "SCAN", 3)
    count, statuses = ledger.read(find.counts, Filters(asset_hash=start))
    assert count == (3, False) and not any(each.exact for each in statuses.values())


def test_all_that_match_are_frozen_up_to_a_bound_and_it_is_said_whether_that_is_all(ledger, wanted):
    few, most = Filters(status="failed", action="update"), Filters(status="completed", action="create")
    assert ledger.read(find.ids, few) == (wanted(few), True)
    ids, whole = ledger.read(find.ids, most, limit=10_000)
    assert ids == wanted(most)[:len(ids)] and not whole


def test_the_hosts_are_read_at_one_entry_each(ledger):
    hosts, read = examined(ledger, find.hosts)
    assert len(hosts) == 12 and read <= 30
