"""The decision tables of docs/CONTRACT.md, 5, and of upstream's order, row by row."""

from dataclasses import replace
from datetime import datetime

import pytest
from gpupanel import library_reader
from gpupanel.container_reader import ExistingContainer, MemberSummary
from gpupanel.decision import decide, decide_container
from gpupanel.library_reader import ExistingAsset
from gpupanel.manifest import Container, Derivative, Item
from gpupanel.models import Decision
from gpupanel.order import BundleOrder, Order, Say

ACTIONS = ("create", "update", "remove")
COVER = "c" * 64
GALLERY = ("gallery", "9" * 64)
BATCH = "37e428d2-a4f6-4a31-bacf-0c835fb24084"


def item(**changed) -> Item:
    thumb = Derivative("thumb", "thumb.jpg", 10, "d" * 64, "image/jpeg", 4, 3)
    facts = dict(asset_type="photo", asset_hash="a" * 64, path="a/b", title="Lake", derivatives=(thumb,))
    return Item(**facts | changed)


def say(day: int, batch_id: int = 1) -> Say:
    return Say(Order(datetime(2026, 4, day), f"{day:08d}-0000-0000-0000-000000000000"), batch_id)


BUNDLE = BundleOrder(say(10).order, 2)
NEWER, OLDER = say(11), say(9)


def existing(of: Item, *, removed=False, covers=(), containers=(), by=OLDER, derivatives_by=None, members=None):
    derivatives = {(d.kind, d.path): {f: getattr(d, f) for f in library_reader.DERIVATIVE_FIELDS} for d in of.persisted}
    return ExistingAsset(
        12, removed, {field: getattr(of, field) for field in library_reader.FIELDS}, BATCH,
        {cover: 1 for cover in covers}, frozenset(containers), derivatives, by,
        {file: derivatives_by or by for file in derivatives}, members or {},
    )


SAME, OTHER = item(), item(title="Sea")
WITH_COVER = item(cover_hash=COVER)
LINKED = existing(SAME, covers=[COVER], containers=[GALLERY])

TABLE = [
    # what the library has, the item, containers that list it, create, update, remove
    (None, SAME, set(), "will_create", "will_create", "will_skip"),
    (existing(OTHER), SAME, set(), "will_skip", "will_update", "will_remove"),
    (existing(OTHER), WITH_COVER, set(), "will_link", "will_update", "will_remove"),
    (existing(SAME), WITH_COVER, set(), "will_link", "will_link", "will_remove"),
    (existing(SAME), SAME, {GALLERY}, "will_link", "will_link", "will_remove"),
    (existing(SAME), SAME, set(), "will_skip", "will_skip", "will_remove"),
    (LINKED, WITH_COVER, {GALLERY}, "will_skip", "will_skip", "will_remove"),
    (existing(SAME, removed=True), SAME, set(), "will_update", "will_update", "will_skip"),
    (existing(OTHER, removed=True), SAME, set(), "will_update", "will_update", "will_skip"),
]


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("row", range(len(TABLE)))
def test_the_decision_table(row, action):
    known, wanted, containers, *expected = TABLE[row]
    decision, reason, _ = decide(action, wanted, known, BUNDLE, containers)
    assert decision == expected[ACTIONS.index(action)]
    assert reason


def test_a_skip_names_the_asset_and_the_batch_that_brought_it():
    _, reason, _ = decide("create", SAME, existing(SAME), BUNDLE)
    assert "asset 12" in reason and BATCH in reason


def test_an_update_lists_the_fields_before_and_after():
    _, reason, changes = decide("update", item(title="Sea", width=5), existing(SAME), BUNDLE)
    assert changes == {"title": ["Lake", "Sea"], "width": [None, 5]}
    assert "title, width" in reason


def test_a_create_that_would_overwrite_says_what_stays():
    decision, reason, _ = decide("create", item(title="Sea"), existing(SAME), BUNDLE)
    assert decision is Decision.WILL_SKIP
    assert "never overwrites" in reason and "title" in reason


def test_a_changed_derivative_is_a_difference():
    other = item(derivatives=(Derivative("thumb", "thumb.jpg", 11, "e" * 64, "image/jpeg", 4, 3),))
    decision, _, changes = decide("update", other, existing(SAME), BUNDLE)
    assert decision is Decision.WILL_UPDATE
    assert changes == {"derivatives": [["thumb thumb.jpg"], ["thumb thumb.jpg"]]}


