"""One keyset pagination for all lists: pages follow each other both ways, without gap or repeat."""

import pytest

from gpupanel.pagination import Cursor, ENDS, PageOrder, build_page, keyset_condition

ROWS = [{"id": number, "key": number // 3} for number in range(1, 11)]  # several rows share a key


def read(start, limit):
    """The rows beyond a cursor, nearest first, one more than fits: what a query returns."""
    if start.ascending:
        rows = [row for row in ROWS if start.id == 0 or (row["key"], row["id"]) > (start.key, start.id)]
    else:
        rows = [row for row in ROWS[::-1] if start.is_end or (row["key"], row["id"]) < (start.key, start.id)]
    return rows[: limit + 1]


@pytest.mark.parametrize("list_ascending", [True, False])
@pytest.mark.parametrize("limit", [1, 3, 4, 10, 20])
def test_pages_lead_to_the_end_and_back(list_ascending, limit):
    expected = [row["id"] for row in (ROWS if list_ascending else ROWS[::-1])]
    there, cursor = [], Cursor(ENDS[0 if list_ascending else 1], list_ascending)
    while cursor:
        page = build_page(read(cursor, limit), cursor, limit, PageOrder("key", list_ascending))
        there += [row["id"] for row in page.rows]
        cursor = page.next
    back, cursor = [], Cursor(ENDS[1 if list_ascending else 0], not list_ascending)
    while cursor:
        page = build_page(read(cursor, limit), cursor, limit, PageOrder("key", list_ascending))
        back = [row["id"] for row in page.rows] + back
        cursor = page.previous
    assert there == expected and back == expected


def test_a_scan_that_stopped_early_says_where_to_continue():
    start, horizon = Cursor(ENDS[1], False), Cursor(4, False, 1)
    page = build_page(ROWS[:1], start, 3, PageOrder("key", False), horizon)
    assert (page.next, page.further, page.stopped_at) == (horizon, horizon, 1)
    full = build_page(ROWS[:4], start, 3, PageOrder("key", False), horizon)
    assert (full.further, full.stopped_at) == (None, None)


def test_the_condition_names_the_parameters_of_its_cursor():
    condition = keyset_condition("b.discovered_at", "b.id", "start", True)
    assert condition.count("%(start_key)s") == 2 and "b.id > %(start_id)s" in condition
    assert Cursor(5, True, 7).parameters("start") == {"start_key": 7, "start_id": 5}
