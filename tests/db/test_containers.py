"""Galleries and collections: membership is additive, only a remove takes members out, and each is settled by itself."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import partial

import pytest
import worker_helpers
from gpupanel import ledger, services
from gpupanel.devtools.bundle_factory.deterministic import derive_hash
from gpupanel.errors import DatabaseConflictError
from gpupanel.db import Database
from gpupanel.manifest import Container
from gpupanel.order import BundleOrder, Order
from gpupanel.worker import claims, containers, importer, job_release
from gpupanel.worker.chunk_writer import ImportRun
from gpupanel.worker.container_writer import ContainerWriter

KINDS = ("gallery", "collection")


@pytest.fixture(params=KINDS)
def kind(request) -> str:
    return request.param


@pytest.fixture
def bring(panel_db, bundles, mount, worker_conf):
    """Hands over a bundle with these assets and containers, and imports it; returns its sync_id."""

    def run(name: str, assets, held, **facts) -> str:
        sync_id = bundles.bundle(name, assets, held, **facts)
        worker_helpers.queue(panel_db, mount, sync_id)
        worker_helpers.drain(worker_conf)
        return sync_id

    return run


def members(db, kind: str) -> list[tuple[str, int]]:
    """(asset_hash, position) of the live members, in order."""
    rows = db.execute(
        f"SELECT a.asset_hash, m.position FROM asset_{kind}_item m JOIN asset a ON a.id = m.asset_id"
        " WHERE m.deleted_at IS NULL ORDER BY m.position, a.asset_hash"
    )
    return [(row["asset_hash"], row["position"]) for row in rows]


def container(db, kind: str) -> dict:
    (row,) = db.execute(f"SELECT * FROM asset_{kind}")
    return row


def rows(db, sync_id: str) -> list[dict]:
    """The containers of a batch in the ledger."""
    return db.run_read(ledger.list_containers, worker_helpers.batch(db, sync_id)["id"], limit=10_000)


def results(db, sync_id: str, kind: str) -> list[dict]:
    """What was recorded of the containers of a batch, oldest first."""
    batch_id = worker_helpers.batch(db, sync_id)["id"]
    select = "SELECT * FROM ingest_result WHERE batch_id = %(id)s AND kind = %(kind)s ORDER BY id"
    return db.execute(select, id=batch_id, kind=kind)


def came_and_went(db, result_id: int) -> list[tuple]:
    """(asset_hash, came, position, position_before) of the members of a result."""
    found = db.execute(
        "SELECT a.asset_hash, m.came, m.position, m.position_before FROM ingest_result_member m"
        " JOIN asset a ON a.id = m.asset_id WHERE m.result_id = %(id)s ORDER BY m.position, a.asset_hash", id=result_id,
    )
    return [tuple(row.values()) for row in found]


def placed(*assets) -> list[tuple[str, int]]:
    return [(asset.asset_hash, position) for position, asset in enumerate(assets)]


def test_a_container_comes_with_its_members_in_order(admin_db, panel_db, bundles, bring, kind):
    a, b, c = bundles.assets("coast", 3)
    sync_id = bring("coast", [a, b, c], [bundles.container(kind, "Coast", [c, a, b], cover=a)])
    assert members(admin_db, kind) == placed(c, a, b)
    row = container(admin_db, kind)
    assert (row["title"], row["cover_hash"]) == ("Coast", a.asset_hash)
    assert worker_helpers.batch(panel_db, sync_id)["status"] == "completed"


def test_members_are_added_and_those_that_are_there_stay(admin_db, bundles, bring, kind):
    a, b, c = bundles.assets("coast", 3)
    bring("first", [a, b], [bundles.container(kind, "Coast", [a, b])])
    bring("second", [c], [bundles.container(kind, "Coast", [c])])
    assert {asset_hash for asset_hash, _ in members(admin_db, kind)} == {a.asset_hash, b.asset_hash, c.asset_hash}


def test_an_empty_list_of_members_takes_nobody_out(admin_db, bundles, bring, kind):
    a, b = bundles.assets("coast", 2)
    bring("first", [a, b], [bundles.container(kind, "Coast", [a, b])])
    bring("second", [a], [bundles.container(kind, "Coast", [])], action="update")
    bring("third", [], [bundles.container(kind, "Coast", [])], action="remove")
    assert members(admin_db, kind) == placed(a, b)
    assert container(admin_db, kind)["deleted_at"] is None


def test_only_an_update_changes_title_cover_and_places(admin_db, bundles, bring, kind):
    a, b = bundles.assets("coast", 2)
    held = bundles.container(kind, "Coast", [a, b])
    bring("first", [a, b], [held])
    renamed = held | {"title": "Shore", "cover_hash": b.asset_hash, "items": [b.asset_hash, a.asset_hash]}
    bring("second", [a], [renamed])
    assert container(admin_db, kind)["title"] == "Coast" and members(admin_db, kind) == placed(a, b)
    bring("third", [a], [renamed], action="update")
    row = container(admin_db, kind)
    assert (row["title"], row["cover_hash"]) == ("Shore", b.asset_hash)
    assert members(admin_db, kind) == placed(b, a)


def test_members_that_are_nowhere_leave_the_batch_partial_and_the_others_linked(
    admin_db, panel_db, bundles, bring, kind
):
    (a,) = bundles.assets("coast", 1)
    held = bundles.container(kind, "Coast", [a])
    unknown = derive_hash("nowhere")
    sync_id = bring("coast", [a], [held | {"items": [unknown, a.asset_hash]}])
    assert members(admin_db, kind) == [(a.asset_hash, 1)]
    batch = worker_helpers.batch(panel_db, sync_id)
    reason = "1 of 2 members is not in the library; the others were linked"
    assert (batch["status"], batch["last_error"]) == ("partial", f"incomplete containers: 1; the first: {reason}")
    (event,) = worker_helpers.events(panel_db, sync_id, "container_failed")
    payload = json.loads(event["payload"])
    assert (payload["missing"], payload["missing_count"], payload["container_type"]) == ([unknown], 1, kind)
    (row,) = rows(panel_db, sync_id)
    assert (row["decision"], row["missing"], row["missing_count"]) == ("failed", [unknown], 1)
    assert row["last_error"] == payload["reason"] == "1 of 2 members is not in the library; the others were linked"


def test_a_remove_takes_out_the_members_it_lists_and_the_container_with_its_last_one(admin_db, bundles, bring, kind):
    a, b = bundles.assets("coast", 2)
    bring("first", [a, b], [bundles.container(kind, "Coast", [a, b])])
    bring("second", [a], [bundles.container(kind, "Coast", [a])], action="remove")
    assert members(admin_db, kind) == [(b.asset_hash, 1)]
    assert container(admin_db, kind)["deleted_at"] is None
    bring("third", [b], [bundles.container(kind, "Coast", [b])], action="remove")
    assert members(admin_db, kind) == []
    assert container(admin_db, kind)["deleted_at"] is not None
    assert len(admin_db.execute(f"SELECT id FROM asset_{kind}_item")) == 2


def test_a_removed_container_and_its_members_come_back(admin_db, bundles, bring, kind):
    a, b = bundles.assets("coast", 2)
    held = bundles.container(kind, "Coast", [a, b])
    bring("first", [a, b], [held])
    bring("second", [a, b], [held], action="remove")
    bring("third", [a, b], [held])
    assert members(admin_db, kind) == placed(a, b)
    assert container(admin_db, kind)["deleted_at"] is None


def test_importing_a_bundle_again_changes_nothing(admin_db, panel_db, bundles, bring, mount, worker_conf, kind):
    assets = list(bundles.assets("coast", 7, derivatives=("icon",)))
    sync_id = bring("coast", assets, [bundles.container(kind, "Coast", assets)])
    before = worker_helpers.rows(admin_db)
    services.queue_batch(panel_db, mount, sync_id, "operator")
    worker_helpers.drain(worker_conf)
    assert worker_helpers.rows(admin_db) == before


# --------------------------------------------------------------------------------------------- what is in the way


@pytest.fixture
def picky(admin_db, kind):
    """A database that refuses containers with one title."""
    admin_db.execute(f"ALTER TABLE asset_{kind} ADD CONSTRAINT picky CHECK (title <> 'Refused')")
    yield
    admin_db.execute(f"ALTER TABLE asset_{kind} DROP CONSTRAINT picky")


def test_a_container_that_the_database_refuses_fails_alone_with_its_reason(
    admin_db, panel_db, bundles, bring, kind, picky
):
    (a,) = bundles.assets("coast", 1)
    bad, good = (bundles.container(kind, title, [a]) for title in ("Refused", "Coast"))
    sync_id = bring("coast", [a], [bad, good])
    assert container(admin_db, kind)["title"] == "Coast" and members(admin_db, kind) == placed(a)
    assert worker_helpers.batch(panel_db, sync_id)["status"] == "partial"
    (event,) = worker_helpers.events(panel_db, sync_id, "container_failed")
    payload = json.loads(event["payload"])
    assert payload["reason"].startswith("the database refused it: ")
    assert (payload["container_hash"], payload["missing"]) == (bad["container_hash"], [])
    event_types = [event["event_type"] for event in worker_helpers.events(panel_db, sync_id)]
    assert event_types[-2:] == ["container_failed", "job_finished"]


def test_a_job_that_is_resumed_among_its_containers_tells_what_they_lack_once(
    admin_db, panel_db, bundles, mount, worker_conf, kind, monkeypatch
):
    (a,) = bundles.assets("coast", 1)
    held = bundles.container(kind, "Coast", [a])
    sync_id = bundles.bundle("coast", [a], [held | {"items": [derive_hash("nowhere"), a.asset_hash]}])
    (job_id,) = worker_helpers.queue(panel_db, mount, sync_id)
    with monkeypatch.context() as patch:
        patch.setattr(claims, "finish", unavailable)
        worker_helpers.drain(worker_conf)
    assert members(admin_db, kind) and worker_helpers.job(admin_db, job_id)["state"] == "held"
    worker_helpers.make_due(admin_db)
    worker_helpers.drain(worker_conf)
    event_types = [event["event_type"] for event in worker_helpers.events(panel_db, sync_id)]
    assert event_types.count("job_claimed") > 1 and event_types.count("container_failed") == 1


def unavailable(*args):
    raise DatabaseConflictError


# ------------------------------------------------------------------------------------------------------ the ledger


def test_titles_members_and_decisions_of_containers_are_in_the_ledger_before_and_after(
    admin_db, panel_db, bundles, mount, worker_conf, kind
):
    a, b = bundles.assets("coast", 2)
    held = bundles.container(kind, "Coast", [a, b], cover=a)
    sync_id = bundles.bundle("coast", [a, b], [held])
    worker_helpers.queue(panel_db, mount, sync_id)
    (row,) = rows(panel_db, sync_id)
    assert (row["title"], row["cover_hash"], row["members"], row["members_done"]) == ("Coast", a.asset_hash, 2, 0)
    assert (row["decision"], row["planned"], row["job_id"]) == ("will_create", "will_create", None)
    worker_helpers.drain(worker_conf)
    (row,) = rows(panel_db, sync_id)
    assert (row["decision"], row["planned"], row["members_done"]) == ("created", "will_create", 2)
    assert row["target_id"] == container(admin_db, kind)["id"]


def test_a_result_names_the_values_and_the_members_before_and_after(admin_db, panel_db, bundles, bring, kind):
    a, b, c = bundles.assets("coast", 3)
    held = bundles.container(kind, "Coast", [a, b])
    first = bring("first", [a, b, c], [held])
    second = bring("second", [], [held | {"title": "Shore", "items": [b.asset_hash, c.asset_hash]}], action="update")
    third = bring("third", [], [held | {"items": [b.asset_hash, a.asset_hash, c.asset_hash]}], action="remove")
    (created,), (updated,), (removed,) = (results(admin_db, each, kind) for each in (first, second, third))
    assert [each["decision"] for each in (created, updated, removed)] == ["created", "updated", "removed"]
    changes = json.loads(updated["changes"])
    assert changes["title"] == ["Coast", "Shore"]
    assert changes["source_batch_id"] == [created["batch_id"], updated["batch_id"]]
    taken_out = json.loads(removed["changes"])
    assert (taken_out.keys(), taken_out["deleted"]) == ({"deleted", "tombstone"}, [False, True])
    assert taken_out["tombstone"][0] is None and taken_out["tombstone"][1][1] == removed["batch_id"]
    assert came_and_went(admin_db, created["id"]) == [(a.asset_hash, 1, 0, None), (b.asset_hash, 1, 1, None)]
    assert came_and_went(admin_db, updated["id"]) == [(b.asset_hash, 1, 0, 1), (c.asset_hash, 1, 1, None)]
    assert {(name, came) for name, came, *_ in came_and_went(admin_db, removed["id"])} == {
        (asset.asset_hash, 0) for asset in (a, b, c)
    }
    assert members(admin_db, kind) == []


def test_a_container_that_failed_is_retried_alone(admin_db, panel_db, bundles, mount, worker_conf, kind):
    a, b = bundles.assets("coast", 2)
    (late,) = bundles.assets("late", 1)
    whole, lacking = bundles.container(kind, "Whole", [a, b]), bundles.container(kind, "Lacking", [a, late])
    sync_id = bundles.bundle("coast", [a, b], [whole, lacking])
    worker_helpers.queue(panel_db, mount, sync_id)
    worker_helpers.drain(worker_conf)
    assert worker_helpers.batch(panel_db, sync_id)["status"] == "partial"
    worker_helpers.queue(panel_db, mount, bundles.bundle("late", [late]))
    worker_helpers.drain(worker_conf)
    services.retry_batch(panel_db, mount, sync_id, "operator")
    assert [row["decision"] for row in rows(panel_db, sync_id)] == ["created", "will_link"]
    worker_helpers.drain(worker_conf)
    assert worker_helpers.batch(panel_db, sync_id)["status"] == "completed"
    assert [each["decision"] for each in results(admin_db, sync_id, kind)] == ["created", "failed", "linked"]
    assert [row["decision"] for row in rows(panel_db, sync_id)] == ["created", "linked"]


def test_a_bundle_of_containers_alone_fails_if_all_of_them_do(panel_db, bundles, mount, worker_conf, kind, bring):
    (a,) = bundles.assets("coast", 1)
    bring("first", [a], [])
    held = bundles.container(kind, "Coast", [a])
    sync_id = bring("second", [], [held | {"items": [derive_hash("nowhere")]}])
    batch = worker_helpers.batch(panel_db, sync_id)
    reason = "1 of 1 members is not in the library"
    assert (batch["status"], batch["last_error"]) == ("failed", f"incomplete containers: 1; the first: {reason}")


def test_missing_members_are_counted_and_the_first_twenty_named(panel_db, bundles, bring, kind):
    (a,) = bundles.assets("coast", 1)
    nowhere = [derive_hash("nowhere", number) for number in range(30)]
    sync_id = bring("coast", [a], [bundles.container(kind, "Coast", [a]) | {"items": [*nowhere, a.asset_hash]}])
    (row,) = rows(panel_db, sync_id)
    assert (row["missing_count"], row["missing"]) == (30, nowhere[:20])


# ------------------------------------------------------------------------------------------------- upstream's order


def test_an_older_bundle_adds_members_and_writes_neither_title_nor_places(admin_db, panel_db, bundles, bring, kind):
    a, b, c = bundles.assets("coast", 3)
    held = bundles.container(kind, "Coast", [a, b])
    bring("assets", [a, b, c], [])
    times = {"completed_at": "2026-03-02T10:00:00Z"}
    bring("newer", [], [held | {"title": "Newer"}], action="update", **times)
    older = held | {"title": "Older", "items": [each.asset_hash for each in (b, a, c)]}
    sync_id = bring("older", [], [older], action="update", completed_at="2026-03-01T10:00:00Z")
    assert container(admin_db, kind)["title"] == "Newer"
    assert members(admin_db, kind) == [(a.asset_hash, 0), (b.asset_hash, 1), (c.asset_hash, 2)]
    (row,) = rows(panel_db, sync_id)
    assert row["decision"] == "linked" and "a newer bundle" in row["reason"]


def test_a_member_that_a_newer_bundle_took_out_does_not_come_back(admin_db, panel_db, bundles, bring, kind):
    a, b = bundles.assets("coast", 2)
    bring("assets", [a, b], [])
    held = bundles.container(kind, "Coast", [a, b])
    bring("newer", [], [held | {"items": [a.asset_hash]}], action="remove", completed_at="2026-03-02T10:00:00Z")
    assert admin_db.execute(f"SELECT * FROM asset_{kind}") == []
    assert len(admin_db.execute("SELECT * FROM ingest_tombstone")) == 2
    bring("older", [], [held], completed_at="2026-03-01T10:00:00Z")
    assert members(admin_db, kind) == [(b.asset_hash, 1)]
    assert container(admin_db, kind)["deleted_at"] is None


def test_a_container_whose_members_a_newer_bundle_all_took_out_stays_removed(admin_db, panel_db, bundles, bring, kind):
    (a,) = bundles.assets("coast", 1)
    bring("assets", [a], [])
    held = bundles.container(kind, "Coast", [a])
    bring("newer", [], [held], action="remove", completed_at="2026-03-02T10:00:00Z")
    sync_id = bring("older", [], [held], completed_at="2026-03-01T10:00:00Z")
    assert container(admin_db, kind)["deleted_at"] is not None
    (row,) = rows(panel_db, sync_id)
    assert row["decision"] == "skipped" and "newer" in row["reason"]


def test_a_title_that_was_edited_by_hand_after_the_plan_is_not_overwritten(
    admin_db, panel_db, bundles, bring, mount, worker_conf, kind
):
    (a,) = bundles.assets("coast", 1)
    held = bundles.container(kind, "Coast", [a])
    bring("first", [a], [held])
    sync_id = bundles.bundle("second", [], [held | {"title": "Shore"}], action="update")
    worker_helpers.queue(panel_db, mount, sync_id)
    admin_db.execute(f"UPDATE asset_{kind} SET title = 'By hand'")
    worker_helpers.drain(worker_conf)
    assert container(admin_db, kind)["title"] == "By hand"
    (row,) = rows(panel_db, sync_id)
    assert row["decision"] == "failed"
    assert row["last_error"] == (
        'changed outside of an import since the plan: title is "By hand", the plan had "Coast";'
        " preflight again, look, queue"
    )


@pytest.mark.parametrize("leader", ["create", "remove"])
def test_a_create_and_a_newer_remove_of_a_new_container_at_once_do_not_miss_each_other(
    admin_db, panel_db, worker_db, bundles, mount, bring, leader, kind
):
    (a,) = bundles.assets("coast", 1)
    bring("assets", [a], [])
    entry = Container(kind, "a" * 64, "Coast", items=(a.asset_hash,))
    older = bundles.bundle("older", [], [], completed_at="2026-03-01T10:00:00Z")
    newer = bundles.bundle("newer", [], [], completed_at="2026-03-02T10:00:00Z")
    services.scan_mount(panel_db, mount, "operator")
    works = {"create": partial(write, older, "create", entry), "remove": partial(write, newer, "remove", entry)}
    follower = Database(worker_db.settings)
    with ThreadPoolExecutor(1) as pool:
        with worker_db.transaction() as tx:
            works.pop(leader)(tx)
            (work,) = works.values()
            other = pool.submit(lambda: (follower.run_transaction(work), follower.close()))
            worker_helpers.wait_for_lock_wait(admin_db)
        other.result()
    assert members(admin_db, kind) == []
    assert [row["deleted_at"] is None for row in admin_db.execute(f"SELECT * FROM asset_{kind}")] == [False]


def write(sync_id: str, action: str, entry: Container, tx) -> None:
    """Import a container as a job of this bundle does."""
    batch = ledger.get_batch(tx, sync_id)
    completed_at = datetime.fromisoformat(batch["manifest_summary"]["completed_at"].removesuffix("Z"))
    pending = containers.open_containers(tx, batch["id"], None, [(0, entry)])
    run = ImportRun(BundleOrder(Order(completed_at, sync_id), batch["id"]))
    ContainerWriter(run, action).write(tx, pending)


# ------------------------------------------------------------------------------------------------- many, and large


def test_five_thousand_galleries_are_written_by_fewer_statements_and_counted_as_they_go(
    admin_db, panel_db, bundles, mount, worker_conf, monkeypatch
):
    monkeypatch.setattr(importer, "EVENT_SECONDS", 0)
    assets = list(bundles.assets("many", 20, derivatives=("icon",), documents=()))
    galleries = [bundles.container("gallery", f"Gallery {n}", assets[n % 10:n % 10 + 3]) for n in range(5000)]
    sync_id = bundles.bundle("many", assets, galleries)
    worker_helpers.queue(panel_db, mount, sync_id)
    before = statements(admin_db)
    worker_helpers.drain(worker_conf)
    sent = statements(admin_db) - before
    assert worker_helpers.batch(panel_db, sync_id)["status"] == "completed"
    assert admin_db.execute("SELECT COUNT(*) AS n FROM asset_gallery_item") == [{"n": 15000}]
    progress = [json.loads(event["payload"]) for event in worker_helpers.events(panel_db, sync_id, "job_progress")]
    done = [payload["containers_done"] for payload in progress if payload.get("containers_done")]
    assert done == sorted(set(done)) and done[-1] == progress[-1]["containers_total"] == 5000
    assert sent < 2500


def statements(admin_db) -> int:
    """Return how many statements the server has received."""
    [row] = admin_db.execute("SHOW GLOBAL STATUS LIKE 'Questions'")
    return int(row["Value"])


class StoppedError(Exception):
    """Ends an import between two transactions."""


@pytest.fixture
def stop_after(worker_db, mount):
    """Claims the next job and ends its import at the checkpoint after this many transactions that wrote containers."""

    def run(transactions: int) -> None:
        claim = worker_helpers.take(worker_db, "a")
        left = iter(range(transactions))
        written = containers.record

        def record(tx, claim, settled):
            if next(left, None) is None:
                raise StoppedError
            written(tx, claim, settled)

        with pytest.MonkeyPatch.context() as patch, pytest.raises(StoppedError):
            patch.setattr(containers, "record", record)
            worker_helpers.import_claimed(worker_db, mount, claim)
        worker_db.run_transaction(job_release.release, claim, "stopped")

    return run


def test_a_job_that_was_stopped_among_its_containers_goes_on_where_it_was(
    admin_db, panel_db, bundles, mount, worker_conf, stop_after, monkeypatch
):
    monkeypatch.setattr(containers, "GROUP_CONTAINERS", 3)
    (a,) = bundles.assets("coast", 1)
    galleries = [bundles.container("gallery", f"Gallery {n}", [a]) for n in range(10)]
    sync_id = bundles.bundle("coast", [a], galleries)
    worker_helpers.queue(panel_db, mount, sync_id)
    stop_after(2)
    assert [row["decision"] for row in rows(panel_db, sync_id)] == ["created"] * 6 + ["will_create"] * 4
    before = admin_db.execute("SELECT * FROM ingest_result WHERE kind = 'gallery' ORDER BY id")
    worker_helpers.drain(worker_conf)
    assert {row["decision"] for row in rows(panel_db, sync_id)} == {"created"}
    after = results(admin_db, sync_id, "gallery")
    assert after[:6] == before and len(after) == 10


def test_a_large_container_is_written_in_steps_and_resumed_at_its_step(
    admin_db, panel_db, bundles, mount, worker_conf, stop_after, monkeypatch, kind
):
    monkeypatch.setattr(containers, "STEP_MEMBERS", 3)
    monkeypatch.setattr(containers, "GROUP_MEMBERS", 2)
    assets = list(bundles.assets("coast", 8, derivatives=("icon",)))
    sync_id = bundles.bundle("coast", assets, [bundles.container(kind, "Coast", assets)])
    worker_helpers.queue(panel_db, mount, sync_id)
    stop_after(2)
    (row,) = rows(panel_db, sync_id)
    assert (row["decision"], row["members_done"], len(members(admin_db, kind))) == ("will_create", 6, 6)
    worker_helpers.drain(worker_conf)
    assert members(admin_db, kind) == placed(*assets)
    (row,) = rows(panel_db, sync_id)
    assert (row["decision"], row["members_done"]) == ("created", 8)
    (result,) = results(admin_db, sync_id, kind)
    assert result["decision"] == "created" and len(came_and_went(admin_db, result["id"])) == 8


@pytest.mark.parametrize("kept", [0, 1])
def test_a_large_container_that_a_remove_empties_in_steps_is_removed_with_its_last_member(
    admin_db, panel_db, bundles, bring, monkeypatch, kind, kept
):
    monkeypatch.setattr(containers, "STEP_MEMBERS", 3)
    monkeypatch.setattr(containers, "GROUP_MEMBERS", 2)
    assets = list(bundles.assets("coast", 8, derivatives=("icon",)))
    held = bundles.container(kind, "Coast", assets)
    bring("coast", assets, [held])
    sync_id = bring("again", [], [held | {"items": held["items"][kept:]}], action="remove")
    assert len(members(admin_db, kind)) == kept
    assert (container(admin_db, kind)["deleted_at"] is None) == bool(kept)
    (result,) = results(admin_db, sync_id, kind)
    assert ("deleted" in json.loads(result["changes"] or "{}")) == (not kept)


def test_a_step_that_the_database_refuses_ends_its_container_alone(
    admin_db, panel_db, bundles, bring, monkeypatch, kind
):
    monkeypatch.setattr(containers, "STEP_MEMBERS", 3)
    monkeypatch.setattr(containers, "GROUP_MEMBERS", 2)
    assets = list(bundles.assets("coast", 8, derivatives=("icon",)))
    large, small = bundles.container(kind, "Large", assets), bundles.container(kind, "Small", assets[:1])
    admin_db.execute(f"ALTER TABLE asset_{kind}_item ADD CONSTRAINT few CHECK (position < 4)")
    try:
        sync_id = bring("coast", assets, [large, small])
    finally:
        admin_db.execute(f"ALTER TABLE asset_{kind}_item DROP CONSTRAINT few")
    refused, written = rows(panel_db, sync_id)
    assert (refused["decision"], written["decision"]) == ("failed", "created")
    assert refused["last_error"].startswith("the database refused it: ")
    assert [each["decision"] for each in results(admin_db, sync_id, kind)] == ["created", "created"]
    assert len(worker_helpers.events(panel_db, sync_id, "container_failed")) == 1


def test_twelve_thousand_members_are_three_steps(admin_db, panel_db, bundles, mount, worker_conf, kind, stop_after):
    sync_id = _wide(admin_db, bundles, kind, 12_000)
    worker_helpers.queue(panel_db, mount, sync_id)
    stop_after(1)
    (row,) = rows(panel_db, sync_id)
    assert (row["members"], row["members_done"]) == (12_000, 5000)
    worker_helpers.drain(worker_conf)
    assert worker_helpers.batch(panel_db, sync_id)["status"] == "completed"
    assert len(members(admin_db, kind)) == 12_000


def _wide(admin_db, bundles, kind: str, count: int) -> str:
    """A bundle with one container of this many assets of the library."""
    admin_db.execute(
        "INSERT INTO asset (asset_type, asset_hash, first_batch_id, last_batch_id)"
        f" SELECT 'photo', SHA2(seq, 256), 1, 1 FROM seq_1_to_{count}"
    )
    hashes = [row["asset_hash"] for row in admin_db.execute("SELECT asset_hash FROM asset ORDER BY id")]
    photo = list(bundles.assets("wide", 1, derivatives=("icon",)))  # a mount without a file counts as away
    return bundles.bundle("wide", photo, [bundles.container(kind, "Wide", []) | {"items": hashes}])
