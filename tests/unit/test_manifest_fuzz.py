"""Whatever stands in a manifest, it is read or refused, and both ways of reading come to the same (docs/CONTRACT.md, 4)."""

import json
from unittest.mock import patch

from hypothesis import given, settings, strategies as st

from gpupanel import manifest
from gpupanel.errors import ManifestError
from gpupanel.manifest import InvalidItem, text

SYNC_ID = "00000000-0000-4000-8000-000000000001"
A, B = "a" * 64, "B" * 64

FILES = {"kind": ["thumb", "X"], "path": ["t.jpg", "../t"], "sha256": [A, B, "z"], "bytes": [1, 10**30]}
ITEMS = {
    "asset_type": ["photo", "cover", "video", "gif"], "asset_hash": [A, B, "c" * 64, "d" * 63], "cover_hash": [B],
    "asset_subtype": ["video_simple"], "path": ["a", "b", "A", "a/b", "../a", "/", "\ud800", "e\u0301", "\u00e9"],
    "title": ["x", "\U0001f600", "\ud800", ":", "\"a\": 1"], "duration_seconds": [1, 0.5, -0.0, -1, float("nan"), float("inf")],
    "unknown": [1, "\ud800"],
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
    {"asset_type": st.sampled_from(["photo", "cover", "video"]), "asset_hash": st.sampled_from("0123456789aB").map("{:f<64}".format)},
    optional={
        key: st.one_of(st.just(values[0]), st.sampled_from(values), ODD)
        for key, values in ITEMS.items()
        if key not in ("asset_type", "asset_hash", "title", "duration_seconds", "unknown")
    }
    | {"title": st.sampled_from(["\U0001f600:", '"a": 1', 5]), "derivatives": st.lists(objects(FILES), max_size=2)},
)
READABLE = st.fixed_dictionaries(HEAD | {"items": st.lists(KNOWN, max_size=4, unique_by=lambda one: one["asset_hash"])}).map(counted)


def outcome(raw: bytes):
    try:
        return manifest.parse_manifest(raw, SYNC_ID)
    except ManifestError as error:
        return error.problems


@settings(max_examples=300, deadline=None)
@given(st.booleans().flatmap(lambda readable: READABLE if readable else MANIFESTS), st.booleans())
def test_the_quick_and_the_careful_way_end_alike_with_problems_that_can_be_stored(document, ascii_only):
    raw = json.dumps(document, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    found = outcome(raw)
    with patch.object(text, "_quickly", side_effect=ValueError):
        assert outcome(raw) == found
    bad = [] if isinstance(found, list) else [each for each in found.items if isinstance(each, InvalidItem)]
    for problem in found if isinstance(found, list) else [text for each in bad for text in each.problems]:
        problem.encode("utf-8")
        assert ": found " in problem and problem.isprintable()


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_are_refused_or_glimpsed_without_harm(raw):
    assert isinstance(outcome(raw), list)
    assert isinstance(manifest.salvage_fields(raw), dict)
