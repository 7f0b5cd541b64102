"""A manifest is parsed, or all problems are reported; an invalid item fails alone (docs/CONTRACT.md, 4)."""

import hashlib
import json
import re
from pathlib import Path

import pytest

from gpupanel import manifest
from gpupanel.config import MountSettings
from gpupanel.errors import ManifestError
from gpupanel.manifest import InvalidItem, Item

SYNC_ID = "00000000-0000-4000-8000-000000000001"
A, B, C = "a" * 64, "b" * 64, "c" * 64


def item(number: int = 0, **changes) -> dict:
    return {"asset_type": "photo", "asset_hash": f"{number:064x}", "path": f"photos/{number}", **changes}


def file(**changes) -> dict:
    return {"kind": "thumb", "path": "derivatives/t.jpg", "bytes": 1, "sha256": A, "mime_type": "image/jpeg",
            "width": 1, "height": 1, **changes}


def bundle(*items, **changes) -> dict:
    items = list(items) or [item()]
    return {
        "sync_id": SYNC_ID, "sync_type": "asset", "action": "create", "status": "completed", "source_host": "gpu-1",
        "created_at": "2026-01-31T09:30:00Z", "completed_at": "2026-01-31T09:31:00.250Z", "prior_sync_id": None,
        "item_count": len(items), "total_bytes": 5, "verification": {"passed": True, "total_files": 4},
        "items": items, "containers": [], **changes,
    }


def read(document: dict) -> manifest.Manifest:
    return manifest.parse_manifest(json.dumps(document).encode(), SYNC_ID)


def refused(document: dict) -> list[str]:
    with pytest.raises(ManifestError) as caught:
        read(document)
    return caught.value.problems


def bad(document: dict, position: int = 0) -> tuple[str, ...]:
    item = read(document).items[position]
    assert isinstance(item, InvalidItem)
    return item.problems


def without(document: dict, key: str) -> dict:
    return {name: value for name, value in document.items() if name != key}


def test_a_sound_manifest_is_read_whole_with_hashes_in_lowercase():
    document = bundle(
        item(
            asset_hash="AB" * 32, cover_hash="CD" * 32, title="Día", duration_seconds=3,
            derivatives=[file(sha256="EF" * 32), file(kind="frosted")],
        ),
        containers=[
            {
                "type": "gallery", "container_hash": "AA" * 32, "title": "G", "cover_hash": "BB" * 32,
                "items": ["CC" * 32],
            }
        ],
    )
    raw = json.dumps(document).encode()
    parsed = manifest.parse_manifest(raw, SYNC_ID)
    [one] = parsed.items
    assert (one.asset_hash, one.cover_hash, one.derivatives[0].sha256) == ("ab" * 32, "cd" * 32, "ef" * 32)
    assert (one.title, one.duration_seconds, one.path) == ("Día", 3.0, "photos/0")
    assert [each.kind for each in one.persisted] == ["thumb"]
    [gallery] = parsed.containers
    assert (gallery.container_hash, gallery.cover_hash, gallery.items) == ("aa" * 32, "bb" * 32, ("cc" * 32,))
    assert parsed.sha256 == manifest.sha256_hex(raw) == hashlib.sha256(raw).hexdigest()


def test_the_summary_has_the_five_facts_in_the_order_of_the_page():
    assert list(read(bundle(prior_sync_id=SYNC_ID)).summary.items()) == [
        ("created_at", "2026-01-31T09:30:00Z"), ("completed_at", "2026-01-31T09:31:00.250Z"),
        ("verification.passed", True), ("verification.total_files", 4), ("prior_sync_id", SYNC_ID),
    ]


def test_items_are_counted_by_type_in_order_of_the_name():
    parsed = read(bundle(item(1), item(2, asset_type="cover"), item(3, path="../x")))
    assert list(parsed.item_type_counts.items()) == [("cover", 1), ("photo", 2)]


