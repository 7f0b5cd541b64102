"""The position of a bundle in upstream's order, and the latest say of rows that other programs wrote."""

import dataclasses
import json
from datetime import datetime, timedelta

import bundle_strategies
import pytest
from bundle_strategies import handover, sync_id, time, worlds
from constants import empty
from gpupanel import library_reader, order
from gpupanel.errors import OrderError
from gpupanel.manifest import Item
from gpupanel.order import Order, Say
from whole_fold import orders
from hypothesis import HealthCheck, given, settings

START, MINUTE, MICROSECOND = bundle_strategies.START, timedelta(minutes=1), timedelta(microseconds=1)
DISCOVERED = datetime(2026, 4, 20)


@pytest.fixture
def record(admin_db):
    """Records the batch of a bundle as a scan does, or with an order; returns its id."""

    def record(number, prior=None, *, at=None, summary=True, **columns):
        facts = {"completed_at": time(number if at is None else at), "prior_sync_id": prior and sync_id(prior)}
        values = {
            "sync_id": sync_id(number), "prior_sync_id": prior and sync_id(prior), "discovered_at": DISCOVERED,
            "manifest_summary": json.dumps(facts) if summary else None,
        } | columns
        names = ", ".join(values)
        admin_db.execute(
            f"INSERT INTO ingest_batch ({names}) VALUES ({', '.join(f'%({name})s' for name in values)})", **values
        )
        return admin_db.execute("SELECT id FROM ingest_batch WHERE sync_id = %(it)s", it=values["sync_id"])[0]["id"]

    return record


def source_at(db, number, *, prior=None, at=None, completed_at=None):
    manifest = handover(number, "update", prior=prior, at=at).manifest
    if completed_at:
        manifest = dataclasses.replace(manifest, completed_at=completed_at)
    return db.run_read(order.source_at, manifest.sync_id, manifest)


def test_a_bundle_stands_where_upstream_completed_it(panel_db, record):
    record(5)
    assert source_at(panel_db, 5) == START + 5 * MINUTE


def test_a_bundle_follows_its_prior_even_if_upstream_completed_it_earlier(panel_db, record):
    record(1, source_at=START + 9 * MINUTE)
    record(2, 1)
    assert source_at(panel_db, 2, prior=1) == START + 9 * MINUTE + MICROSECOND
    assert source_at(panel_db, 12, prior=1) == START + 12 * MINUTE


def test_an_unknown_prior_moves_nothing(panel_db, record):
    record(2, 1)
    assert source_at(panel_db, 2, prior=1) == START + 2 * MINUTE


def test_priors_that_no_preflight_has_planned_count_by_their_manifests(panel_db, record):
    record(1, at=50)
    record(2, 1)
    record(3, 2, prior_sync_id=None)  # as 0.1.0 left it: the summary alone names the prior
    record(4, 3)
    assert source_at(panel_db, 4, prior=3) == START + 50 * MINUTE + 3 * MICROSECOND


def test_a_prior_whose_manifest_was_never_read_counts_by_its_discovery(panel_db, record):
    record(1, summary=False)
    record(2, 1)
    assert source_at(panel_db, 2, prior=1) == DISCOVERED + MICROSECOND


@pytest.mark.parametrize("length", [1, 2, 3])
def test_a_bundle_that_is_its_own_prior_is_refused(panel_db, record, length):
    for number in range(1, length + 1):
        record(number, number % length + 1, source_at=START if number % 2 == 0 else None)
    with pytest.raises(OrderError) as refused:
        source_at(panel_db, 1, prior=1 % length + 1)
    assert "is its own prior" in refused.value.problems[0] and sync_id(length) in refused.value.problems[0]


def test_a_bundle_after_a_cycle_of_others_is_not_refused_for_it(panel_db, record):
    record(1, 2)
    record(2, 1)
    record(3, 2)
    assert source_at(panel_db, 3, prior=2) >= START + 3 * MINUTE


