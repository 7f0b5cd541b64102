"""What a manifest may contain, and what makes it or one of its items invalid, whatever else it contains."""

import json

import pytest

from gpupanel import manifest
from gpupanel.errors import ManifestError

SYNC_ID = "00000000-0000-4000-8000-000000000001"
MOMENT = "2026-01-31T09:30:00Z"


def derivative(number: int = 0, **facts) -> dict:
    return {
        "kind": "thumb", "path": f"thumb-{number}.jpg", "bytes": 1, "sha256": f"{number:064x}",
        "mime_type": "image/jpeg", "width": 1, "height": None,
    } | facts


def item(number: int, **facts) -> dict:
    return {
        "asset_type": "photo", "asset_subtype": None, "asset_hash": f"{number:064x}", "cover_hash": None,
        "path": f"photo/{number}", "title": "At 9:30: a marsh", "mime_type": None, "width": 1, "height": 1, "bytes": 1,
        "duration_seconds": 1.5, "derivatives": [derivative(0), derivative(1)],
    } | facts


def bundle(items, **facts) -> dict:
    container = {"type": "gallery", "container_hash": "a" * 64, "title": "x:y", "cover_hash": None, "items": ["b" * 64]}
    return {
        "sync_id": SYNC_ID, "sync_type": "asset", "action": "create", "status": "completed", "source_host": "h:1",
        "created_at": MOMENT, "completed_at": MOMENT, "prior_sync_id": None, "item_count": len(items), "total_bytes": 1,
        "verification": {"passed": True, "total_files": 1}, "items": items, "containers": [container],
    } | facts


def less(values: dict, *keys: str) -> dict:
    return {key: values[key] for key in values if key not in keys}


def text(value) -> bytes:
    return json.dumps(value).encode()


UNKNOWN = {"camera": "x: [y", "place": {"at": [{"lat": 1.0, "lon": -0.5e3}, None, 9 * 10**30]}}
OPTIONAL = item(0).keys() - {"asset_type", "asset_hash", "path"}
SOUND = [
    bundle([item(n) for n in range(3)]),
    bundle([]),
    bundle([item(1)], containers=[]),
    bundle([item(1, path="a/b"), item(2, path="c/d/e")]),
    bundle([item(1, path=None)], action="remove"),
    bundle([item(1, asset_type="video", asset_subtype="video_simple")], sync_type="video_simple"),
    bundle([item(1), item(1, asset_type="cover", path="x")]),
    *[bundle([item(n, **UNKNOWN) for n in range(count)], **UNKNOWN) for count in (0, 1, 90, 600)],
    less(bundle([less(item(1), *OPTIONAL), item(2, **UNKNOWN)]), "prior_sync_id", "containers"),
    bundle(
        [item(1, derivatives=[less(derivative(), "bytes", "sha256")])],
        containers=[less(bundle([])["containers"][0], "title", "items")],
    ),
]


@pytest.mark.parametrize("sound", SOUND, ids=range(len(SOUND)))
def test_a_valid_manifest_is_parsed_with_unknown_keys_and_without_optional_ones(sound):
    for raw in (text(sound), json.dumps(sound, indent="\t", ensure_ascii=False).encode()):
        items = manifest.parse_manifest(raw, SYNC_ID).items
        assert [each.asset_hash for each in items] == [each["asset_hash"] for each in sound["items"]]
        assert all(isinstance(each, manifest.Item) for each in items)
        assert [each.title for each in items] == [each.get("title") for each in sound["items"]]