def test_a_derivative_no_longer_listed_is_no_instruction():
    assert decide("update", item(derivatives=()), existing(SAME), BUNDLE)[0] is Decision.WILL_SKIP


@pytest.mark.parametrize("kind", ["frosted", "blurred", "vivid_blurred"])
def test_derivatives_that_are_never_persisted_make_no_difference(kind):
    veiled = Derivative(kind, "x.jpg", 1, "f" * 64, "image/jpeg", 1, 1)
    other = item(derivatives=(*SAME.derivatives, veiled))
    assert decide("update", other, existing(SAME), BUNDLE)[0] is Decision.WILL_SKIP


# ---------------------------------------------------------------------------------------- upstream's order: items

TWO = item(derivatives=(*SAME.derivatives, Derivative("medium", "medium.jpg", 20, "d" * 64, "image/jpeg", 8, 6)))
RESIZED = item(derivatives=(Derivative("thumb", "thumb.jpg", 11, "e" * 64, "image/jpeg", 4, 3),))
LIVE, GONE = existing(OTHER, by=NEWER), existing(OTHER, by=NEWER, removed=True)

OLDER_TABLE = [
    # what the library has, whose tombstone, the item, containers that list it, create, update, remove
    (None, NEWER, SAME, set(), "will_skip", "will_skip", "will_skip"),
    (None, OLDER, SAME, set(), "will_create", "will_create", "will_skip"),
    (LIVE, None, WITH_COVER, set(), "will_link", "will_link", "will_skip"),
    (LIVE, None, SAME, {GALLERY}, "will_link", "will_link", "will_skip"),
    (LIVE, None, TWO, set(), "will_link", "will_link", "will_skip"),
    (existing(SAME, by=NEWER, derivatives_by=OLDER), None, RESIZED, set(), "will_skip", "will_link", "will_skip"),
    (existing(SAME, by=NEWER, members={GALLERY: NEWER}), None, SAME, {GALLERY}, "will_skip", "will_skip", "will_skip"),
    (existing(SAME, by=NEWER, members={GALLERY: OLDER}), None, SAME, {GALLERY}, "will_link", "will_link", "will_skip"),
    (LIVE, None, SAME, set(), "will_skip", "will_skip", "will_skip"),
    (GONE, None, WITH_COVER, {GALLERY}, "will_skip", "will_skip", "will_skip"),
    (existing(SAME, by=None), None, OTHER, set(), "will_skip", "will_update", "will_remove"),
    (existing(SAME, by=say(11, BUNDLE.batch_id)), None, OTHER, set(), "will_skip", "will_update", "will_remove"),
]


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("row", range(len(OLDER_TABLE)))
def test_an_older_bundle_adds_only_what_is_missing(row, action):
    known, tombstone, wanted, containers, *expected = OLDER_TABLE[row]
    decision, reason, _ = decide(action, wanted, known or tombstone, BUNDLE, containers)
    assert decision == expected[ACTIONS.index(action)]
    is_older = NEWER in (tombstone, known.say if known else None)
    assert ("newer" in reason and NEWER.order.sync_id in reason) is is_older


def test_a_member_that_a_newer_bundle_took_out_is_no_missing_link():
    known = existing(SAME, members={GALLERY: NEWER})
    assert decide("create", SAME, known, BUNDLE, {GALLERY})[0] is Decision.WILL_SKIP
    assert decide("create", SAME, existing(SAME, members={GALLERY: OLDER}), BUNDLE, {GALLERY})[0] is Decision.WILL_LINK


@pytest.mark.parametrize("known, action, decision, changes", [
    (LIVE, "update", "will_update", {"title": ["Sea", "Lake"]}), (LIVE, "remove", "will_remove", None),
    (GONE, "update", "will_update", {"title": ["Sea", "Lake"]}), (None, "update", "will_create", None),
])
def test_although_older_plans_as_if_the_newer_bundle_were_none_and_names_it(known, action, decision, changes):
    override = BUNDLE._replace(although_older=True)
    found, reason, differing = decide(action, SAME, known or NEWER, override)
    assert (found, differing) == (decision, changes)
    assert reason.startswith(f"although older than {NEWER.order.sync_id}")


# ----------------------------------------------------------------------------------- upstream's order: containers

MEMBER = "a" * 64
WANTED = Container("gallery", "9" * 64, "Coast", COVER, (MEMBER,))


def known_container(*, removed=False, title="Coast", by=OLDER, has_members=True):
    return ExistingContainer(7, removed, title, COVER, has_members and not removed, by)