def test_a_bundle_from_the_future_is_refused(panel_db, admin_db):
    [row] = admin_db.execute("SELECT NOW(6) AS now")
    day = timedelta(hours=24)
    for ahead, is_refused in ((day - timedelta(minutes=5), False), (day + timedelta(minutes=5), True)):
        completed_at = f"{(row['now'] + ahead).isoformat(timespec='seconds')}Z"
        if is_refused:
            with pytest.raises(OrderError) as refused:
                source_at(panel_db, 1, completed_at=completed_at)
            assert completed_at in refused.value.problems[0] and "24 hours" in refused.value.problems[0]
        else:
            source_at(panel_db, 1, completed_at=completed_at)


def test_a_prior_from_the_end_of_time_moves_no_bundle_there(panel_db, record):
    facts = json.dumps({"completed_at": "9999-12-31T23:59:59.999999Z"})
    record(1, manifest_summary=facts)
    record(2, 1)
    assert source_at(panel_db, 2, prior=1) < datetime(9999, 1, 1)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(worlds())
def test_it_is_the_order_of_the_reference_fold_in_whatever_order_bundles_are_preflighted(admin_db, record, world):
    empty(admin_db)
    manifests = {each.manifest.sync_id: each.manifest for each in world.handovers}
    for manifest in manifests.values():
        prior = int(manifest.prior_sync_id[-12:]) if manifest.prior_sync_id else None
        summary = json.dumps({"completed_at": manifest.completed_at, "prior_sync_id": manifest.prior_sync_id})
        record(int(manifest.sync_id[-12:]), manifest_summary=summary, prior_sync_id=sync_id(prior) if prior else None)
    expected = orders(world.handovers)
    for each in dict.fromkeys(world.arrivals):
        found = admin_db.run_read(order.source_at, each, manifests[each])
        assert Order(found, each) == expected[each]
        admin_db.execute("UPDATE ingest_batch SET source_at = %(it)s WHERE sync_id = %(each)s", it=found, each=each)


# ------------------------------------------------------------------------------------------- the latest say of a row


def say(admin_db, **columns):
    columns |= {"asset_type": "photo", "asset_hash": "a" * 64}
    names = ", ".join(columns)
    admin_db.execute(f"INSERT INTO asset ({names}) VALUES ({', '.join(f'%({name})s' for name in columns)})", **columns)
    found = admin_db.run_read(library_reader.existing_assets, [Item("photo", "a" * 64)])
    return found["photo", "a" * 64].say


def test_a_row_that_an_import_wrote_keeps_the_order_of_its_time(admin_db, record):
    batch_id = record(1, source_at=START + 99 * MINUTE)
    found = say(admin_db, source_at=START, source_batch_id=batch_id, last_batch_id=batch_id)
    assert found == Say(Order(START, sync_id(1)), batch_id)


def test_a_row_that_another_program_wrote_later_has_the_order_of_its_batch(admin_db, record):
    ours, theirs = record(1, source_at=START), record(2, at=7)
    found = say(admin_db, source_at=START, source_batch_id=ours, last_batch_id=theirs)
    assert found == Say(Order(START + 7 * MINUTE, sync_id(2)), theirs)


def test_the_batch_of_another_program_follows_its_priors(admin_db, record):
    record(1, at=60)
    theirs = record(2, 1, prior_sync_id=None)
    assert say(admin_db, last_batch_id=theirs) == Say(Order(START + 60 * MINUTE + MICROSECOND, sync_id(2)), theirs)


@pytest.mark.parametrize("columns", [{}, {"last_batch_id": 12345}])
def test_a_row_of_no_known_batch_is_older_than_every_bundle(admin_db, columns):
    assert say(admin_db, **columns) is None


def test_tombstones_name_the_removal_and_are_found_by_kind(admin_db, record):
    batch_id = record(1)
    for kind in ("photo", "gallery"):
        admin_db.execute(
            "INSERT INTO ingest_tombstone (kind, hash, source_at, batch_id) VALUES (%(kind)s, %(it)s, %(at)s, %(by)s)",
            kind=kind, it="a" * 64, at=START, by=batch_id,
        )
    keys = [("photo", "a" * 64), ("video", "a" * 64)]
    expected = {("photo", "a" * 64): Say(Order(START, sync_id(1)), batch_id)}
    assert admin_db.run_read(order.tombstones, keys) == expected
    assert admin_db.run_transaction(lambda tx: order.tombstones(tx, keys, lock=True)) == expected
