"""Galleries and collections: membership is additive, and only a remove takes members out."""

import json

import pytest
import worker_helpers
from gpupanel.devtools.bundle_factory.deterministic import derive_hash
from gpupanel.errors import DatabaseConflictError
from gpupanel.worker import claims, containers

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
    assert (batch["status"], batch["last_error"]) == ("partial", "incomplete containers: 1")
    (event,) = worker_helpers.events(panel_db, sync_id, "container_failed")
    payload = json.loads(event["payload"])
    assert (payload["missing"], payload["missing_count"], payload["container_type"]) == ([unknown], 1, kind)


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


def test_a_large_container_is_written_in_several_transactions_and_again_without_a_change(
    admin_db, panel_db, bundles, bring, kind, monkeypatch
):
    monkeypatch.setattr(containers, "MEMBERS", 2)
    assets = list(bundles.assets("coast", 7, derivatives=("icon",)))
    held = bundles.container(kind, "Coast", assets)
    bring("coast", assets, [held])
    assert members(admin_db, kind) == placed(*assets)
    before = worker_helpers.rows(admin_db)
    bring("again", assets, [held])
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
    told = [event["event_type"] for event in worker_helpers.events(panel_db, sync_id)]
    assert told[-2:] == ["container_failed", "job_finished"]


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
    assert members(admin_db, kind) and worker_helpers.job(admin_db, job_id)["state"] == "queued"
    worker_helpers.drain(worker_conf)
    told = [event["event_type"] for event in worker_helpers.events(panel_db, sync_id)]
    assert told.count("job_claimed") == 2 and told.count("container_failed") == 1


def unavailable(*args):
    raise DatabaseConflictError
