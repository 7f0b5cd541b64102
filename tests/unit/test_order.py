"""Which of two bundles is later in upstream's order (docs/decisions/0111-upstream-order.md)."""

import dataclasses
from datetime import datetime, timedelta

import bundle_strategies
import pytest
from gpupanel import order
from gpupanel.order import BundleOrder, Order, Say

NOON = datetime(2026, 4, 10, 12)
LOW, HIGH = bundle_strategies.sync_id(1), bundle_strategies.sync_id(2)
SECOND = timedelta(seconds=1)


def bundle(time=NOON, sync_id=LOW, batch_id=1, *, although_older=False):
    return BundleOrder(Order(time, sync_id), batch_id, although_older)


@pytest.mark.parametrize("time, sync_id, newer", [
    (NOON + SECOND, LOW, True), (NOON - SECOND, HIGH, False), (NOON, HIGH, True),
])
def test_the_later_time_is_newer_and_of_equal_times_the_greater_sync_id(time, sync_id, newer):
    assert order.is_newer(Say(Order(time, sync_id), 2), bundle()) is newer


def test_no_say_is_older_than_every_bundle():
    assert not order.is_newer(None, bundle(datetime.min))


def test_an_earlier_say_of_the_same_batch_is_never_newer():
    assert not order.is_newer(Say(Order(NOON + SECOND, LOW), 1), bundle())


def test_a_bundle_yields_to_a_newer_one_unless_an_operator_overrode_that():
    newer = Say(Order(NOON + SECOND, HIGH), 2)
    assert order.must_yield(bundle(), newer)
    assert not order.must_yield(bundle(although_older=True), newer)


@pytest.mark.parametrize("text, expected", [
    ("2026-04-10T12:00:00Z", NOON),
    ("2026-04-10T12:00:00.5Z", NOON + timedelta(milliseconds=500)),
    ("2026-04-10T12:00:00.000001999999Z", NOON + timedelta(microseconds=1)),
])
def test_the_time_of_a_manifest_is_cut_to_microseconds(text, expected):
    manifest = bundle_strategies.handover(1, "create").manifest
    assert order.manifest_time(dataclasses.replace(manifest, completed_at=text)) == expected


def test_a_manifest_without_a_completion_counts_by_its_creation():
    manifest = bundle_strategies.handover(1, "create").manifest
    assert order.manifest_time(dataclasses.replace(manifest, completed_at=None)) == bundle_strategies.START


def test_a_member_of_a_gallery_and_of_a_collection_have_tombstones_of_their_own():
    gallery, collection = (order.member_key(kind, "1" * 64, "a" * 64) for kind in ("gallery", "collection"))
    assert (gallery[0], collection[0]) == ("gallery_member", "collection_member")
    assert gallery[1] == collection[1] != order.member_key("gallery", "1" * 64, "b" * 64)[1]