def test_unknown_keys_are_ignored_wherever_they_stand():
    document = bundle(item(extra={"deep": [1]}, derivatives=[file(extra=1)]), extra=None, sha256="not ours")
    assert read(document).items == read(bundle(item(derivatives=[file()]))).items


def test_containers_and_prior_sync_id_may_be_missing():
    parsed = read(without(without(bundle(), "containers"), "prior_sync_id"))
    assert (parsed.containers, parsed.prior_sync_id) == ((), None)


@pytest.mark.parametrize(
    "key, value, expected",
    [
        ("sync_id", "00000000-0000-4000-8000-00000000000A", "a lowercase UUID"),
        ("sync_id", "00000000-0000-4000-8000-000000000001\n", "a lowercase UUID"),
        ("sync_id", "00000000-0000-4000-8000-000000000002", f'"{SYNC_ID}", as the file is named'),
        ("sync_type", "assets", "asset, gallery, collection or video_simple"),
        ("action", "delete", "create, update or remove"),
        ("action", None, "create, update or remove"),
        ("status", 1, "text of up to 255 characters"),
        ("source_host", "", "text of 1 to 255 characters"),
        ("source_host", "x" * 256, "text of 1 to 255 characters"),
        ("created_at", "2026-01-31 09:30:00", "a UTC time such as 2026-01-31T09:30:00Z"),
        ("created_at", "2026-01-31T09:30:00+00:00", "a UTC time such as 2026-01-31T09:30:00Z"),
        ("created_at", "٢٠٢٦-01-31T09:30:00Z", "a UTC time such as 2026-01-31T09:30:00Z"),
        ("created_at", "2026-02-30T09:30:00Z", "a date and time that exist"),
        ("completed_at", "2026-01-31T25:00:00Z", "a date and time that exist"),
        ("completed_at", None, "the time when status became completed"),
        ("prior_sync_id", "none", "null or a lowercase UUID"),
        ("item_count", 2, "1, as many as there are items"),
        ("item_count", -1, "a whole number from 0 to 9223372036854775807"),
        ("item_count", True, "a whole number from 0 to 9223372036854775807"),
        ("item_count", 1.0, "a whole number from 0 to 9223372036854775807"),
        ("total_bytes", "5", "a whole number from 0 to 9223372036854775807"),
        ("total_bytes", 2**63, "a whole number from 0 to 9223372036854775807"),
        ("verification", [], "an object"),
        ("items", {}, "an array"),
        ("containers", None, "an array"),
    ],
)
def test_a_wrong_value_is_refused_with_what_was_found_and_what_is_expected(key, value, expected):
    [problem] = refused(bundle(**{key: value}))
    assert problem.startswith(f"{key}: found ")
    assert problem.endswith(f", expected {expected}")


@pytest.mark.parametrize(
    "key",
    ["sync_id", "sync_type", "action", "status", "source_host", "created_at", "completed_at", "item_count",
     "total_bytes", "verification", "items"],
)
def test_a_missing_key_is_refused_by_name(key):
    [problem] = refused(without(bundle(), key))
    assert problem.startswith(f"{key}: found nothing, expected ")


@pytest.mark.parametrize("passed", ["true", 1, None])
def test_only_the_json_values_true_and_false_tell_whether_verification_passed(passed):
    [problem] = refused(bundle(verification={"passed": passed, "total_files": 1}))
    assert problem.startswith("verification.passed: found ") and problem.endswith("expected true or false")


def test_every_problem_is_found_in_one_pass():
    problems = refused(
        bundle(item(asset_hash="xyz"), "x", item(1, asset_type="gif"), action="x", total_bytes=-1, item_count=9)
    )
    assert problems == [
        'action: found "x", expected create, update or remove',
        "total_bytes: found -1, expected a whole number from 0 to 9223372036854775807",
        "item_count: found 9, expected 3, as many as there are items",
        'items[0].asset_hash: found "xyz", expected 64 hexadecimal digits',
        'items[1]: found "x", expected an object',
        'items[2].asset_type: found "gif", expected photo, cover or video',
    ]


