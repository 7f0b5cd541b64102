"""Whatever stands in a manifest, it is parsed or refused, and what is parsed is strict JSON (docs/CONTRACT.md, 4)."""

import json
import math

from hypothesis import given, settings, strategies as st

from gpupanel import manifest
from gpupanel.errors import ManifestError
from gpupanel.manifest import InvalidItem

SYNC_ID = "00000000-0000-4000-8000-000000000001"
A, B = "a" * 64, "B" * 64

FILES = {"kind": ["thumb", "X"], "path": ["t.jpg", "../t"], "sha256": [A, B, "z"], "bytes": [1, 10**30]}
ITEMS = {
    "asset_type": ["photo", "cover", "video", "gif"], "asset_hash": [A, B, "c" * 64, "d" * 63], "cover_hash": [B],
    "asset_subtype": ["video_simple"], "path": ["a", "b", "A", "a/b", "../a", "/", "\ud800", "e\u0301", "\u00e9"],
    "title": ["x", "\U0001f600", "\ud800", ":", "\"a\": 1"],
    "duration_seconds": [1, 0.5, -0.0, -1, float("nan"), float("inf")], "unknown": [1, "\ud800"],
}
BUNDLES = {
    "sync_id": [SYNC_ID], "sync_type": ["asset", "video_simple"], "action": ["create", "remove"],
    "status": ["completed", "x"], "source_host": ["h"], "created_at": ["2026-01-31T09:30:00Z", "2026-02-31T09:30:00Z"],
    "completed_at": ["2026-01-31T09:30:00Z", None], "item_count": [0, 1, 2], "total_bytes": [0, -1, 2.0],
    "prior_sync_id": [None, SYNC_ID],
}
ODD = st.sampled_from([None, True, 0, 1.5, "", "x", [], {}, [1], {"a": 1}])


def objects(usual: dict, **inner):
    """Objects whose values are mostly what they should be, and sometimes anything."""
    members = {key: st.one_of(st.sampled_from(values), st.sampled_from(values), ODD) for key, values in usual.items()}
    required = {key: st.sampled_from(values) for key, values in usual.items()}
    return st.one_of(st.fixed_dictionaries(required | inner), st.fixed_dictionaries({}, optional=members | inner))


def counted(document: dict) -> dict:
    return document | {"item_count": len(document["items"])}


CONTAINERS = objects({"type": ["gallery", "collection"], "container_hash": [A, B], "items": [[], [A], [A, "A" * 64]]})
LISTED = st.lists(objects(ITEMS, derivatives=st.lists(objects(FILES), max_size=2)), max_size=3)
MANIFESTS = objects(
    BUNDLES,
    verification=objects({"passed": [True, False], "total_files": [1]}),
    items=LISTED,
    containers=st.lists(CONTAINERS, max_size=2),
)
HEAD = {key: st.just(values[0]) for key, values in BUNDLES.items()} | {
    "verification": st.just({"passed": True, "total_files": 1})
}
# Each item has a hash of its own, so that these manifests are read; what else is wrong with an item is its own matter.
KNOWN = st.fixed_dictionaries(
    {
        "asset_type": st.sampled_from(["photo", "cover", "video"]),
        "asset_hash": st.sampled_from("0123456789aB").map("{:f<64}".format),
    },
    optional={
        key: st.one_of(st.just(values[0]), st.sampled_from(values), ODD)
        for key, values in ITEMS.items()
        if key not in ("asset_type", "asset_hash", "title", "duration_seconds", "unknown")
    }
    | {"title": st.sampled_from(["\U0001f600:", '"a": 1', 5]), "derivatives": st.lists(objects(FILES), max_size=2)},
)
READABLE = st.fixed_dictionaries(
    HEAD | {"items": st.lists(KNOWN, max_size=4, unique_by=lambda one: one["asset_hash"])}
).map(counted)


