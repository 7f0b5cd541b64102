"""Filters of the list of batches: URL, bounded counts, pages both ways."""

import pytest
from gpupanel import search
from page_helpers import BATCHES, JSON, cells, region, text

HASH = "0123456789abcdef" * 4


@pytest.fixture
def four(admin_db):
    """Four batches without a common field, whose ids start with a, b, c, d.

    They were discovered on one day each, from 2026-01-01.
    """
    rows = zip("abcd", ("asset", "gallery", "collection", "video_simple"), ("create", "update", "remove", "create"),
               ("failed", "failed", "queued", "completed"), ("one", "two", "two", "one"), strict=True)
    for day, (letter, sync_type, action, status, host) in enumerate(rows, 1):
        admin_db.execute(
            "INSERT INTO ingest_batch (id, sync_id, sync_type, action, status, source_host, discovered_at) VALUES"
            " (%(day)s, %(sync_id)s, %(sync_type)s, %(action)s, %(status)s, %(host)s, %(at)s)", day=day,
            sync_id=f"{letter}0000000-0000-4000-8000-000000000000", sync_type=sync_type, action=action, status=status,
            host=host, at=f"2026-01-0{day} 23:59:59.5",
        )
    admin_db.execute(
        "INSERT INTO ingest_batch_item (batch_id, position, asset_type, asset_hash, decision)"
        " VALUES (1, 0, 'photo', %(hash)s, 'created'), (3, 0, 'photo', %(hash)s, 'removed')", hash=HASH,
    )


@pytest.fixture
def letters(admin):
    """Return the first letters of the listed sync_ids, in order."""
    def letters(query):
        batches = admin.get(f"{BATCHES}?{query}", headers=JSON).json["batches"]
        return "".join(batch["sync_id"][0] for batch in batches)

    return letters


@pytest.mark.parametrize("query, expected", [
    ("", "dcba"), ("sort=oldest", "abcd"), ("status=failed", "ba"), ("type=gallery", "b"), ("action=create", "da"),
    ("host=two", "cb"), ("from=2026-01-02", "dcb"), ("to=2026-01-02", "ba"), ("from=2026-01-02&to=2026-01-03", "cb"),
    ("q=b00", "b"), ("q=B0000000-0000", "b"), ("q=" + HASH, "ca"), ("q=" + HASH[:16] + "...", "ca"),
    ("q=" + HASH[:9], "ca"),
    ("status=failed&action=create", "a"), ("host=two&type=gallery&status=queued", ""),
    ("q=" + HASH + "&action=remove", "c"),
    ("before=3", "ba"), ("after=3", "d"), ("sort=oldest&after=2", "cd"), ("sort=oldest&before=2", "a"),
    ("after=0", "dcba"),
    ("status=&type=&q=", "dcba"),
])
def test_each_filter_finds_its_batches_in_order(letters, four, query, expected):
    assert letters(query) == expected


@pytest.mark.parametrize("query", [
    "type=fine", "action=erase", "from=yesterday", "to=2026-13-01", "from=20260101", "q=" + "x" * 201,
    "sort=size",
    "before=1&after=2", "host=" + "h" * 256, "to=9999-12-31",
])
def test_what_cannot_be_understood_is_refused(admin, query):
    admin.get(f"{BATCHES}?{query}", status=400)


def test_the_form_shows_the_filters_and_its_links_keep_them(admin, four):
    page = admin.get(f"{BATCHES}?status=failed&host=two&sort=oldest")
    form = page.html.find("form", role="search")
    assert form.find("input", {"name": "host"})["value"] == "two"
    assert form.find("input", {"name": "status"})["value"] == "failed"
    assert page.html.find("a", string="Clear")["href"] == BATCHES
    queued = page.click(href="status=queued")
    assert queued.request.params == {"status": "queued", "host": "two", "sort": "oldest"}
    assert [row[1][0] for row in cells(region(queued, "Batches"))[1:]] == ["c"]


def test_each_status_shows_how_many_the_other_filters_leave(admin, four):
    chips = admin.get(f"{BATCHES}?status=failed&host=two").html.find("nav", {"aria-label": "Status"})
    shown = {text(chip) for chip in chips.find_all("a")}
    assert shown == {"failed 1", "queued 1", "all"}
    alone = admin.get(f"{BATCHES}?status=completed&host=two").html.find("nav", {"aria-label": "Status"})
    assert "completed 0" in {text(chip) for chip in alone.find_all("a")}


