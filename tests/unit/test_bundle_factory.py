"""The generator of bundles: what it writes is real, true, the same each time, and wrong only where it is meant."""

import builtins
import json
import zipfile
from collections import Counter
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from uuid import UUID

import pytest
from gpupanel import bundle_inspection, manifest, scan
from gpupanel.config import MountSettings
from gpupanel.devtools.bundle_factory import BundleWriter, defects, derivatives, images, scenarios, write_demo_set
from gpupanel.devtools.bundle_factory.deterministic import derive_uuid, timestamp
from gpupanel.devtools.bundle_factory.documents import DOCUMENTS, KNOWN
from gpupanel.errors import ManifestError, PanelError
from gpupanel.models import Decision
from gpupanel.mount import Mount
from PIL import Image

EVERYTHING = ("photo", "cover", "video", "video_simple")


@pytest.fixture
def writer(tmp_path):
    return BundleWriter(tmp_path / "assets" / "sync", tmp_path / "assets", seed=7, pictures=2)


@pytest.fixture(scope="module")
def demo_set(tmp_path_factory):
    """The demo set as (folder with assets/sync in it, its scenarios, a Mount of it)."""
    root = tmp_path_factory.mktemp("demo")
    demo = write_demo_set(root / "assets" / "sync", root / "assets", seed=3)
    return root, demo, Mount(MountSettings(root / "assets" / "sync", root / "assets"))


def raw(writer, sync_id):
    return (writer.sync_dir / f"{sync_id}.json").read_bytes()


def listed(writer, sync_id):
    return json.loads(raw(writer, sync_id))


def snapshot(folder):
    """Path -> bytes of every file below `folder`."""
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# ------------------------------------------------------------------------------------------------ the same each time


def test_the_same_seed_and_calls_give_the_same_bytes(demo_set, tmp_path):
    derivatives.make_derivative.cache_clear()
    images.paint.cache_clear()
    write_demo_set(tmp_path / "assets" / "sync", tmp_path / "assets", seed=3)
    assert snapshot(tmp_path) == snapshot(demo_set[0])


def test_another_seed_gives_other_ids_assets_and_pictures(tmp_path):
    first, second = (BundleWriter(tmp_path / "sync", tmp_path, seed) for seed in (1, 2))
    assert first.sync_id("a") != second.sync_id("a")
    [one], [two] = first.assets("a", 1), second.assets("a", 1)
    assert one.asset_hash != two.asset_hash
    assert images.encode_image(one.picture, "icon") != images.encode_image(two.picture, "icon")


def test_ids_are_lowercase_uuids_and_times_are_utc():
    assert str(UUID(derive_uuid("a", 1))) == derive_uuid("a", 1) and UUID(derive_uuid("a", 1)).version == 4
    assert timestamp(90.5) == "2024-03-01T07:30:30Z"


def test_writing_the_demo_set_again_changes_nothing(demo_set):
    root, first, _ = demo_set
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    assert write_demo_set(root / "assets" / "sync", root / "assets", seed=3) == first
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == before


def test_a_manifest_that_someone_changed_is_left_alone(writer):
    sync_id = writer.bundle("a", writer.assets("a", 1), files=False)
    (writer.sync_dir / f"{sync_id}.json").write_bytes(b"mine")
    writer.bundle("a", writer.assets("a", 1), files=False)
    assert raw(writer, sync_id) == b"mine"
    writer.bundle("a", writer.assets("a", 2), files=False, replace=True)
    assert listed(writer, sync_id)["item_count"] == 2


def test_without_files_the_manifest_is_the_same_and_no_folder_is_written(tmp_path):
    whole, bare = (BundleWriter(tmp_path / name / "sync", tmp_path / name) for name in ("whole", "bare"))
    for each, files in ((whole, True), (bare, False)):
        sync_id = each.bundle("a", each.assets("a", 5, EVERYTHING), files=files)
    assert raw(whole, sync_id) == raw(bare, sync_id)
    assert [path.name for path in bare.assets_dir.iterdir()] == ["sync"]


# ------------------------------------------------------------------------------------------------ real and true


