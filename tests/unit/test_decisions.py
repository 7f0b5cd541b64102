"""The decision table of docs/CONTRACT.md, 5, row by row."""

import pytest

from gpupanel import library_reader
from gpupanel.library_reader import ExistingAsset
from gpupanel.manifest import Derivative, Item
from gpupanel.models import Decision
from gpupanel.decision import decide

COVER = "c" * 64
GALLERY = ("gallery", "9" * 64)
BATCH = "37e428d2-a4f6-4a31-bacf-0c835fb24084"


def item(**changed) -> Item:
    thumb = Derivative("thumb", "thumb.jpg", 10, "d" * 64, "image/jpeg", 4, 3)
    facts = dict(asset_type="photo", asset_hash="a" * 64, path="a/b", title="Lake", derivatives=(thumb,))
    return Item(**facts | changed)


def existing(of: Item, *, removed=False, covers=(), containers=()) -> ExistingAsset:
    return ExistingAsset(
        12, removed, library_reader.fingerprint(of), {field: getattr(of, field) for field in library_reader.FIELDS},
        BATCH, {cover: 1 for cover in covers}, frozenset(containers),
        {(d.kind, d.path): {f: getattr(d, f) for f in library_reader.DERIVATIVE_FIELDS} for d in of.persisted},
    )


SAME, OTHER = item(), item(title="Sea")
WITH_COVER = item(cover_hash=COVER)

TABLE = [
    # what the library has, the item, containers that list it, create, update, remove
    (None, SAME, set(), "will_create", "will_create", "will_skip"),
    (existing(OTHER), SAME, set(), "will_skip", "will_update", "will_remove"),
    (existing(OTHER), WITH_COVER, set(), "will_link", "will_update", "will_remove"),
    (existing(SAME), WITH_COVER, set(), "will_link", "will_link", "will_remove"),
    (existing(SAME), SAME, {GALLERY}, "will_link", "will_link", "will_remove"),
    (existing(SAME), SAME, set(), "will_skip", "will_skip", "will_remove"),
    (
        existing(SAME, covers=[COVER], containers=[GALLERY]), WITH_COVER, {GALLERY}, "will_skip", "will_skip",
        "will_remove",
    ),
    (existing(SAME, removed=True), SAME, set(), "will_update", "will_update", "will_skip"),
    (existing(OTHER, removed=True), SAME, set(), "will_update", "will_update", "will_skip"),
]


@pytest.mark.parametrize("action", ["create", "update", "remove"])
@pytest.mark.parametrize("row", range(len(TABLE)))
def test_the_decision_table(row, action):
    known, wanted, containers, *expected = TABLE[row]
    decision, reason, _ = decide(action, wanted, known, containers)
    assert decision == expected[["create", "update", "remove"].index(action)]
    assert reason


def test_a_skip_names_the_asset_and_the_batch_that_brought_it():
    _, reason, _ = decide("create", SAME, existing(SAME))
    assert "asset 12" in reason and BATCH in reason


def test_an_update_lists_the_fields_before_and_after():
    _, reason, changes = decide("update", item(title="Sea", width=5), existing(SAME))
    assert changes == {"title": ["Lake", "Sea"], "width": [None, 5]}
    assert "title, width" in reason


def test_a_create_that_would_overwrite_says_what_stays():
    decision, reason, _ = decide("create", item(title="Sea"), existing(SAME))
    assert decision is Decision.WILL_SKIP
    assert "never overwrites" in reason and "title" in reason


def test_a_changed_derivative_is_a_difference():
    other = item(derivatives=(Derivative("thumb", "thumb.jpg", 11, "e" * 64, "image/jpeg", 4, 3),))
    decision, _, changes = decide("update", other, existing(SAME))
    assert decision is Decision.WILL_UPDATE
    assert changes == {"derivatives": [["thumb thumb.jpg"], ["thumb thumb.jpg"]]}


def test_a_derivative_no_longer_listed_is_no_instruction():
    assert decide("update", item(derivatives=()), existing(SAME))[0] is Decision.WILL_SKIP


@pytest.mark.parametrize("kind", ["frosted", "blurred", "vivid_blurred"])
def test_derivatives_that_are_never_persisted_make_no_difference(kind):
    veiled = Derivative(kind, "x.jpg", 1, "f" * 64, "image/jpeg", 1, 1)
    assert decide("update", item(derivatives=(*SAME.derivatives, veiled)), existing(SAME))[0] is Decision.WILL_SKIP
