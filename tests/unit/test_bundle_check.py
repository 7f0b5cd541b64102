"""`gpupanel check` needs neither database nor configuration, and says what a preflight would refuse."""

import json
import os
import subprocess
import sys

import preloaded_programs
import pytest
from constants import GPUPANEL, TREE
from corpus import BUNDLES, CASES

from gpupanel.bundle_check import MAX_ITEMS, check_file, check_folder

SOUND = CASES[0]
S = SOUND.sync_id
OTHER = "11111111-0000-4000-8000-000000000001"


def check(*args, **environ):
    """Run the real program, with a configuration that cannot be read."""
    env = os.environ | {"GPUPANEL_CONF": "/nonexistent/panel.conf"} | environ
    return preloaded_programs.run([GPUPANEL, "check", *args], env=env)


def manifest(sync_id: str = S, **facts) -> str:
    return json.dumps(json.loads((BUNDLES / SOUND.file).read_bytes()) | {"sync_id": sync_id} | facts)


@pytest.fixture
def folder(tmp_path):
    """A folder with one sound bundle."""
    (tmp_path / f"{S}.json").write_text(manifest())
    (tmp_path / f"{S}.ready").touch()
    return tmp_path


def test_a_sound_manifest_ends_with_0_also_before_its_sentinel_is_written(folder):
    (folder / f"{S}.ready").unlink()
    done = check(folder / f"{S}.json")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{S}.json  sound: 2 items\n"


def test_a_manifest_with_problems_ends_with_1_and_lists_them_all(folder):
    (folder / f"{S}.json").write_text(manifest(action="delete", total_bytes=-1))
    done = check(folder / f"{S}.json")
    assert done.returncode == 1
    assert done.stdout.splitlines() == [
        f"{S}.json  refused", '  action: found "delete", expected create, update or remove',
        "  total_bytes: found -1, expected a whole number from 0 to 9223372036854775807",
    ]


def test_a_bundle_with_one_bad_item_ends_with_1_and_says_that_only_the_item_fails(folder):
    items = json.loads(manifest())["items"]
    items[1]["title"] = 7
    (folder / f"{S}.json").write_text(manifest(items=items))
    done = check("--json", folder / f"{S}.json")
    (answer,) = json.loads(done.stdout)
    assert done.returncode == 1
    assert answer == {
        "file": f"{S}.json", "sync_id": S, "verdict": "partial", "item_count": 2, "failing_items": 1, "problems": [],
        "item_problems": ["items[1].title: found 7, expected null or text of up to 255 characters"],
    }


def test_a_file_must_have_the_name_of_its_bundle(folder):
    for name, problem in {
        "manifest.json": f'sync_id: found "{S}", expected "manifest", as the file is named',
        f"{OTHER}.json": f'sync_id: found "{S}", expected "{OTHER}", as the file is named',
        f"{S}.txt": f'file: found "{S}.txt", expected a name that ends in .json',
    }.items():
        (folder / name).write_text(manifest())
        assert check_file(folder / name, None).problems == [problem]


def test_a_folder_is_reported_bundle_by_bundle(folder):
    (folder / f"{OTHER}.ready").touch()
    (folder / "gallery-7.ready").touch()
    (folder / "gallery-7.json").write_text("{}")
    (folder / "notes.json").write_text("{}")
    third = OTHER.replace("1111", "2222", 1)
    (folder / f"{third}.json").write_text(manifest(third))
    done = check(folder, "--json")
    answers = {answer["sync_id"]: answer["problems"] for answer in json.loads(done.stdout)}
    assert done.returncode == 1
    assert answers == {
        S: [], OTHER: [f"{OTHER}.json: found no file, expected the manifest of {OTHER}.ready"],
        third: [f"{third}.ready: found no file, expected the sentinel"],
        "gallery-7": ['gallery-7.ready: found "gallery-7", expected a lowercase UUID before .ready'],
    }
    assert check(folder).stdout.endswith("4 bundles, 3 with problems.\n")


def test_a_folder_of_sound_bundles_ends_with_0(folder):
    (folder / f"{OTHER}.json").write_text(manifest(OTHER, prior_sync_id=S))
    (folder / f"{OTHER}.ready").touch()
    done = check(folder)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "2 bundles, 0 with problems.")


def test_bundles_that_follow_each_other_in_a_circle_are_refused_once(folder):
    names = [f"{number}2222222-0000-4000-8000-000000000001" for number in range(4)]
    for name, prior in zip(names, [*names[1:], names[0]], strict=True):
        (folder / f"{name}.json").write_text(manifest(name, prior_sync_id=prior))
        (folder / f"{name}.ready").touch()
    refused = [answer for answer in check_folder(folder, None) if answer.problems]
    (problem,) = refused[0].problems
    assert len(refused) == 1 and problem.startswith("prior_sync_id: the bundle is its own prior: ")