def test_every_kind_of_item_is_accepted_by_the_manifest_reader(writer):
    everything = list(writer.assets("a", 8, EVERYTHING))
    containers = [writer.container(kind, "All", everything) for kind in ("gallery", "collection")]
    sync_id = writer.bundle("a", everything, containers)
    read = manifest.parse_manifest(raw(writer, sync_id), sync_id)
    assert not manifest.reasons_not_consumable(read)
    assert [isinstance(item, manifest.Item) for item in read.items] == [True] * 8
    assert read.items[0].cover_hash == read.items[1].asset_hash
    assert [item.asset_type for item in read.items[:4]] == ["photo", "cover", "video", "video"]
    assert read.items[3].asset_subtype == "video_simple" and read.items[3].duration_seconds > 0


def test_bytes_and_digests_of_derivatives_are_those_of_the_files(writer):
    items = listed(writer, writer.bundle("a", writer.assets("a", 4, EVERYTHING)))["items"]
    facts = [(item["path"], derivative) for item in items for derivative in item["derivatives"]]
    assert len(facts) == 7 + 3 + 2 + 4
    for folder, fact in facts:
        data = (writer.assets_dir / folder / fact["path"]).read_bytes()
        assert (len(data), sha256(data).hexdigest()) == (fact["bytes"], fact["sha256"])


def test_totals_count_the_files_that_were_handed_over(writer):
    manifest = listed(writer, writer.bundle("a", writer.assets("a", 6, EVERYTHING, broken={4: defects.no_source})))
    files = [path for form in ("photo", "cover", "video") for path in (writer.assets_dir / form).rglob("*.*")]
    assert manifest["verification"]["total_files"] == len(files)
    assert manifest["total_bytes"] == sum(path.stat().st_size for path in files)


def test_pictures_are_pictures_of_the_type_and_size_that_the_facts_say(writer):
    [photo] = listed(writer, writer.bundle("a", writer.assets("a", 1)))["items"]
    formats = set()
    for fact in photo["derivatives"]:
        with Image.open(writer.assets_dir / photo["path"] / fact["path"]) as image:
            image.load()
            assert image.size == (fact["width"], fact["height"])
            assert image.get_format_mimetype() == fact["mime_type"]
            assert len(image.convert("RGB").getcolors(2**24)) > 100
            formats.add(image.format)
    assert formats == {"JPEG", "PNG", "WEBP"}
    assert {"frosted", "blurred", "vivid_blurred"} < {fact["kind"] for fact in photo["derivatives"]}


def test_a_film_has_a_playlist_its_segments_a_transcript_a_package_and_a_cover(writer):
    [film] = listed(writer, writer.bundle("a", writer.assets("a", 1, ("video_simple",))))["items"]
    paths = {fact["kind"]: writer.assets_dir / film["path"] / fact["path"] for fact in film["derivatives"]}
    playlist = paths["hls"].read_text().splitlines()
    lengths = [float(line[8:-1]) for line in playlist if line.startswith("#EXTINF:")]
    assert playlist[0] == "#EXTM3U" and sum(lengths) == pytest.approx(film["duration_seconds"])
    segments = [paths["hls"].parent / line for line in playlist if not line.startswith("#")]
    assert [segment.read_bytes()[::188] for segment in segments] == [b"\x47" * 32] * len(lengths)
    assert paths["transcript"].read_text().startswith("WEBVTT\n")
    assert zipfile.ZipFile(BytesIO(paths["cloud_package"].read_bytes())).testzip() is None
    assert Image.open(paths["library_cover"]).format == "JPEG"


def test_documents_are_json_but_for_the_notes_that_are_meant_not_to_be(writer):
    [photo] = writer.assets("a", 1, documents=tuple(DOCUMENTS))
    writer.bundle("a", [photo])
    mount = Mount(MountSettings(writer.sync_dir, writer.assets_dir))
    with mount.open_item(photo.path) as folder:
        documents = {document.name: document.content for document in mount.read_documents(folder)}
    assert set(documents) == {"source.json", *DOCUMENTS}
    with pytest.raises(ValueError):
        json.loads(documents.pop("field.notes.json"))
    assert all(isinstance(json.loads(content), dict) for content in documents.values())
    assert json.loads(documents["source.json"])["asset_hash"] == photo.asset_hash


def test_a_remove_names_assets_and_no_folder(writer):
    sync_id = writer.bundle("a", writer.assets("a", 2, ("video_simple", "photo")), action="remove")
    read = manifest.parse_manifest(raw(writer, sync_id), sync_id)
    assert [(item.asset_type, item.path) for item in read.items] == [("video", None), ("photo", None)]
    assert [path.name for path in writer.assets_dir.iterdir()] == ["sync"]