def test_thousands_of_problems_are_capped_and_counted():
    problems = refused(bundle(*[item(n, asset_type="x") for n in range(250)]))
    assert len(problems) == 51
    assert problems[-1] == "and 200 more"
    assert len(refused(bundle(*[item(n, asset_type="x") for n in range(50)]))) == 50


def test_how_many_problems_are_left_is_said_only_where_it_is_known():
    problems = refused(bundle(*[1] * 12_000))
    assert len(problems) == 51
    assert problems[-1] == "and more"


def test_an_item_that_is_listed_twice_is_a_problem_of_the_bundle_whatever_the_case_of_its_hash():
    [problem] = refused(bundle(item(asset_hash=A), item(1, asset_hash=A.upper())))
    assert problem == f"items[1]: found photo {A} again, expected it once (it is items[0] already)"


def test_the_same_hash_as_photo_and_as_cover_are_two_items():
    assert len(read(bundle(item(asset_hash=A), item(1, asset_hash=A, asset_type="cover"))).items) == 2


@pytest.mark.parametrize(
    "changes, problem",
    [
        ({"asset_subtype": "clip"}, 'items[0].asset_subtype: found "clip", expected null or video_simple'),
        ({"asset_subtype": "video_simple"}, 'items[0].asset_subtype: found "video_simple", expected null for a photo'),
        (
            {"cover_hash": "g" * 64},
            f'items[0].cover_hash: found "{"g" * 60}"..., expected null or 64 hexadecimal digits',
        ),
        ({"title": "x" * 256}, f'items[0].title: found "{"x" * 60}"..., expected null or text of up to 255 characters'),
        ({"title": 5}, "items[0].title: found 5, expected null or text of up to 255 characters"),
        ({"width": 1.0}, "items[0].width: found 1.0, expected null or a whole number from 0 to 9223372036854775807"),
        ({"bytes": -1}, "items[0].bytes: found -1, expected null or a whole number from 0 to 9223372036854775807"),
        (
            {"duration_seconds": -0.5},
            "items[0].duration_seconds: found -0.5, expected null or a finite number of seconds, at least 0",
        ),
        (
            {"duration_seconds": 10**400},
            f"items[0].duration_seconds: found 1{'0' * 59}..., expected null or a finite number",
        ),
        ({"path": 5}, "items[0].path: found 5, expected null or a path of up to 512 characters"),
        ({"path": None}, "items[0].path: found nothing, expected the item's folder"),
        ({"derivatives": None}, "items[0].derivatives: found null, expected an array"),
        ({"derivatives": [1]}, "items[0].derivatives[0]: found 1, expected an object"),
        (
            {"derivatives": [{"kind": "a"}]},
            "items[0].derivatives[0].path: found nothing, expected a path of up to 512 characters",
        ),
        (
            {"derivatives": [file(kind="A-b")]},
            'items[0].derivatives[0].kind: found "A-b", expected 1 to 64 characters of a-z, 0-9 and _',
        ),
        (
            {"derivatives": [file(), file()]},
            "items[0].derivatives[1]: found the kind and path of items[0].derivatives[0], expected each once",
        ),
        (
            {"derivatives": [file(path="../t.jpg")]},
            'items[0].derivatives[0].path: found "../t.jpg", expected no "." or ".."',
        ),
    ],
)
def test_an_item_with_a_problem_of_its_own_fails_alone(changes, problem):
    document = bundle(item(**changes), item(1))
    [found] = bad(document)
    assert found.startswith(problem)
    assert isinstance(read(document).items[1], Item)


def test_a_bad_item_keeps_its_identity_and_all_its_problems():
    parsed = read(bundle(item(asset_hash=A.upper(), cover_hash=B.upper(), title=1, width="x", path="/x"))).items[0]
    assert (parsed.asset_type, parsed.asset_hash, parsed.cover_hash) == ("photo", A, B)
    assert [problem.partition(":")[0] for problem in parsed.problems] == [
        "items[0].title", "items[0].width", "items[0].path",
    ]


