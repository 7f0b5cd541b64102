"""The quick reading accepts only manifests that the careful one accepts, and reads them alike."""

import json
from unittest.mock import Mock

import msgspec
import pytest
from hypothesis import given, settings, strategies as st

from gpupanel import manifest
from gpupanel.errors import ManifestError
from gpupanel.manifest import whole
from gpupanel.manifest.text import SOME

SYNC_ID = "00000000-0000-4000-8000-000000000001"
MOMENT = "2026-01-31T09:30:00Z"


def derivative(number: int = 0, **facts) -> dict:
    return {"kind": "thumb", "path": f"thumb-{number}.jpg", "bytes": 1, "sha256": f"{number:064x}", "mime_type": "image/jpeg",
            "width": 1, "height": None} | facts


def item(number: int, **facts) -> dict:
    return {"asset_type": "photo", "asset_subtype": None, "asset_hash": f"{number:064x}", "cover_hash": None,
            "path": f"photo/{number}", "title": "At 9:30: a marsh", "mime_type": None, "width": 1, "height": 1, "bytes": 1,
            "duration_seconds": 1.5, "derivatives": [derivative(0), derivative(1)]} | facts


def bundle(items, **facts) -> dict:
    container = {"type": "gallery", "container_hash": "a" * 64, "title": "x:y", "cover_hash": None, "items": ["b" * 64]}
    return {"sync_id": SYNC_ID, "sync_type": "asset", "action": "create", "status": "completed", "source_host": "h:1",
            "created_at": MOMENT, "completed_at": MOMENT, "prior_sync_id": None, "item_count": len(items), "total_bytes": 1,
            "verification": {"passed": True, "total_files": 1}, "items": items, "containers": [container]} | facts


def less(values: dict, *keys: str) -> dict:
    return {key: values[key] for key in values if key not in keys}


def text(value) -> bytes:
    return json.dumps(value).encode()


def carefully(raw: bytes, monkeypatch) -> manifest.Manifest:
    with monkeypatch.context() as patch:
        patch.setattr(whole, "read", lambda *_: None)
        patch.setattr("gpupanel.manifest.text._quickly", Mock(side_effect=ValueError))
        return manifest.parse_manifest(raw, SYNC_ID)


def same(quick: dict, raw: bytes, monkeypatch) -> bool:
    careful = msgspec.to_builtins(carefully(raw, monkeypatch))
    return msgspec.to_builtins(quick) == {name: careful[name] for name in quick}


UNKNOWN = {"camera": "x: [y", "place": {"at": [{"lat": 1.0, "lon": -0.5e3}, None, 9 * 10**30]}}
OPTIONAL = item(0).keys() - {"asset_type", "asset_hash", "path"}
SOUND = [
    bundle([item(n) for n in range(3)]), bundle([]), bundle([item(1)], containers=[]),
    bundle([item(1, path="a/b"), item(2, path="c/d/e")]), bundle([item(1, path=None)], action="remove"),
    bundle([item(1, asset_type="video", asset_subtype="video_simple")], sync_type="video_simple"),
    bundle([item(1), item(1, asset_type="cover", path="x")]),
    *[bundle([item(n, **UNKNOWN) for n in range(count)], **UNKNOWN) for count in (0, 1, SOME, SOME + 1)],
    less(bundle([less(item(1), *OPTIONAL), item(2, **UNKNOWN)]), "prior_sync_id", "containers"),
    bundle([item(1, derivatives=[less(derivative(), "bytes", "sha256")])], containers=[less(bundle([])["containers"][0], "title", "items")]),
]


@pytest.mark.parametrize("sound", SOUND, ids=range(len(SOUND)))
def test_a_manifest_that_breaks_no_rule_is_read_at_once_with_unknown_keys_and_without_optional_ones(sound, monkeypatch):
    for raw in (text(sound), json.dumps(sound, indent="\t", ensure_ascii=False).encode()):
        quick = whole.read(raw, SYNC_ID)
        assert quick is not None and same(quick, raw, monkeypatch)