def test_another_revision_has_its_own_folder_other_analyses_and_the_same_provenance(writer):
    [first] = writer.assets("a", 1)
    second = first._replace(revision=2)
    writer.bundle("a", [first])
    writer.bundle("b", [second], action="update")
    one, two = (snapshot(writer.assets_dir / each.path / "source") for each in (first, second))
    provenance, analysis = Path("source.json"), Path("data/photo.analysis.json")
    assert one[provenance] == two[provenance]
    assert one[analysis] != two[analysis]


# ------------------------------------------------------------------------------------------------ how it is written


def test_a_scan_meanwhile_sees_neither_manifest_nor_sentinel_before_all_items_are_there(writer):
    def watched():
        for asset in writer.assets("a", 3):
            yield asset
            assert (writer.assets_dir / asset.path / "source" / "source.json").is_file()
            assert not list(writer.sync_dir.glob("[!.]*"))

    sync_id = writer.bundle("a", watched())
    assert {path.name for path in writer.sync_dir.iterdir()} == {f"{sync_id}.json", f"{sync_id}.ready"}


def test_an_interrupted_bundle_leaves_nothing_that_a_scan_could_find(writer):
    def interrupted():
        yield from writer.assets("a", 1)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        writer.bundle("a", interrupted())
    assert list(writer.sync_dir.iterdir()) == []


def test_a_long_bundle_goes_to_the_disk_while_its_items_are_taken(writer):
    """So that memory does not grow with it."""
    sizes = []

    def watched():
        yield from writer.assets("a", 2000, derivatives=(), documents=())
        sizes.extend(path.stat().st_size for path in writer.sync_dir.glob(".*.partial"))

    sync_id = writer.bundle("a", watched(), files=False)
    assert sizes[0] > 0.9 * len(raw(writer, sync_id))
    assert len({item["asset_hash"] for item in listed(writer, sync_id)["items"]}) == 2000


def test_nothing_is_written_outside_the_two_folders(tmp_path):
    mine = BundleWriter(tmp_path / "here" / "sync", tmp_path / "here" / "assets")
    wrong = [defects.outside, defects.no_path, defects.bad_hash, defects.wrong_type, defects.no_folder]
    mine.bundle("a", mine.assets("a", 5, broken=dict(enumerate(wrong))))
    assert {path.name for path in tmp_path.iterdir()} == {"here"}
    assert {path.name for path in (tmp_path / "here").iterdir()} == {"sync", "assets"}
    assert {path.name for path in (tmp_path / "here" / "assets").iterdir()} == {"photo"}


def test_without_pillow_the_error_names_the_package(writer, monkeypatch):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name.partition(".")[0] == "PIL":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    derivatives.make_derivative.cache_clear()
    images.paint.cache_clear()
    with pytest.raises(PanelError, match="Pillow") as caught:
        writer.bundle("a", writer.assets("a", 1))
    assert "pip install pillow" in caught.value.hint


# ------------------------------------------------------------------------------------------------ wrong where meant


@pytest.mark.parametrize("wrong", [defects.wrong_type, defects.long_title, defects.no_path, defects.outside])
def test_an_item_broken_in_the_manifest_is_bad_alone(writer, wrong):
    sync_id = writer.bundle("a", writer.assets("a", 3, broken={1: wrong}))
    items = manifest.parse_manifest(raw(writer, sync_id), sync_id).items
    assert [type(item) for item in items] == [manifest.Item, manifest.InvalidItem, manifest.Item]


@pytest.mark.parametrize("wrong", [defects.no_folder, defects.no_source])
def test_an_item_broken_on_the_mount_is_missed_alone(writer, wrong):
    sync_id = writer.bundle("a", writer.assets("a", 3, broken={1: wrong}))
    examined = bundle_inspection.inspect_bundle(Mount(MountSettings(writer.sync_dir, writer.assets_dir)), sync_id)
    assert set(examined.missing) == {1}


@pytest.mark.parametrize(
    ("wrong", "path"),
    [(defects.broken_source, "source/source.json"), (defects.broken_document, "source/data/photo.analysis.json")],
)
def test_a_broken_document_is_there_and_is_not_json(writer, wrong, path):
    [photo] = writer.assets("a", 1, broken={0: wrong})
    writer.bundle("a", [photo])
    with pytest.raises(ValueError):
        json.loads((writer.assets_dir / photo.path / path).read_bytes())


