"""Attention: which batches need a person, who has seen that, and what ends it."""

import pytest
from gpupanel import job_queue, ledger
from page_helpers import BATCHES, JSON, cells, detail, region, text

NEW, SEEN = f"{BATCHES}?attention=new", f"{BATCHES}?attention=seen"


@pytest.fixture
def listed(admin):
    """Return the sync_ids of a view, held ones first."""
    def listed(url=NEW):
        page = admin.get(url, headers=JSON).json
        return [batch["sync_id"] for batch in page["held"] + page["batches"]]

    return listed


@pytest.fixture
def count(admin):
    """Return what the navigation says of Attention."""
    return lambda: text(admin.get(BATCHES).html.find(id="attention"))


@pytest.mark.parametrize("change", [
    "status = 'partial', completed_at = NOW(6)", "status = 'failed', completed_at = NOW(6)",
    "status = 'preflight_failed', started_at = NOW(6)",
    "status = 'completed', completed_at = NOW(6), changed_at = NOW(6)",
])
def test_what_failed_or_was_replaced_needs_attention_until_a_person_has_seen_it(
    listed, count, send, scan_bundle, admin_db, change
):
    sync_id, other = scan_bundle("one"), scan_bundle("two")
    assert (listed(), count()) == ([], "Attention")
    admin_db.execute(f"UPDATE ingest_batch SET {change} WHERE sync_id = %(sync_id)s", sync_id=sync_id)
    assert (listed(), count()) == ([sync_id], "Attention 1")
    page = send(detail(sync_id), do="seen", sync_id=sync_id).follow()
    assert text(page.html.find(class_="notice")).startswith("Marked as seen: ")
    assert (listed(), listed(SEEN), count()) == ([], [sync_id], "Attention")
    assert other not in listed(SEEN)
    admin_db.execute(f"UPDATE ingest_batch SET {change} WHERE sync_id = %(sync_id)s", sync_id=sync_id)
    assert (listed(), listed(SEEN)) == ([sync_id], []), "it happened again"


def test_the_batch_says_who_has_seen_it_and_the_event_records_it(admin, send, scan_bundle, admin_db, panel_db):
    sync_id = scan_bundle()
    admin_db.execute("UPDATE ingest_batch SET status = 'failed', completed_at = NOW(6)")
    assert admin.get(detail(sync_id), headers=JSON).json["attention"] == {
        "reasons": ["failed"], "seen_by": None, "seen_at": None,
    }
    send(detail(sync_id), do="seen", sync_id=sync_id)
    page = admin.get(detail(sync_id))
    assert "admin has seen this (failed)" in text(page.html.find(attrs={"aria-label": "Attention"}))
    attention = admin.get(detail(sync_id), headers=JSON).json["attention"]
    assert attention["seen_by"] == "admin" and attention["seen_at"]
    batch_id = panel_db.run_read(ledger.get_batch, sync_id)["id"]
    event = panel_db.run_read(ledger.latest_event, batch_id, "attention_seen")
    assert event["payload"] == {"phase": "attention", "reasons": ["failed"], "seen_by": "admin"}
    assert "seen by admin" in text(region(admin.get(SEEN), "Batches"))


def test_a_job_that_waits_for_a_person_comes_first(admin, listed, count, send, scan_bundle, panel_db, admin_db):
    failed, held = scan_bundle("failed"), scan_bundle("held")
    admin_db.execute("UPDATE ingest_batch SET status = 'failed' WHERE sync_id = %(sync_id)s", sync_id=failed)
    send(do="queue", sync_id=held)
    [job] = panel_db.run_read(job_queue.list_queued)
    panel_db.run_transaction(job_queue.hold, job["id"], "ada", "ask upstream")
    assert (listed(), count()) == ([held, failed], "Attention 2")
    assert admin.get(detail(held), headers=JSON).json["attention"]["reasons"] == ["held for a person"]
    send(detail(held), do="seen", sync_id=held)
    assert (listed(), count()) == ([failed], "Attention 1")
    panel_db.run_transaction(job_queue.release, job["id"], "ada")
    panel_db.run_transaction(job_queue.hold, job["id"], "ada", "again")
    assert listed() == [held, failed]


def test_several_batches_are_marked_with_one_click(admin, listed, send, scan_bundle, admin_db):
    batches = [scan_bundle(name) for name in ("one", "two", "three")]
    admin_db.execute("UPDATE ingest_batch SET status = 'partial' WHERE sync_id <> %(sync_id)s", sync_id=batches[0])
    notice = text(send(NEW, do="seen_selected", sync_id=batches).follow().html.find(class_="notice"))
    assert notice.startswith("Marked as seen: 2 of 3 batches.") and "needs no attention" in notice
    assert listed() == []


@pytest.mark.parametrize("status", ["discovered", "completed"])
def test_what_needs_no_attention_is_not_marked(send, scan_bundle, admin_db, status):
    sync_id = scan_bundle()
    admin_db.execute(f"UPDATE ingest_batch SET status = '{status}'")
    assert "needs no attention" in text(send(detail(sync_id), do="seen", sync_id=sync_id, status=409).html.main)


def test_it_is_marked_once(send, scan_bundle, admin_db):
    sync_id = scan_bundle()
    admin_db.execute("UPDATE ingest_batch SET status = 'failed'")
    send(detail(sync_id), do="seen", sync_id=sync_id)
    assert "was seen by admin already" in text(send(detail(sync_id), do="seen", sync_id=sync_id, status=409).html.main)


def test_a_viewer_sees_the_view_and_marks_nothing(viewer, admin_db, scan_bundle):
    sync_id = scan_bundle()
    admin_db.execute("UPDATE ingest_batch SET status = 'failed'")
    page = viewer.get(NEW)
    assert [row[0] for row in cells(region(page, "Batches"))[1:]] == [sync_id]
    assert not page.html.find("button", {"value": "seen_selected"})
    assert not viewer.get(detail(sync_id)).html.find("button", {"value": "seen"})


def test_rows_of_the_perl_side_need_attention_without_its_doing(admin, count, admin_db):
    admin_db.execute("INSERT INTO ingest_batch (sync_id, status) VALUES (UUID(), 'partial')")
    assert count() == "Attention 1"


def test_an_empty_view_says_so(admin):
    assert "Nothing needs attention." in text(admin.get(NEW).html.find(class_="empty"))
    assert "No batch is marked as seen." in text(admin.get(SEEN).html.find(class_="empty"))
