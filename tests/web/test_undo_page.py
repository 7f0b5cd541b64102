"""The undo on the page: planned by one button, shown as a batch, and named by the batch that it undoes."""

import pytest
import worker_helpers
from gpupanel import config, search
from gpupanel.cli import main
from page_helpers import BATCHES, JSON, TASKS, cells, detail, region, text
from query_recorder import Watched


@pytest.fixture
def imported(panel_db, mount, worker_conf, bundles):
    """An imported batch of two photos."""
    sync_id = bundles.bundle("coast", [photo._replace(title="Dawn") for photo in bundles.assets("coast", 2)])
    worker_helpers.queue(panel_db, mount, sync_id)
    worker_helpers.drain(worker_conf)
    return sync_id


def buttons(page) -> list[str]:
    return [text(button) for button in page.html.main.select(".actions button")]


def test_the_button_plans_and_leads_to_the_plan(admin, send, imported, panel_db):
    assert "Undo..." in buttons(admin.get(detail(imported)))
    response = send(detail(imported), do="undo", sync_id=imported)
    page = response.follow()
    result = text(page.html.find(attrs={"aria-label": "Result"}))
    assert result.startswith("This is the plan of the undo: 2 will_remove")
    assert f"Undo of batch {imported}" in text(page.html.main)
    assert [row[3] for row in cells(region(page, "Items"))[1:]] == ["will_remove", "will_remove"]
    assert buttons(page) == ["Preflight", "Queue"]
    assert worker_helpers.counts(panel_db, imported) == {"created": 2}


def test_a_second_person_reads_who_undid_what_and_when(admin, viewer, send, imported, panel_db, worker_conf):
    send(detail(imported), do="undo", sync_id=imported)
    undo = admin.get(detail(imported), headers=JSON).json["undos"][0]["sync_id"]
    send(detail(undo), do="queue", sync_id=undo)
    worker_helpers.drain(worker_conf)
    (item, _) = worker_helpers.items(panel_db, undo)
    page = viewer.get(detail(imported))
    assert "Undone at" in text(page.html.main) and "by admin" in text(page.html.main) and undo in page.text
    shown = viewer.get(detail(undo), headers=JSON).json
    assert (shown["undo_of"], shown["decisions"], shown["undoable"]) == (imported, {"removed": 2}, True)
    asset = viewer.get(f"{BATCHES}?action=asset&type=photo&hash={item['asset_hash']}")
    newest = cells(region(asset, "History"))[1]
    assert newest[1] == "removed" and newest[2].startswith(undo[:8]) and newest[4] == "admin"
    assert "Undo..." not in buttons(page)  # a viewer has no buttons


def statuses(page, label="Batches") -> list[str]:
    return [text(cell) for cell in region(page, label).select("tbody td.verdict")]


def undo_wholly(admin, send, sync_id, worker_conf) -> str:
    """Plan, queue and import the undo of a batch; return its sync_id."""
    send(detail(sync_id), do="undo", sync_id=sync_id)
    undo = admin.get(detail(sync_id), headers=JSON).json["undos"][0]["sync_id"]
    send(detail(undo), do="queue", sync_id=undo)
    worker_helpers.drain(worker_conf)
    return undo


def test_lists_say_undone_beside_the_status_until_the_undo_is_undone_or_the_batch_imported_again(
    admin, send, imported, worker_conf, panel_db, mount
):
    undo = undo_wholly(admin, send, imported, worker_conf)
    assert statuses(admin.get(BATCHES)) == ["completed", "completed undone"]
    assert [batch["undone"] for batch in admin.get(BATCHES, headers=JSON).json["batches"]] == [None, "completed"]
    assert text(admin.get(detail(imported)).html.find(class_="lead-fact")) == "Status completed undone"
    tasks = admin.get(TASKS, headers=JSON).json["finished"]
    assert [(job["sync_id"], job["undone"]) for job in tasks] == [(undo, None), (imported, "completed")]
    again = undo_wholly(admin, send, undo, worker_conf)
    assert statuses(admin.get(BATCHES)) == ["completed", "completed undone", "completed"]
    undo_wholly(admin, send, again, worker_conf)
    assert statuses(admin.get(BATCHES)) == ["completed", "completed undone", "completed", "completed undone"]
    worker_helpers.queue(panel_db, mount, imported)
    worker_helpers.drain(worker_conf)
    assert statuses(admin.get(BATCHES))[-1] == "completed"


def test_a_batch_that_was_undone_in_part_says_so(admin, send, imported, worker_conf, admin_db, panel_conf, capsys):
    undo = undo_wholly(admin, send, imported, worker_conf)
    admin_db.execute("UPDATE ingest_batch SET status = 'partial' WHERE sync_id = %(undo)s", undo=undo)
    assert statuses(admin.get(BATCHES))[-1] == "completed undone in part"
    assert main.main(["--config", str(panel_conf), "list"]) == 0
    assert "completed, undone in part" in capsys.readouterr().out


def test_the_undos_of_a_list_are_read_by_their_index_in_one_statement(server, panel_conf, admin_db):
    for number in range(1, 301):  # 100 batches, each with an undo that is undone
        admin_db.execute(
            "INSERT INTO ingest_batch (id, sync_id, status, undo_of, imported_at)"
            " VALUES (%(id)s, UUID(), 'completed', %(undo_of)s, NOW(6) + INTERVAL %(id)s SECOND)",
            id=number, undo_of=number - 100 if number > 100 else None,
        )
    db = Watched(config.load(panel_conf).database)
    assert db.run_read(search.find_undone, list(range(1, 101))) == dict.fromkeys(range(101, 201), "completed")
    [seen] = db.seen
    assert not [row for row in seen.plan if row["type"] in ("ALL", "index") and not row["table"].startswith("<")
                and row["table"] != "c"], seen.plan
    assert seen.read < 2_000
    db.close()


def test_a_viewer_cannot_undo(viewer, admin, imported):
    token = admin.get(BATCHES, headers=JSON).json["csrf_token"]
    viewer.post(detail(imported), {"do": "undo", "sync_id": imported, "csrf_token": token}, status=403)


def test_an_undo_without_its_token_is_refused(admin, imported):
    admin.post(detail(imported), {"do": "undo", "sync_id": imported}, status=403)


def test_an_undo_that_was_imported_is_undone_and_not_queued_again(admin, send, imported, worker_conf):
    send(detail(imported), do="undo", sync_id=imported)
    undo = admin.get(detail(imported), headers=JSON).json["undos"][0]["sync_id"]
    send(detail(undo), do="queue", sync_id=undo)
    worker_helpers.drain(worker_conf)
    assert buttons(admin.get(detail(undo))) == ["Undo..."]


def test_the_page_of_a_batch_follows_its_undo(admin, send, imported):
    before = admin.get(detail(imported)).headers["ETag"]
    send(detail(imported), do="undo", sync_id=imported)
    admin.get(detail(imported))  # shows the result, if it is here
    assert admin.get(detail(imported), headers={"If-None-Match": before}).status_int == 200


def test_the_list_finds_undos_by_their_action(admin, send, imported):
    send(detail(imported), do="undo", sync_id=imported)
    (batch,) = admin.get(f"{BATCHES}?action=undo", headers=JSON).json["batches"]
    assert batch["action"] == "undo"
