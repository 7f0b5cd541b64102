"""The reference fold: each rule of upstream's order, and the same library for any order of arrival.

MODEL_EXAMPLES says how many worlds are folded, 100 unless told otherwise.
"""

import dataclasses
import os

import pytest
from bundle_strategies import ASSETS, CONTAINERS, COVERS, START, group, handover, photo, promised, sync_id, worlds
from hypothesis import given, settings

from gpupanel.reference_fold import (
    MICROSECOND, BundleImport, Documents, Library, import_container, import_item, orders_of_times, promise_of,
)
from whole_fold import Handover, fold, orders

EXAMPLES = int(os.environ.get("MODEL_EXAMPLES", "100"))
A, B, _ = ASSETS
GALLERY = CONTAINERS[0]


def library_of(handovers: list[Handover], *arrivals: int):
    return fold(handovers, [sync_id(number) for number in arrivals] if arrivals else None)


def title(library, key=A):
    return library.assets[key].fields["title"]


def members(library) -> list[str]:
    container = library.containers[GALLERY]
    live = [(each.position, asset_hash) for asset_hash, each in container.members.items() if not each.removed]
    return [asset_hash for _, asset_hash in sorted(live)]


W0 = handover(0, "create", photo(title="W0"))
W1 = handover(1, "update", photo(title="W1"), prior=0)
W2 = handover(2, "update", photo(title="W2"), prior=1)


# ------------------------------------------------------------------------------------------------------- order


def test_the_order_is_by_completion_then_by_sync_id():
    assert sorted(orders([W2, W0, W1]).values()) == [orders([W0, W1, W2])[sync_id(number)] for number in (0, 1, 2)]
    twins = orders([handover(8, "update", at=1), handover(9, "update", at=1)])
    assert twins[sync_id(8)] < twins[sync_id(9)]


def test_a_bundle_follows_its_prior_by_a_microsecond_where_clocks_disagree():
    order_of = orders(
        [handover(0, "create", at=50), handover(1, "update", at=3, prior=0), handover(2, "update", at=4, prior=1)]
    )
    gaps = [(order_of[sync_id(n)].source_at - order_of[sync_id(0)].source_at).microseconds for n in (1, 2)]
    assert gaps == [1, 2]


def test_a_prior_that_is_not_known_counts_for_nothing():
    assert orders([W1])[sync_id(1)] == orders([W0, W1])[sync_id(1)]


@pytest.mark.parametrize("length", [1, 2, 3])
def test_a_bundle_that_is_its_own_prior_is_refused(length):
    ring = [handover(number, "update", prior=(number + 1) % length) for number in range(length)]
    with pytest.raises(ValueError, match="is its own prior"):
        orders(ring)


# ------------------------------------------------------------------------------------------------------- assets


def test_p1_an_older_update_that_is_imported_last_writes_no_field():
    library = library_of([W0, W1, W2], 0, 2, 1)
    assert title(library) == "W2" and library.assets[A].say.sync_id == sync_id(2)


def test_p2_an_update_that_is_imported_again_after_a_newer_one_changes_nothing():
    assert library_of([W0, W1, W2], 0, 1, 2, 1) == library_of([W0, W1, W2])


def test_an_update_that_comes_first_creates_the_asset_and_the_create_keeps_its_fields():
    assert title(library_of([W0, W1], 1, 0)) == "W1"


def test_a_create_never_overwrites_and_has_its_say():
    late = handover(5, "create", photo(title="late", cover=COVERS[0]))
    library = library_of([W0, late])
    assert title(library) == "W0" and library.assets[A].say.sync_id == sync_id(5)
    assert library.assets[A].covers == {COVERS[0]}


def test_of_two_creates_the_first_that_arrived_keeps_its_fields():
    late = handover(5, "create", photo(title="late"))
    assert [title(library_of([W0, late], *arrivals)) for arrivals in ((0, 5), (5, 0))] == ["W0", "late"]


def test_a_remove_deletes_softly_and_a_newer_bundle_restores():
    remove = handover(5, "remove", photo())
    assert library_of([W0, remove]).assets[A].deleted
    for action in ("create", "update"):
        library = library_of([W0, remove, handover(6, action, photo(title="back"))])
        assert not library.assets[A].deleted and title(library) == "back"


def test_a_remove_that_is_older_than_the_latest_say_deletes_nothing():
    library = library_of([W0, W2, handover(1, "remove", photo())], 0, 2, 1)
    assert not library.assets[A].deleted


