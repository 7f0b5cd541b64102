"""A preflight gives the answers that the corpus states, and the checker the same (docs/UPSTREAM.md)."""

import json

import pytest
from corpus import BUNDLES, CASES, begin_so

from gpupanel import services
from gpupanel.bundle_check import check_file
from gpupanel.errors import ManifestError
from gpupanel.manifest import Item, parse_manifest

ACTOR = "operator"


@pytest.fixture(scope="module")
def sound_text() -> str:
    return (BUNDLES / CASES[0].file).read_text(encoding="utf-8")


def write_files(mount, raw: bytes, sync_id: str) -> None:
    """Write the folders and files that the items of a manifest name."""
    try:
        manifest = parse_manifest(raw, sync_id)
    except ManifestError:
        return
    for item in manifest.items:
        if isinstance(item, Item) and item.path:
            folder = mount.assets_dir / item.path
            (folder / "source").mkdir(parents=True, exist_ok=True)
            (folder / "source" / "source.json").write_text("{}")
            for file in item.derivatives:
                (folder / file.path).parent.mkdir(parents=True, exist_ok=True)
                (folder / file.path).write_bytes(bytes(file.bytes or 0))


@pytest.fixture
def delivered(panel_db, mount, sound_text):
    """The corpus on the mount; each bundle was discovered as a sound one before upstream replaced it."""
    for case in CASES:
        (mount.sync_dir / case.file).write_text(sound_text.replace(CASES[0].sync_id, case.sync_id))
        (mount.sync_dir / f"{case.sync_id}.ready").touch()
    assert len(services.scan_mount(panel_db, mount, ACTOR).discovered) == len(CASES)
    for case in CASES:
        raw = (BUNDLES / case.file).read_bytes()
        (mount.sync_dir / case.file).write_bytes(raw)
        write_files(mount, raw, case.sync_id)
    return mount


def preflighted(panel_db, mount, case) -> tuple[str, list[str], list[str]]:
    """Return verdict, problems of the bundle, and reasons of its failing items."""
    result = services.preflight_batch(panel_db, mount, case.sync_id, ACTOR)
    (batch,) = panel_db.execute("SELECT id FROM ingest_batch WHERE sync_id = %(s)s", s=case.sync_id)
    reasons = [row["reason"] for row in panel_db.execute(
        "SELECT reason FROM ingest_batch_item WHERE batch_id = %(id)s AND decision = 'will_fail' ORDER BY position",
        id=batch["id"],
    )]
    verdict = "refused" if not result.ok else "partial" if result.counts.get("will_fail") else "sound"
    return verdict, result.problems, reasons


def test_preflight_and_checker_give_the_answers_of_the_corpus(panel_db, delivered):
    wrong = {}
    for case in CASES:
        verdict, problems, reasons = preflighted(panel_db, delivered, case)
        checked = check_file(delivered.sync_dir / case.file, delivered.assets_dir)
        if not (verdict == checked.verdict == case.verdict and reasons == checked.item_problems
                and begin_so(reasons, case.item_problems)):
            wrong[case.case] = (verdict, problems, reasons, checked)
        # A bundle whose items all fail has the reasons of the items in its problem.
        expected = [
            problem.removeprefix("items: ") if problem.endswith("would fail") else problem for problem in case.problems
        ]
        if not begin_so(problems, expected):
            wrong[case.case] = (problems, case.problems)
    assert wrong == {}


def test_a_missing_file_is_the_same_problem_to_preflight_and_checker(panel_db, delivered):
    case = next(case for case in CASES if case.case == "every key")
    manifest = json.loads((BUNDLES / case.file).read_bytes())
    (delivered.assets_dir / manifest["items"][0]["path"] / manifest["items"][0]["derivatives"][0]["path"]).unlink()
    verdict, _, reasons = preflighted(panel_db, delivered, case)
    checked = check_file(delivered.sync_dir / case.file, delivered.assets_dir)
    assert verdict == checked.verdict == "partial" and reasons == checked.item_problems
    item = manifest["items"][0]
    named = f"{item['derivatives'][0]['kind']} file {item['path']}/derivatives/thumbnail.jpg"
    assert reasons[0].startswith(f"items[0].derivatives[0].path: {named}: found no file")