IN, COMES, MOVES = (MemberSummary(total=1, **{name: 1}) for name in ("present", "arriving", "moving"))
STOPPED, LACKING = MemberSummary(total=1, stopped=1), MemberSummary(total=1, missing=[MEMBER], missing_count=1)
WHOLE = MemberSummary(total=1)


def buried(summary, by):
    return replace(summary, tombstone=by)


CONTAINER_TABLE = [
    # what the library has, the members, create, update, remove
    (None, COMES, "will_create", "will_create", "will_skip"),
    (None, LACKING, "will_create", "will_create", "will_skip"),
    (None, buried(STOPPED, NEWER), "will_skip", "will_skip", "will_skip"),
    (None, buried(COMES, NEWER), "will_create", "will_create", "will_skip"),
    (known_container(by=NEWER), COMES, "will_link", "will_link", "will_skip"),
    (known_container(by=NEWER), MOVES, "will_skip", "will_link", "will_skip"),
    (known_container(by=NEWER, title="Sea"), STOPPED, "will_skip", "will_skip", "will_skip"),
    (known_container(by=NEWER), IN, "will_skip", "will_skip", "will_remove"),
    (known_container(title="Sea"), COMES, "will_link", "will_update", "will_skip"),
    (known_container(title="Sea"), IN, "will_skip", "will_update", "will_remove"),
    (known_container(), COMES, "will_link", "will_link", "will_skip"),
    (known_container(), MOVES, "will_skip", "will_link", "will_skip"),
    (known_container(), IN, "will_skip", "will_skip", "will_remove"),
    (known_container(), WHOLE, "will_skip", "will_skip", "will_skip"),
    (known_container(has_members=False), WHOLE, "will_skip", "will_skip", "will_remove"),
    (known_container(), MemberSummary(), "will_skip", "will_skip", "will_skip"),
    (known_container(removed=True), buried(COMES, NEWER), "will_link", "will_link", "will_skip"),
    (known_container(removed=True), buried(STOPPED, NEWER), "will_skip", "will_skip", "will_skip"),
    (known_container(removed=True), buried(COMES, OLDER), "will_update", "will_update", "will_skip"),
    (known_container(removed=True), COMES, "will_update", "will_update", "will_skip"),
]


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("row", range(len(CONTAINER_TABLE)))
def test_the_decision_table_of_containers(row, action):
    known, members, *expected = CONTAINER_TABLE[row]
    decision, reason, _ = decide_container(action, WANTED, known, BUNDLE, members)
    assert decision == expected[ACTIONS.index(action)]
    assert reason


def test_an_older_bundle_of_a_container_names_the_newer_one():
    for known, members in ((known_container(by=NEWER), STOPPED), (None, buried(STOPPED, NEWER))):
        _, reason, _ = decide_container("update", WANTED, known, BUNDLE, members)
        assert "newer" in reason and NEWER.order.sync_id in reason


def test_a_changed_title_is_listed_before_and_after():
    _, reason, changes = decide_container("update", WANTED, known_container(title="Sea"), BUNDLE, WHOLE)
    assert changes == {"title": ["Sea", "Coast"]} and "title" in reason


def test_missing_members_do_not_fail_the_plan_and_are_counted_in_the_reason():
    decision, reason, _ = decide_container("create", WANTED, None, BUNDLE, LACKING)
    assert decision is Decision.WILL_CREATE and "1 of 1 member" in reason


def test_although_older_restores_a_container_that_a_newer_bundle_removed():
    override = BUNDLE._replace(although_older=True)
    found = decide_container("update", WANTED, known_container(removed=True), override, buried(COMES, NEWER))
    assert found[0] is Decision.WILL_UPDATE and found[1].startswith("although older than")


@pytest.mark.parametrize("removed, members, words", [
    (False, MemberSummary(total=2, arriving=2), "lacks 2 members"),
    (False, MemberSummary(total=2, moving=2), "has 2 members in other places"),
    (False, MemberSummary(total=2, arriving=1, moving=1), "lacks 1 member and has 1 member in another place"),
    (True, MemberSummary(total=2, arriving=2), "was removed, and is restored with 2 members"),
    (True, MemberSummary(total=2), "was removed, and is restored"),
])
def test_the_reason_of_a_container_counts_only_members_that_come_or_move(removed, members, words):
    _, reason, _ = decide_container("update", WANTED, known_container(removed=removed), BUNDLE, members)
    assert reason == f"gallery 7 {words}"