def test_a_remove_that_finds_no_asset_leaves_a_tombstone_that_stops_older_bundles_alone():
    remove = handover(5, "remove", photo())
    assert library_of([W0, remove], 5, 0).assets == {}
    assert title(library_of([remove, handover(6, "create", photo(title="new"))], 5, 6)) == "new"


def test_an_older_bundle_adds_the_parts_that_a_live_asset_lacks():
    old = handover(0, "create", photo(title="old", cover=COVERS[0], files={"s.jpg": 1, "m.jpg": 1}),
                   documents={0: Documents("s0", frozenset({("meaning", "x")}))})
    new = handover(1, "update", photo(title="new", cover=COVERS[1], files={"s.jpg": 2}),
                   documents={0: Documents("s1", frozenset({("meaning", "y")}))})
    asset = library_of([old, new], 1, 0).assets[A]
    assert (asset.fields["title"], asset.source) == ("new", "s1")
    assert asset.covers == set(COVERS) and asset.analyses == {("meaning", "x"), ("meaning", "y")}
    assert {path: each.values[0] for (_, path), each in asset.derivatives.items()} == {"s.jpg": 2, "m.jpg": 1}


def test_a_derivative_that_only_older_updates_named_is_written_by_the_latest_of_these():
    updates = [handover(n, "update", photo(files={"s.jpg": n} if n != 3 else {})) for n in (1, 2, 3)]
    [derivative] = library_of(updates, 1, 3, 2).assets[A].derivatives.values()
    assert derivative.values[0] == 2


def test_derivatives_that_are_never_persisted_are_no_part_of_the_library():
    item = photo(files={"s.jpg": 1})
    frosted = [type(derivative)("frosted", derivative.path, derivative.bytes) for derivative in item.derivatives]
    item = type(item)(item.asset_type, item.asset_hash, path=item.path, derivatives=tuple(frosted))
    assert library_of([handover(0, "create", item)]).assets[A].derivatives == {}


# --------------------------------------------------------------------------------------------------- containers

BOTH = (photo(0), photo(1))


def test_members_are_in_the_order_of_the_latest_update():
    made = handover(0, "create", *BOTH, group(0, 0, 1))
    turned = handover(1, "update", group(0, 1, 0, title="turned"))
    for arrivals in ((0, 1), (1, 0)):
        library = library_of([made, turned], *arrivals)
        assert members(library) == [B[1], A[1]] and library.containers[GALLERY].title == "turned"


def test_membership_is_additive():
    made, more = handover(0, "create", *BOTH, group(0, 0)), handover(1, "update", group(0, 1))
    assert set(members(library_of([made, more]))) == {A[1], B[1]}


def test_a_member_that_was_taken_out_is_not_brought_back_by_an_older_bundle():
    made, out = handover(0, "create", *BOTH, group(0, 0, 1)), handover(1, "remove", group(0, 1))
    for arrivals in ((0, 1), (1, 0), (0, 1, 0), (1, 0, 0)):
        assert members(library_of([made, out], *arrivals)) == [A[1]]


def test_an_older_remove_takes_out_a_member_that_no_later_bundle_named():
    made = handover(0, "create", *BOTH, group(0, 0, 1))
    first, second = handover(1, "remove", group(0, 0)), handover(2, "remove", group(0, 1))
    assert members(library_of([made, first, second], 0, 2, 1)) == []


def test_a_container_goes_with_its_last_member_and_comes_back_with_a_newer_one():
    made, out = handover(0, "create", *BOTH, group(0, 0)), handover(1, "remove", group(0, 0))
    assert library_of([made, out]).containers[GALLERY].deleted
    library = library_of([made, out, handover(2, "create", group(0, 1, title="back"))])
    assert not library.containers[GALLERY].deleted and library.containers[GALLERY].title == "back"


def test_a_create_that_lists_a_live_member_has_its_say_about_it():
    made, again = handover(0, "create", *BOTH, group(0, 0)), handover(2, "create", group(0, 0))
    assert members(library_of([made, handover(1, "remove", group(0, 0)), again], 0, 2, 1)) == [A[1]]


def test_an_empty_list_removes_nothing():
    made = handover(0, "create", *BOTH, group(0, 0))
    assert members(library_of([made, handover(1, "remove", group(0))])) == [A[1]]


def test_a_member_that_is_not_in_the_library_yet_is_linked_by_a_retry():
    filled, brought = handover(0, "create", group(0, 0)), handover(1, "create", photo(0))
    assert members(library_of([filled, brought], 0, 1)) == [A[1]]