ITEM = text(item(1))
CLOSER = {
    "a key twice": b'{"title": "x", ' + ITEM[1:],
    "a null before the same key": b'{"title": null, ' + ITEM[1:],
    "a key twice and another one missing": ITEM.replace(b'"mime_type": null', b'"title": null', 1),
    "a key twice and an unknown one": b'{"x": null, "title": "x", ' + ITEM[1:],
    "an unknown key twice": ITEM[:-1] + b', "x": 1, "x": 1}',
    "a number too big in an unknown key": ITEM[:-1] + b', "x": 1e999}',
    "a lone surrogate in an unknown key": ITEM[:-1] + b', "x": ["\\ud800"]}',
    "what is no text in an unknown key": ITEM[:-1] + b', "x": "\xff"}',
    "an escaped colon in an unknown key": ITEM[:-1] + b', "x": "\\u003a", "x": 1}',
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


@pytest.mark.parametrize("case", CLOSER)
def test_whatever_may_be_wrong_with_an_item_is_left_to_the_careful_reading(case):
    raw = text(bundle([item(0), item(2), item(3)])).replace(text(item(3)), CLOSER[case])
    assert CLOSER[case] in raw and whole.read(raw, SYNC_ID) is None


HEADS = {
    "another name": {"sync_id": SYNC_ID.replace("1", "2")}, "a wrong count": {"item_count": 7}, "a bad date": {"created_at": "x"},
    "a date without a time": {"created_at": "2026-01-31"}, "a date of another zone": {"completed_at": "2026-01-31T09:30:00+05:00"},
    "a date with a line break": {"created_at": MOMENT + "\n"}, "a bundle before that is none": {"prior_sync_id": "x"},
    "a date that is none": {"created_at": "2026-02-31T09:30:00Z"}, "no time of completion": {"completed_at": None},
    "a container twice": {"containers": 2 * bundle([])["containers"]},
}


@pytest.mark.parametrize("case", HEADS)
def test_whatever_may_be_wrong_with_the_bundle_is_left_to_the_careful_reading(case):
    assert whole.read(text(bundle([item(1)]) | HEADS[case]), SYNC_ID) is None


ODD = st.sampled_from([
    None, "", "a:b", "\u00e9", 0, 1, -1, 1.0, 1.5, 2**63, True, [], {}, "a" * 64, "A" * 64, "x/y", "photo/2", "video", "cover",
    "video_simple", [derivative()], [derivative(path="a b")], "2026-01-31", "2026-01-31 09:30:00Z", MOMENT + "\n", SYNC_ID.upper(),
])
HEAD = sorted(bundle([]).keys() - {"items"})
# What is put somewhere into the text of a sound manifest.
BYTES = st.sampled_from([
    b'"', b":", b",", b"}", b"]", b"\\", b"\\u003a", b"\\u003A", b"\\/", b"\\ud800", b"\0", b"\xff", b"\xed\xa0\x80",
    b"\xef\xbb\xbf", b'"title": "x", ', b'"x": {"y": 1, "y": 2}, ', b"NaN", b"1e999", b"-", b"0", b".0", b"A", b"a", b".", b"/", b" ",
])


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.sampled_from([*item(0), "unknown"]), ODD, max_size=2), st.sampled_from([*item(0), None]))
def test_what_is_read_at_once_is_read_alike_by_the_careful_reading(changed, dropped):
    odd = item(1) | changed
    odd.pop(dropped, None)
    assert_read_alike(text(bundle([item(0), odd])))


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.sampled_from(HEAD), ODD, min_size=1, max_size=2))
def test_so_is_what_is_said_of_the_bundle(changed):
    assert_read_alike(text(bundle([item(0)], **changed)))


@settings(max_examples=300, deadline=None)
@given(st.sampled_from([{}, UNKNOWN]), st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 3), BYTES), min_size=1, max_size=2))
def test_so_is_what_is_damaged(unknown, damages):
    raw = text(bundle([item(0), item(1, **unknown)]))
    for place, less, more in damages:
        raw = raw[:place] + more + raw[place + less:]
    assert_read_alike(raw)


def assert_read_alike(raw: bytes) -> None:
    with pytest.MonkeyPatch.context() as patch:
        quick = whole.read(raw, SYNC_ID)
        try:
            assert quick is None or same(quick, raw, patch)
        except ManifestError as refused:
            pytest.fail(f"read at once, and refused: {refused.problems}")
