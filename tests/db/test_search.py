"""A batch search reads about as many rows as it shows, for all filters and pages (docs/decisions/0024)."""

from datetime import date
from functools import partial

import pytest
from constants import NAME, bench_load, empty
from gpupanel import search
from gpupanel.db import Database
from gpupanel.search.count_memo import CountMemo
from gpupanel.search.filters import BatchFilter, STATUSES
from gpupanel.search import MAX_ROWS_SCANNED, PageRequest, SORTS, access_path
from gpupanel.pagination import Cursor, ENDS
from rows_read import examined

BATCHES = 12_000  # more than twice what one page looks through at most, and more than a count goes on
PAGE = 50
ROWS = 14 * (PAGE + 1)  # what a page may read: an index entry, the batch, its latest job, first item and container
FIRST, LAST = Cursor(ENDS[0], ascending=True), Cursor(ENDS[1], ascending=False)
DAY = date(2025, 12, 22)

ALONE = [
    BatchFilter(), BatchFilter(status="completed"), BatchFilter(status="failed"), BatchFilter(status="importing"),
    BatchFilter(action="remove"), BatchFilter(sync_type="video_simple"), BatchFilter(host="cloud-3.example.net"),
    BatchFilter(since=DAY), BatchFilter(until=DAY), BatchFilter(status="completed", since=DAY, until=DAY),
    BatchFilter(asset_hash="f" * 9), BatchFilter(sync_id="abcd"),
]
SEVERAL = [
    BatchFilter(status="completed", action="create"), BatchFilter(status="failed", sync_type="gallery"),
    BatchFilter(sync_id="a"),
    BatchFilter(status="completed", action="remove", sync_type="video_simple", host="cloud-3.example.net"),
    BatchFilter(status="importing", action="create"), BatchFilter(sync_id="a", host="cloud-3.example.net"),
    BatchFilter(status="completed", action="remove", since=DAY, until=DAY),
]


def name(filters):
    return " ".join(f"{key}={value}" for key, value in filters._asdict().items() if value) or "none"


@pytest.fixture(scope="module")
def ledger(server):
    """A small ledger of bench/make_ledger.py; its first thousand batches have one time, as after a migration."""
    db = Database(server.admin(NAME))
    empty(db)
    db.execute("SET foreign_key_checks = 0, unique_checks = 0")
    bench_load().fill(db, BATCHES, tables=("ingest_batch", "import_job", "ingest_batch_item"))
    db.execute("UPDATE ingest_batch SET discovered_at = '2025-12-20' WHERE id <= 1000")
    yield db
    db.close()


@pytest.fixture(autouse=True)
def nothing_kept(monkeypatch):
    """Count each time, also where a test before it counted the same."""
    monkeypatch.setattr(search.batches, "_KEPT", CountMemo())


@pytest.fixture(scope="module")
def wanted(ledger):
    """`wanted(filters)`: the ids of all matching batches, newest first, from a full scan."""
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


@pytest.mark.parametrize(
    "place", [None, FIRST, LAST, Cursor(500, ascending=False), Cursor(10_000, ascending=True)], ids=str
)
@pytest.mark.parametrize("filters", ALONE, ids=name)
def test_one_filter_reads_what_the_page_shows_and_no_more_on_whichever_page(ledger, filters, place):
    page, read = examined(ledger, lambda tx: search.list_batches(tx, filters, PageRequest(place, limit=PAGE)))
    assert page.stopped_at is None
    assert read <= ROWS


@pytest.mark.parametrize("place", [None, FIRST, Cursor(10_000, ascending=False)], ids=str)
@pytest.mark.parametrize("filters", SEVERAL, ids=name)
def test_several_filters_look_through_a_bounded_number_of_rows(ledger, filters, place):
    page, read = examined(ledger, lambda tx: search.list_batches(tx, filters, PageRequest(place, limit=PAGE)))
    choosing = (MAX_ROWS_SCANNED + 1) * len(access_path.filter_names(filters))
    looking = 2 * MAX_ROWS_SCANNED
    assert read <= 2 * choosing + looking + ROWS  # what is counted is read once more, from where it was put
    assert page.rows or page.stopped_at or not page.next


@pytest.mark.parametrize("filters", ALONE + SEVERAL, ids=name)
def test_no_list_sorts_more_than_it_may_look_through(ledger, filters):
    ledger.execute("FLUSH STATUS")
    ledger.run_read(search.list_batches, filters, PageRequest(limit=PAGE))
    [row] = ledger.execute("SHOW SESSION STATUS LIKE 'Sort_rows'")
    assert int(row["Value"]) <= (PAGE + 1 if filters.sync_id or filters.asset_hash else 0)