def test_a_document_that_is_not_there_cannot_be_broken(writer):
    with pytest.raises(ValueError):
        writer.bundle("a", writer.assets("a", 1, documents=(), broken={0: defects.broken_document}))


def test_an_item_without_identity_is_a_problem_of_the_bundle(writer):
    sync_id = writer.bundle("a", writer.assets("a", 2, broken={1: defects.bad_hash}))
    with pytest.raises(ManifestError) as caught:
        manifest.parse_manifest(raw(writer, sync_id), sync_id)
    assert "items[1].asset_hash" in caught.value.problems[0]


def test_facts_may_be_replaced_by_false_ones(writer):
    sync_id = writer.bundle("a", writer.assets("a", 1), item_count=9, status="processing")
    assert {"item_count": 9, "status": "processing"}.items() <= listed(writer, sync_id).items()


# ------------------------------------------------------------------------------------------------ the demo set


def test_a_scan_passes_over_exactly_those_bundles_whose_story_says_so(demo_set):
    _, demo_scenarios, mount = demo_set
    recorded = {sentinel.sync_id for sentinel in mount.list_sentinels()}
    assert recorded == {scenario.sync_id for scenario in demo_scenarios if scenario.expected.status}
    problems = {scenario.sync_id: scan.scan_bundle(mount, scenario.sync_id).problem for scenario in demo_scenarios}
    assert {sync_id for sync_id, problem in problems.items() if problem} == {
        scenario.sync_id for scenario in demo_scenarios if scenario.expected.skip_reason
    }


@pytest.mark.parametrize(
    ("why", "said"),
    [
        (scenarios.NOT_COMPLETED, "processing"),
        (scenarios.NOT_VERIFIED, "verification.passed"),
        (scenarios.MANIFEST_REFUSED, "JSON"),
        (scenarios.MANIFEST_REFUSED, "more than once"),
        (scenarios.MANIFEST_MISSING, ".json is not on the mount"),
        (scenarios.SENTINEL_MISSING, ".ready is not on the mount"),
    ],
)
def test_a_bundle_is_passed_over_for_the_reason_of_its_story(demo_set, why, said):
    _, demo_scenarios, mount = demo_set
    passed = [scenario.sync_id for scenario in demo_scenarios if scenario.expected.skip_reason == why]
    assert any(said in scan.scan_bundle(mount, sync_id).problem for sync_id in passed)


def test_the_mount_and_the_manifest_fail_as_many_items_as_the_scenarios_plan_to_fail(demo_set):
    _, demo_scenarios, mount = demo_set
    for scenario in (scenario for scenario in demo_scenarios if not scenario.expected.skip_reason):
        examined = bundle_inspection.inspect_bundle(mount, scenario.sync_id)
        planned = Counter(scenario.expected.planned)
        assert len(examined.missing) == planned[Decision.WILL_FAIL], scenario.title
        assert len(examined.manifest.items) == planned.total(), scenario.title


def test_members_and_predecessors_come_in_earlier_bundles(demo_set):
    _, demo_scenarios, mount = demo_set
    listed_before, bundles = set(), set()
    for scenario in (scenario for scenario in demo_scenarios if not scenario.expected.skip_reason):
        read = bundle_inspection.inspect_bundle(mount, scenario.sync_id).manifest
        listed_before |= {item.asset_hash for item in read.items if read.action != "remove"}
        assert {member for container in read.containers for member in container.items} <= listed_before
        assert {item.asset_hash for item in read.items} <= listed_before
        assert read.prior_sync_id in bundles | {None}
        bundles.add(scenario.sync_id)


def test_every_decision_and_every_kind_of_document_occurs_in_the_demo_set(demo_set):
    root, demo_scenarios, _ = demo_set
    planned = Counter()
    for scenario in demo_scenarios:
        planned.update(scenario.expected.planned)
    of_imports = {decision for decision in Decision if decision.startswith("will_")} - {Decision.WILL_UNLINK}
    assert set(planned) == of_imports
    names = {path.name for path in root.rglob("source/data/*.json")}
    assert names == {*KNOWN, "color.palette.json", "field.notes.json", "video.probe.json"}


def test_the_demo_set_is_a_few_megabytes(demo_set):
    assert sum(map(len, snapshot(demo_set[0]).values())) < 5 * 2**20