# ------------------------------------------------------------------------------- orders, overrides and promises


def test_only_the_bundles_of_a_ring_have_no_place_and_those_after_it_keep_their_own_time():
    times = {sync_id(n): (START + n * MICROSECOND, sync_id(prior)) for n, prior in ((0, 1), (1, 0), (2, 1), (3, 2))}
    order_of, ringed = orders_of_times(times)
    assert ringed == {sync_id(0), sync_id(1)}
    assert {key: order.source_at - START for key, order in order_of.items()} == {
        sync_id(2): 2 * MICROSECOND, sync_id(3): 3 * MICROSECOND,
    }


def test_a_long_chain_of_priors_is_placed_in_one_walk():
    times = {sync_id(n): (START, sync_id(n - 1) if n else None) for n in reversed(range(20_000))}
    assert orders_of_times(times)[0][sync_id(19_999)].source_at == START + 19_999 * MICROSECOND


def test_an_override_decides_just_after_the_newer_bundle_and_stays_when_it_is_imported_again():
    older = dataclasses.replace(handover(0, "update", photo(title="old")), overrides={A})
    newer, newest = handover(1, "update", photo(title="new")), handover(2, "update", photo(title="newest"))
    library = library_of([older, newer, newest], 1, 0)
    assert title(library) == "old" and library.assets[A].say.source_at > orders([newer])[sync_id(1)].source_at
    assert title(library_of([older, newer, newest], 1, 0, 1, 0)) == "old"
    assert title(library_of([older, newer, newest], 1, 0, 2)) == "newest"


def test_an_override_brings_back_what_a_newer_bundle_removed():
    older = dataclasses.replace(handover(0, "create", photo(), group(0, 0)), overrides={A, GALLERY})
    newer = handover(1, "remove", photo(), group(0, 0))
    library = library_of([older, newer], 1, 0)
    assert not library.assets[A].deleted and members(library) == [A[1]]


@pytest.mark.parametrize("actions, promise", [
    (("create", "update"), (True, True)), (("update", "create"), (False, True)), (("create", "create"), (False, True)),
    (("remove", "create"), (True, False)), (("create", "remove", "create"), (False, False)), ((), (True, True)),
])
def test_a_second_create_and_a_removal_leave_something_to_the_order_of_arrival(actions, promise):
    assert promise_of(actions) == promise


@settings(max_examples=EXAMPLES, deadline=None)
@given(worlds())
def test_entries_that_are_folded_one_by_one_end_as_whole_bundles_do(world):
    """What forecast and reconciliation rely on: containers need to know only which assets are live."""
    order_of, library = orders(world.handovers), Library()
    bundles = sorted(world.handovers, key=lambda each: order_of[each.manifest.sync_id])
    places = [(each.manifest, each.documents, order_of[each.manifest.sync_id]) for each in bundles]
    for key in ASSETS:
        for manifest, documents, order in places:
            for item in manifest.items:
                if (item.asset_type, item.asset_hash) == key:
                    import_item(library, item, BundleImport(manifest.action, order), documents[key])
    library.live = {key[1] for key, asset in library.assets.items() if not asset.deleted}
    for key in CONTAINERS:
        for manifest, _, order in places:
            for container in manifest.containers:
                if (container.type, container.container_hash) == key:
                    import_container(library, container, BundleImport(manifest.action, order))
    assert promised(library, world.handovers) == promised(fold(world.handovers), world.handovers)


# ------------------------------------------------------------------------------------------------- the property


@settings(max_examples=EXAMPLES, deadline=None)
@given(worlds())
def test_any_order_of_arrival_with_repeats_ends_in_the_library_of_upstreams_order(world):
    assert promised(fold(world.handovers, world.arrivals), world.handovers) == promised(
        fold(world.handovers), world.handovers
    )


@settings(max_examples=EXAMPLES, deadline=None)
@given(worlds())
def test_importing_all_bundles_again_in_upstreams_order_changes_nothing_that_is_promised(world):
    once = fold(world.handovers)
    order_of = orders(world.handovers)
    twice = sorted(world.sync_ids, key=order_of.__getitem__) * 2
    assert promised(fold(world.handovers, twice), world.handovers) == promised(once, world.handovers)


def test_the_library_is_made_of_plain_values():
    assert dataclasses.asdict(library_of([W0, W1]))["assets"][A]["fields"]["title"] == "W1"