@pytest.mark.parametrize("usage", [[], ["/nonexistent"], ["--schema", "x"], ["--assets"], [".", "--assets", "/none"]])
def test_wrong_usage_ends_with_2(usage):
    done = check(*usage)
    assert done.returncode == 2 and done.stdout == "" and done.stderr


def test_a_folder_without_bundles_is_a_problem(tmp_path):
    done = check(tmp_path)
    assert done.returncode == 1 and "holds no bundle" in done.stderr and "SYNC_ID.ready" in done.stderr


def test_files_of_items_are_checked_on_demand(folder):
    items = json.loads(manifest())["items"]
    items[0]["derivatives"] = [{"kind": "thumb", "path": "t.jpg", "bytes": 3}]
    (folder / f"{S}.json").write_text(manifest(items=items))
    assets = folder / "assets"
    for item in items:
        (assets / item["path"] / "source").mkdir(parents=True)
        (assets / item["path"] / "source" / "source.json").write_text("{}")
    (assets / items[0]["path"] / "t.jpg").write_bytes(b"jpg")
    assert check_file(folder / f"{S}.json", assets).verdict == "sound"
    (assets / items[0]["path"] / "t.jpg").write_bytes(b"jp")
    (assets / items[1]["path"] / "source" / "source.json").unlink()
    check = check_file(folder / f"{S}.json", assets)
    assert check_file(folder / f"{S}.json", None).verdict == "sound"
    assert check.item_problems == [
        f"items[0].derivatives[0].path: thumb file {items[0]['path']}/t.jpg: found 2 bytes, expected 3",
        f"items[1].path: {items[1]['path']}/source/source.json is not on the mount",
    ]
    assert check.problems == ["items: all 2 items would fail"]


def test_assets_that_are_away_are_a_problem_of_the_bundle(folder, tmp_path):
    (folder / "empty").mkdir()
    found = check_file(folder / f"{S}.json", folder / "empty")
    assert found.verdict == "refused" and len(found.problems) == 1
    done = check(folder, "--assets", folder / "empty")
    assert done.returncode == 1 and "Traceback" not in done.stderr


def test_what_is_no_regular_file_is_never_opened(folder):
    os.mkfifo(folder / f"{OTHER}.json")
    (folder / f"{OTHER}.ready").touch()
    assert check_file(folder / f"{OTHER}.json", None).problems == [f"{OTHER}.json is a FIFO, expected a regular file"]
    (folder / f"{OTHER}.json").unlink()
    (folder / f"{OTHER}.json").symlink_to("/etc/hostname")
    assert "leads out of the mount" in check_file(folder / f"{OTHER}.json", None).problems[0]


def test_nothing_is_written_beside_the_bundles(folder):
    before = {path: path.stat() for path in folder.rglob("*")}
    check(folder)
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == {
        path: found.st_mtime_ns for path, found in before.items()
    }


def test_of_many_failing_items_the_first_are_listed_and_the_others_counted(folder):
    items = [{"asset_type": "photo", "asset_hash": f"{n:064x}", "path": f"{n}", "title": 7} for n in range(60)]
    items[0]["title"] = "sound"
    (folder / f"{S}.json").write_text(manifest(items=items, item_count=60))
    found = check_file(folder / f"{S}.json", None)
    assert (found.verdict, found.failing_items, len(found.item_problems)) == ("partial", 59, MAX_ITEMS)
    assert "and 9 more items" in check(folder / f"{S}.json").stdout


def test_names_cannot_steer_a_terminal(folder):
    (folder / "a\x1b[2Jb.ready").touch()
    done = check(folder)
    assert "\x1b" not in done.stdout and "a\\x1b[2Jb.ready" in done.stdout


def test_a_name_that_is_not_utf_8_is_reported(folder):
    (folder / os.fsdecode(b"\xff.ready")).touch()
    done = check(folder, "--json")
    assert done.returncode == 1 and "\\udcff.ready" in json.loads(done.stdout)[-1]["problems"][0]


def test_a_folder_of_large_manifests_needs_the_memory_of_one(folder):
    items = [{"asset_type": "photo", "asset_hash": f"{n:064x}", "path": f"p/{n}"} for n in range(40_000)]
    for number in range(6):
        sync_id = f"{number}3333333-0000-4000-8000-000000000001"
        (folder / f"{sync_id}.json").write_text(manifest(sync_id, items=items, item_count=len(items)))
        (folder / f"{sync_id}.ready").touch()
    largest = max(path.stat().st_size for path in folder.iterdir())
    program = (
        "import sys; from gpupanel.cli.main import main; status = main(['check', sys.argv[1]]);"
        "print(status, next(line for line in open('/proc/self/status') if line.startswith('VmHWM')).split()[1])"
    )
    env = os.environ | {"PYTHONPATH": str(TREE / "lib")}
    done = subprocess.run([sys.executable, "-c", program, folder], capture_output=True, text=True, env=env)
    status, peak = map(int, done.stdout.splitlines()[-1].split())
    assert status == 0 and peak * 1024 < largest + 192 * 2**20