@pytest.mark.parametrize("oldest_first", [False, True])
@pytest.mark.parametrize("filters", [
    BatchFilter(status="failed"), BatchFilter(sync_id="ab"), BatchFilter(until=date(2025, 12, 20)), *SEVERAL,
], ids=name)
def test_pages_follow_each_other_without_gap_or_repeat_to_the_end_and_back(ledger, wanted, filters, oldest_first):
    expected, sort = wanted(filters)[::-1 if oldest_first else 1], SORTS["oldest" if oldest_first else "newest"]
    listed, place = [], None
    while True:
        page = ledger.run_read(search.list_batches, filters, PageRequest(place, sort, 400))
        listed += [row["id"] for row in page.rows]
        if page.next is None:
            break
        place = page.next
    assert listed == expected
    back, place = [], FIRST if not oldest_first else LAST
    while place:
        page = ledger.run_read(search.list_batches, filters, PageRequest(place, sort, 400))
        back = [row["id"] for row in page.rows] + back
        place = page.previous
    assert back == expected


@pytest.fixture(scope="module")
def keys(ledger):
    """id -> the columns of the orders; some batches of each kind have not completed."""
    ledger.execute("UPDATE ingest_batch SET completed_at = NULL WHERE id % 3 = 0")
    rows = ledger.execute("SELECT id, item_count, total_bytes, completed_at FROM ingest_batch")
    return {row["id"]: row for row in rows}


OTHER_SORTS = [name for name in SORTS if SORTS[name].index != "discovered"]


@pytest.mark.parametrize("order", OTHER_SORTS)
@pytest.mark.parametrize("filters", [
    BatchFilter(), BatchFilter(status="failed"), BatchFilter(status="completed", action="create"),
    BatchFilter(since=DAY), BatchFilter(asset_hash="f" * 9),
], ids=name)
def test_pages_by_size_and_end_follow_each_other_within_the_bound(ledger, wanted, keys, filters, order):
    sort = SORTS[order]
    sought = set(wanted(filters)) if not filters.asset_hash else None
    listed, place, most = [], None, 0
    while True:
        request = PageRequest(place, sort, 2000)
        page, read = examined(ledger, lambda tx: search.list_batches(tx, filters, request))  # noqa: B023
        most = max(most, read)
        listed += [row["id"] for row in page.rows]
        place = page.next or page.further
        if place is None:
            break
    wanted_ids = sought if sought is not None else set(listed)
    rows = [(keys[batch_id][sort.key] is not None, keys[batch_id][sort.key], batch_id) for batch_id in wanted_ids]
    known, unknown = [row for row in rows if row[0]], [row for row in rows if not row[0]]
    ascending = [row[2] for row in sorted(unknown, key=lambda row: row[2]) + sorted(known)]
    assert listed == ascending[:: 1 if sort.ascending else -1]
    assert most <= 7 * MAX_ROWS_SCANNED + 14 * 2001
    first, read = examined(ledger, lambda tx: search.list_batches(tx, BatchFilter(), PageRequest(None, sort, PAGE)))
    assert read <= ROWS
    assert [row["id"] for row in first.rows] == listed[:PAGE] or filters != BatchFilter()


@pytest.mark.parametrize("order", OTHER_SORTS)
def test_the_page_before_is_the_page_that_led_here(ledger, keys, order):
    first = ledger.run_read(search.list_batches, BatchFilter(), PageRequest(None, SORTS[order], PAGE))
    second = ledger.run_read(search.list_batches, BatchFilter(), PageRequest(first.next, SORTS[order], PAGE))
    by_id = Cursor(second.previous.id, second.previous.ascending)  # as the URL has it
    back = ledger.run_read(search.list_batches, BatchFilter(), PageRequest(by_id, SORTS[order], PAGE))
    assert [row["id"] for row in back.rows] == [row["id"] for row in first.rows]


@pytest.mark.parametrize("filters", ALONE[:10] + SEVERAL, ids=name)
def test_a_count_is_exact_or_says_that_it_is_the_least(ledger, wanted, filters):
    (count, statuses), read = examined(ledger, lambda tx: search.count_list_and_statuses(tx, filters))
    counted = [(count, filters), *((each, filters._replace(status=status)) for status, each in statuses.items())]
    assert tuple(statuses) == STATUSES
    for found, meant in counted:
        number = len(wanted(meant))
        assert found.number == number if found.exact else found.number <= number, meant
    assert read <= 2 * search.COUNT_LIMIT + 4 * MAX_ROWS_SCANNED
    assert count == ledger.run_read(search.count_batches, filters)