def test_when_every_item_is_bad_the_manifest_is_read_all_the_same():
    assert [type(each) for each in read(bundle(item(path="/"), item(1, title=1))).items] == [InvalidItem, InvalidItem]


def test_zero_can_be_written_with_a_sign():
    raw = json.dumps(bundle()).replace('"total_bytes": 5', '"total_bytes": -0').encode()
    assert manifest.parse_manifest(raw, SYNC_ID).total_bytes == 0


def test_a_remove_needs_no_paths():
    assert isinstance(read(bundle(without(item(), "path"), action="remove")).items[0], Item)


def test_a_video_of_a_video_simple_bundle_must_say_that_it_is_one():
    video = item(asset_type="video", asset_subtype="video_simple", derivatives=[file(kind="hls")])
    assert isinstance(read(bundle(video, item(1), sync_type="video_simple")).items[0], Item)
    assert bad(bundle(item(asset_type="video"), sync_type="video_simple")) == (
        "items[0].asset_subtype: found null, expected video_simple, as sync_type says",
    )


@pytest.mark.parametrize(
    "containers, problem",
    [
        ([5], "containers[0]: found 5, expected an object"),
        ([{"type": "album", "container_hash": A}], 'containers[0].type: found "album", expected gallery or collection'),
        ([{"type": "gallery"}], "containers[0].container_hash: found nothing, expected 64 hexadecimal digits"),
        ([{"type": "gallery", "container_hash": A, "items": [B, 1]}],
         "containers[0].items[1]: found 1, expected 64 hexadecimal digits"),
        ([{"type": "gallery", "container_hash": A, "items": [B, B.upper()]}],
         f"containers[0].items[1]: found {B} again, expected it once (it is items[0] already)"),
        ([{"type": "gallery", "container_hash": A}] * 2,
         f"containers[1]: found gallery {A} again, expected it once (it is containers[0] already)"),
    ],
)
def test_a_container_that_is_wrong_is_a_problem_of_the_bundle(containers, problem):
    assert refused(bundle(containers=containers)) == [problem]


def test_what_cannot_be_seen_in_a_found_value_is_spelled_out():
    [problem] = refused(bundle(action="\u202eremove\u0000\n\u200b\""))
    assert problem == 'action: found "\\u202eremove\\x00\\n\\u200b\\"", expected create, update or remove'


def test_a_bundle_is_consumable_when_completed_and_verified():
    assert manifest.reasons_not_consumable(read(bundle())) == []


def test_a_bundle_that_is_not_yet_consumable_can_be_read_and_says_why():
    early = bundle(status="uploading", completed_at=None, verification={"passed": False, "total_files": 0})
    assert manifest.reasons_not_consumable(read(early)) == [
        'status: found "uploading", expected completed', "verification.passed: found false, expected true",
    ]
    assert manifest.reasons_not_consumable(read(without(early, "completed_at")))


def test_a_glimpse_gives_what_is_sound_in_a_refused_manifest():
    raw = json.dumps(bundle(item_count=-1, items=5, sync_id=None)).encode()
    assert manifest.salvage_fields(raw) == {
        "sync_type": "asset", "action": "create", "total_bytes": 5, "source_host": "gpu-1",
    }
    assert manifest.salvage_fields(b'{"action": "create", "action": "remove", "item_count": 3}') == {"item_count": 3}


@pytest.mark.parametrize("raw", [b"", b"[]", b"{", b"\xff", b"null"])
def test_a_glimpse_of_what_is_no_json_object_is_empty(raw):
    assert manifest.salvage_fields(raw) == {}


def test_the_example_of_the_format_description_is_consumable():
    described = (Path(__file__).resolve().parents[2] / "docs/BUNDLE-FORMAT.md").read_text()
    example = re.search(r"^    \{.*?^    \}", described, re.MULTILINE | re.DOTALL).group()
    raw = re.sub(r" +// .*", "", example).encode()
    parsed = manifest.parse_manifest(raw, "3f2b8c1e-5d47-4a90-9b6e-0c1d2e3f4a5b")
    assert [isinstance(each, Item) for each in parsed.items] == [True, True]
    assert manifest.reasons_not_consumable(parsed) == []


