"""Digests differ where an approval would bind something else, and nowhere else."""

import pytest

from bundle_strategies import COVERS, group, photo
from gpupanel import digests
from gpupanel.digests import ABSENT, asset_digest, container_digest, item_digest, library_container_digest

ITEM = photo(title="Küste", cover=COVERS[0], files={"s.jpg": 1, "m.jpg": 2})
FIELDS = dict.fromkeys(digests.FIELDS)
FILE = dict.fromkeys(digests.DERIVATIVE_VALUES)


def changed(item, **values):
    known = {name: getattr(item, name) for name in item.__struct_fields__}
    return type(item)(**known | values)


@pytest.mark.parametrize(("name", "value"), [
    ("title", "Kueste"), ("title", None), ("title", ""), ("path", "items/9"), ("cover_hash", None),
    ("cover_hash", COVERS[1]), ("asset_subtype", "video_simple"), ("mime_type", "x"), ("width", 0), ("height", 1),
    ("bytes", 2**62), ("duration_seconds", 2.5), ("asset_type", "cover"), ("asset_hash", "9" * 64),
    ("derivatives", ITEM.derivatives[:1]),
    ("derivatives", (changed(ITEM.derivatives[0], sha256="0" * 64), ITEM.derivatives[1])),
])
def test_an_item_with_another_value_has_another_digest(name, value):
    assert item_digest(changed(ITEM, **{name: value})) != item_digest(ITEM)


def test_the_order_of_derivatives_and_those_that_are_never_persisted_do_not_count():
    frosted = changed(ITEM.derivatives[0], kind="frosted")
    same = changed(ITEM, derivatives=(*reversed(ITEM.derivatives), frosted))
    assert item_digest(same) == item_digest(ITEM)


def test_two_derivatives_of_one_name_can_be_told_from_one():
    twice = changed(ITEM, derivatives=(*ITEM.derivatives, changed(ITEM.derivatives[0], bytes=None)))
    assert item_digest(twice) != item_digest(ITEM)


def test_sizes_near_each_other_differ_however_large():
    assert item_digest(changed(ITEM, bytes=2**60)) != item_digest(changed(ITEM, bytes=2**60 + 1))


def test_the_members_of_a_container_count_in_their_order():
    assert container_digest(group(0, 0, 1)) != container_digest(group(0, 1, 0))
    assert container_digest(group(0, 0)) != container_digest(group(0, 0, title="other"))
    assert container_digest(group(0, 0)) != container_digest(group(1, 0))


def test_an_asset_as_the_library_has_it():
    known = asset_digest(FIELDS, False, {("thumb", "s.jpg"): FILE})
    others = [
        asset_digest(FIELDS, True, {("thumb", "s.jpg"): FILE}), asset_digest(FIELDS, False, {}),
        asset_digest(FIELDS | {"title": "x"}, False, {("thumb", "s.jpg"): FILE}),
        asset_digest(FIELDS, False, {("thumb", "s.jpg"): FILE | {"bytes": 1}}), ABSENT,
    ]
    assert len({known, *others}) == 6
    assert asset_digest(FIELDS | {"duration_seconds": 2}, False, {}) == asset_digest(
        FIELDS | {"duration_seconds": 2.0}, False, {}
    )


def test_a_container_as_the_library_has_it():
    assert (
        len(
            {library_container_digest(*each) for each in (("g", None, False), ("g", None, True), ("h", None, False))}
            | {ABSENT}
        )
        == 4
    )