@pytest.mark.parametrize("filters, times", [
    (BatchFilter(), 1), (BatchFilter(since=DAY), 1), (BatchFilter(status="failed", until=DAY), 1),
    (BatchFilter(host="cloud-3.example.net"), 3),  # it is looked for where to stop, and each is put into its group
], ids=str)
def test_a_small_ledger_is_counted_to_the_end_and_its_statuses_sum_up(ledger, monkeypatch, filters, times):
    monkeypatch.setattr(search.batches, "COUNT_LIMIT", BATCHES)
    (count, statuses), read = examined(ledger, lambda tx: search.count_list_and_statuses(tx, filters))
    assert all(each.exact for each in [count, *statuses.values()])
    assert count.number == sum(each.number for status, each in statuses.items() if filters.status in (None, status))
    assert read <= times * sum(each.number for each in statuses.values()) + 50


def test_a_large_ledger_is_passed_over_to_its_bound_and_each_status_to_a_smaller_one(ledger):
    (count, statuses), read = examined(ledger, lambda tx: search.count_list_and_statuses(tx, BatchFilter()))
    assert count == (search.COUNT_LIMIT + 1, False)
    assert statuses["completed"] == statuses["failed"] == (search.STATUS_COUNT_LIMIT, False)
    assert statuses["queued"] == (12, True)
    assert read <= search.COUNT_LIMIT + 2 * len(statuses) * (search.STATUS_COUNT_LIMIT + 1)


def test_an_asset_leads_to_every_bundle_that_lists_it(ledger, monkeypatch):
    [item] = ledger.execute("SELECT asset_hash FROM ingest_batch_item WHERE batch_id = 7 AND position = 0")
    ledger.execute("UPDATE ingest_batch_item SET asset_hash = %(hash)s WHERE batch_id IN (70, 700) AND position = 0",
                   hash=item["asset_hash"])
    for start in (item["asset_hash"], item["asset_hash"][:16]):
        page, read = examined(ledger, partial(search.list_batches, filters=BatchFilter(asset_hash=start)))
        assert [row["id"] for row in page.rows] == [700, 70, 7]
        assert read <= ROWS
    count, statuses = ledger.run_read(search.count_list_and_statuses, BatchFilter(asset_hash=start))
    assert count == (3, True) and sum(number.number for number in statuses.values()) == 3
    for module in (search.batches, access_path):
        monkeypatch.setattr(module, "MAX_ROWS_SCANNED", 3)
    monkeypatch.setattr(search.batches, "_KEPT", CountMemo())
    count, statuses = ledger.run_read(search.count_list_and_statuses, BatchFilter(asset_hash=start))
    assert count == (3, False) and not any(number.exact for number in statuses.values())


def test_all_that_match_are_frozen_up_to_a_bound_and_it_is_said_whether_that_is_all(ledger, wanted):
    few, most = BatchFilter(status="failed", action="update"), BatchFilter(status="completed", action="create")
    assert ledger.run_read(search.list_ids, few) == (wanted(few), True)
    ids, whole = ledger.run_read(search.list_ids, most, limit=10_000)
    assert ids == wanted(most)[:len(ids)] and not whole


def test_the_hosts_are_read_at_one_entry_each(ledger):
    hosts, read = examined(ledger, search.list_hosts)
    assert len(hosts) == 12 and read <= 30


def test_counts_are_made_again_only_after_an_event(ledger):
    first, _ = examined(ledger, lambda tx: search.count_list_and_statuses(tx, BatchFilter()))
    again, read = examined(ledger, lambda tx: search.count_list_and_statuses(tx, BatchFilter()))
    assert again == first
    assert read <= 90, "the state of the ledger alone: its newest 40 events"
    [moved] = ledger.execute("SELECT id FROM ingest_batch WHERE status = 'queued' LIMIT 1")
    ledger.execute("UPDATE ingest_batch SET status = 'importing' WHERE id = %(id)s", id=moved["id"])
    ledger.execute(
        "INSERT INTO ingest_event (batch_id, event_type, payload) VALUES (%(id)s, 'job_claimed', '{}')", id=moved["id"]
    )
    try:
        _, statuses = ledger.run_read(search.count_list_and_statuses, BatchFilter())
        assert statuses["queued"].number == first[1]["queued"].number - 1
    finally:
        ledger.execute("UPDATE ingest_batch SET status = 'queued' WHERE id = %(id)s", id=moved["id"])
        ledger.execute("DELETE FROM ingest_event")