def test_a_count_that_went_no_further_says_so(admin, four, monkeypatch):
    monkeypatch.setattr(search.batches, "COUNT_LIMIT", 3)
    page = admin.get(BATCHES)
    assert text(page.html.main.h2) == "Batches 4+"
    assert admin.get(BATCHES, headers=JSON).json["count_is_exact"] is False


def test_a_page_that_stopped_looking_says_where_and_leads_on(admin, four, monkeypatch):
    monkeypatch.setattr(search.access_path, "MAX_ROWS_SCANNED", 1)
    page = admin.get(f"{BATCHES}?status=failed&host=one")
    assert "Batches 0+" in text(page.html.main.h2) and "More batches may match" in text(page.html.main)
    page = page.click("continue the search")
    assert [row[1][0] for row in cells(region(page, "Batches"))[1:]] == ["a"]


def test_the_hosts_that_there_are_are_offered(admin, four):
    offered = admin.get(BATCHES).html.find("datalist").find_all("option")
    assert [option["value"] for option in offered] == ["one", "two"]


def test_what_may_be_the_start_of_a_hash_but_is_too_short_says_how_long_it_must_be(admin, four):
    hint = "For an asset hash, enter at least its first nine characters"
    assert hint in text(admin.get(f"{BATCHES}?q=f5bb35e5").html.find(class_="empty"))
    assert hint not in text(admin.get(f"{BATCHES}?q=f5bb35e53").html.find(class_="empty"))


def test_a_filter_that_nothing_fits_says_so_and_leads_back(admin, four):
    page = admin.get(f"{BATCHES}?host=three")
    assert "No batches match" in text(page.html.find(class_="empty"))
    assert len(cells(region(page.click("Show all batches"), "Batches"))) == 5


def test_a_hostile_filter_stays_text(admin, four):
    page = admin.get(BATCHES, params={"host": "\"><script>'"})
    assert page.html.find("input", {"name": "host"})["value"] == "\"><script>'"
    assert [script["src"] for script in page.html.find_all("script")] and not page.html.find("script", src=False)


def test_pages_lead_to_the_first_the_last_and_back(configured, four):
    page = configured(page_size=1).get(BATCHES)
    walked = [page, page.click("Older"), page.click("Oldest"), page.click("Oldest").click("Newer")]
    assert [cells(region(each, "Batches"))[1][1][0] for each in walked] == ["d", "c", "a", "b"]
    assert walked[2].html.find("a", string="Older") is None
    back = walked[1].click("Newer")
    assert back.html.find("a", string="Newer") is None and cells(region(back, "Batches"))[1][1][0] == "d"


@pytest.mark.parametrize("sort, column, ordered", [
    ("items", "item_count", [9, 5, 5, 1]), ("fewest_items", "item_count", [1, 5, 5, 9]),
    ("bytes", "total_bytes", [9, 5, 5, 1]), ("fewest_bytes", "total_bytes", [1, 5, 5, 9]),
])
def test_the_list_is_sorted_by_size(admin, four, admin_db, sort, column, ordered):
    for number, size in enumerate((5, 1, 9, 5)):
        admin_db.execute(
            f"UPDATE ingest_batch SET {column} = %(size)s WHERE sync_id LIKE %(first)s", size=size,
            first=f"{'abcd'[number]}%",
        )
    batches = admin.get(f"{BATCHES}?sort={sort}", headers=JSON).json["batches"]
    assert [batch[column] for batch in batches] == ordered
    heads = admin.get(f"{BATCHES}?sort={sort}").html.find_all("th", {"aria-sort": True})
    assert [text(head) for head in heads] == ["items" if "items" in sort else "bytes"]


def test_what_has_not_completed_comes_last(admin, four, admin_db):
    admin_db.execute("UPDATE ingest_batch SET completed_at = NULL")
    admin_db.execute("UPDATE ingest_batch SET completed_at = '2026-05-01' WHERE sync_id LIKE 'c%'")
    batches = admin.get(f"{BATCHES}?sort=completed", headers=JSON).json["batches"]
    assert [bool(batch["completed_at"]) for batch in batches] == [True, False, False, False]
    batches = admin.get(f"{BATCHES}?sort=first_completed", headers=JSON).json["batches"]
    assert [bool(batch["completed_at"]) for batch in batches] == [False, False, False, True]


def test_only_the_filters_that_are_used_are_shown_and_each_can_be_removed(admin, four):
    page = admin.get(f"{BATCHES}?host=two&status=failed")
    assert "open" not in page.html.find(id="filters").attrs
    [used] = page.html.find(class_="used").find_all("a")
    assert text(used) == "host: two"
    assert admin.get(used["href"]).request.params == {"status": "failed"}