def test_items_and_containers_can_be_iterated_over_again_and_counted_and_picked():
    items = [item(n, title="x" * (n % 200), path="/" if n == 700 else f"p/{n}") for n in range(1500)]
    containers = [{"type": "gallery", "container_hash": f"{n:064x}", "items": [A]} for n in range(3)]
    parsed = read(bundle(*items, containers=containers))
    assert len(parsed.items) == 1500 and len(parsed.containers) == 3
    assert [each.asset_hash for each in parsed.items] == [each["asset_hash"] for each in items]
    assert list(parsed.items) == list(parsed.items)
    assert (parsed.items[699].path, parsed.items[-1].path) == ("p/699", "p/1499")
    assert isinstance(parsed.items[700], InvalidItem)
    assert [container.container_hash for container in parsed.containers] == [f"{n:064x}" for n in range(3)]
    with pytest.raises(IndexError):
        parsed.items[1500]


LIMITS = MountSettings(
    manifest_limit=20_000, max_items=3, max_derivatives=2, max_members=2, max_containers=2, max_text_bytes=300
)


def limited(document: dict) -> list[str]:
    with pytest.raises(ManifestError) as caught:
        manifest.parse_manifest(json.dumps(document).encode(), SYNC_ID, LIMITS)
    return caught.value.problems


@pytest.mark.parametrize(
    "document, problem",
    [
        (bundle(*map(item, range(4))), "items: found more than 3, expected at most 3"),
        (
            bundle(item(derivatives=[file(path=f"{n}") for n in range(3)])),
            "items[0].derivatives: found 3, expected at most 2",
        ),
        (bundle(item(derivatives=[{}] * 3)), "items[0].derivatives: found more than 2, expected at most 2"),
        (
            bundle(containers=[{"type": "gallery", "container_hash": A, "items": [A, B, C]}]),
            "containers[0].items: found more than 2, expected at most 2",
        ),
        (
            bundle(containers=[{"type": "gallery", "container_hash": each} for each in (A, B, C)]),
            "containers: found more than 2, expected at most 2",
        ),
        (bundle(item(title="x" * 301)), "items[0].title: found a text of 301 bytes, expected at most 300"),
        (
            bundle(item(extra=[1, {"note": "\u00e9" * 151}])),
            "items[0].extra[1].note: found a text of 302 bytes, expected at most 300",
        ),
        (bundle(note="x" * 301), "note: found a text of 301 bytes, expected at most 300"),
        (bundle(note="x" * 30_000), None),
    ],
)
def test_each_limit_has_its_own_message(document, problem):
    size = len(json.dumps(document))
    assert limited(document)[0] == (problem or f"manifest: found {size} bytes, expected at most 20000")


def test_what_is_at_the_limit_is_read():
    derivatives = [file(path=f"{n}") for n in range(2)]
    containers = [{"type": "gallery", "container_hash": each, "items": [A, B]} for each in (A, B)]
    document = bundle(*[item(n, derivatives=derivatives) for n in range(3)], containers=containers, note="\u00e9" * 150)
    assert len(manifest.parse_manifest(json.dumps(document).encode(), SYNC_ID, LIMITS).items) == 3


def test_the_checkpoint_is_called_while_a_large_manifest_is_parsed_and_may_stop_it():
    raw, calls = json.dumps(bundle(*map(item, range(3000)))).encode(), []
    manifest.parse_manifest(raw, SYNC_ID, checkpoint=lambda: calls.append(1))
    assert len(calls) > 3

    def stop():
        raise InterruptedError

    with pytest.raises(InterruptedError):
        manifest.parse_manifest(raw, SYNC_ID, checkpoint=stop)