ITEM = text(item(1))
INVALID = {
    "a key twice": b'{"title": "x", ' + ITEM[1:],
    "a null before the same key": b'{"title": null, ' + ITEM[1:],
    "a key twice and another one missing": ITEM.replace(b'"mime_type": null', b'"title": null', 1),
    "a key twice and an unknown one": b'{"x": null, "title": "x", ' + ITEM[1:],
    "an unknown key twice": ITEM[:-1] + b', "x": 1, "x": 1}',
    "a number too big in an unknown key": ITEM[:-1] + b', "x": 1e999}',
    "a lone surrogate in an unknown key": ITEM[:-1] + b', "x": ["\\ud800"]}',
    "what is no text in an unknown key": ITEM[:-1] + b', "x": "\xff"}',
    "an escaped colon in a repeated key": ITEM[:-1] + b', "x": "\\u003a", "x": 1}',
    "a key twice inside an unknown one": ITEM[:-1] + b', "x": {"y": 1, "y": 2}}',
    "a key twice in a derivative": ITEM.replace(b'"kind"', b'"kind": "icon", "kind"', 1),
    "deep nesting": ITEM[:-1] + b', "x": ' + b"[" * 70 + b"]" * 70 + b"}",
    "an escaped colon": text(item(1, title="a")).replace(b'"a"', b'"\\u003a"', 1),
    "a lone surrogate": text(item(1, title="a")).replace(b'"a"', b'"\\ud800"', 1),
    "a lone surrogate in a derivative": ITEM.replace(b"image/jpeg", b"\\udc00", 1),
    "an uppercase hash": text(item(1, asset_hash="A" * 64)),
    "a hash with a space": text(item(1, cover_hash=" " * 2 + "a" * 62)),
    "a hash of other digits": text(item(1, cover_hash="\u0661" * 64)),
    "a short hash": text(item(1, derivatives=[derivative(sha256="ab")])),
    "a bad kind": text(item(1, derivatives=[derivative(kind="Thumb")])),
    "no kind": text(item(1, derivatives=[derivative(kind="")])),
    "a bad path": text(item(1, path="a/../b")),
    "a line break in a path": text(item(1, path="a\nb")),
    "a long path": text(item(1, path="a" * 256)),
    "a bad path in a derivative": text(item(1, derivatives=[derivative(path="/etc/passwd")])),
    "a derivative twice": text(item(1, derivatives=[derivative(), derivative()])),
    "no folder": text(item(1, path=None)),
    "a subtype that does not belong": text(item(1, asset_subtype="video_simple")),
    "the folder of another": text(item(1, path="photo/2")),
    "a folder inside another's": text(item(1, path="photo/2/x")),
    "a folder that differs by case": text(item(1, path="PHOTO/2")),
    "the same item again": text(item(2, path="x")),
    "a value out of range": text(item(1, bytes=-1)),
    "a value of another type": text(item(1, width="1")),
}


# What is not wrong.
VALID = {"an escaped colon", "an uppercase hash"}


@pytest.mark.parametrize("case", INVALID)
@pytest.mark.parametrize("others", [2, 300])
def test_whatever_is_wrong_with_an_item_refuses_it_or_the_bundle(case, others):
    items = [item(0), item(2), *map(item, range(4, 4 + others)), item(3)]
    raw = text(bundle(items)).replace(text(item(3)), INVALID[case])
    assert INVALID[case] in raw
    try:
        found = manifest.parse_manifest(raw, SYNC_ID).items
    except ManifestError as error:
        assert case not in VALID and all(": found " in problem for problem in error.problems)
    else:
        assert isinstance(found[-1], manifest.Item) is (case in VALID)
        assert all(isinstance(each, manifest.Item) for each in list(found)[2:-1])


HEADS = {
    "another name": {"sync_id": SYNC_ID.replace("1", "2")}, "a wrong count": {"item_count": 7},
    "a bad date": {"created_at": "x"}, "a date without a time": {"created_at": "2026-01-31"},
    "a date of another zone": {"completed_at": "2026-01-31T09:30:00+05:00"},
    "a date with a line break": {"created_at": MOMENT + "\n"}, "a bundle before that is none": {"prior_sync_id": "x"},
    "a date that is none": {"created_at": "2026-02-31T09:30:00Z"}, "no time of completion": {"completed_at": None},
    "a container twice": {"containers": 2 * bundle([])["containers"]},
}


@pytest.mark.parametrize("case", HEADS)
def test_whatever_is_wrong_with_the_bundle_refuses_it(case):
    with pytest.raises(ManifestError):
        manifest.parse_manifest(text(bundle([item(1)]) | HEADS[case]), SYNC_ID)