def outcome(raw: bytes):
    try:
        return manifest.parse_manifest(raw, SYNC_ID)
    except ManifestError as error:
        return error.problems


def reference_tree(raw: bytes):
    """The manifest as `json` reads it, with the rules of strict JSON; None when it breaks one."""
    def once(pairs):
        if len(dict(pairs)) != len(pairs):
            raise ValueError
        return dict(pairs)

    def finite(digits):
        if digits in ("NaN", "Infinity", "-Infinity") or math.isinf(float(digits)):
            raise ValueError
        return float(digits)

    try:
        tree = json.loads(raw.decode(), object_pairs_hook=once, parse_float=finite, parse_constant=finite)
        json.dumps(tree, ensure_ascii=False).encode()
    except ValueError:
        return None
    return tree


@settings(max_examples=300, deadline=None)
@given(st.booleans().flatmap(lambda readable: READABLE if readable else MANIFESTS), st.booleans())
def test_whatever_is_accepted_is_strict_json_and_problems_can_be_stored(document, ascii_only):
    raw = json.dumps(document, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    found = outcome(raw)
    if not isinstance(found, list):
        tree = reference_tree(raw)
        identities = [(each["asset_type"], each["asset_hash"].lower()) for each in tree["items"]]
        assert [(each.asset_type, each.asset_hash) for each in found.items] == identities
    bad = [] if isinstance(found, list) else [each for each in found.items if isinstance(each, InvalidItem)]
    for problem in found if isinstance(found, list) else [text for each in bad for text in each.problems]:
        problem.encode("utf-8")
        assert ": found " in problem and problem.isprintable()


# What is put somewhere into the text of a valid manifest.
BYTES = st.sampled_from(
    [
        b'"', b":", b",", b"}", b"]", b"{", b"[", b"\\", b"\\u003a", b"\\u003A", b"\\/", b"\\ud800", b"\0", b"\xff",
        b"\xed\xa0\x80", b"\xef\xbb\xbf", b'"title": "x", ', b'"x": {"y": 1, "y": 2}, ', b'"x": ["]", "}", "{["], ',
        b"NaN", b"1e999", b"-", b"0", b".0", b" ",
    ]
)
SOUND = json.dumps({
    "sync_id": SYNC_ID, "sync_type": "asset", "action": "create", "status": "completed", "source_host": "h",
    "created_at": "2026-01-31T09:30:00Z", "completed_at": "2026-01-31T09:30:00Z", "item_count": 2, "total_bytes": 1,
    "verification": {"passed": True, "total_files": 1}, "unknown": {"a": ["x:y", 1.5]},
    "items": [{"asset_type": "photo", "asset_hash": each, "path": each[:3], "title": "t", "derivatives": [
        {"kind": "thumb", "path": "t.jpg", "bytes": 1}]} for each in (A, "c" * 64)],
    "containers": [{"type": "gallery", "container_hash": A, "title": "x", "items": [A]}],
}).encode()


@settings(max_examples=600, deadline=None)
@given(st.lists(st.tuples(st.integers(0, len(SOUND)), st.integers(0, 3), BYTES), min_size=1, max_size=2))
def test_a_damaged_manifest_is_refused_exactly_when_it_is_no_strict_json(damages):
    raw = SOUND
    for place, less, more in damages:
        raw = raw[:place] + more + raw[place + less:]
    found, tree = outcome(raw), reference_tree(raw)
    if not isinstance(found, list):
        assert tree is not None and len(found.items) == len(tree["items"])
    elif tree is None:
        text = ("JSON", "UTF-8", "once", "finite number", "surrogate", "an object", "without one")
        assert any(word in problem for problem in found for word in text), found
    else:
        assert not any("expected JSON" in problem or "more than once" in problem for problem in found), found


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_are_refused_or_glimpsed_without_harm(raw):
    assert isinstance(outcome(raw), list)
    assert isinstance(manifest.salvage_fields(raw), dict)
