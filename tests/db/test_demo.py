"""The demo goes the whole way with real bundles, and each ends as its story says."""

import json
import subprocess
import sys

import pytest

from ground import TREE
from gpupanel.tools import demo
from gpupanel.tools.bundles import demo as demo_set


def gpupanel(*args):
    command = [sys.executable, str(TREE / "bin" / "gpupanel"), *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)


@pytest.fixture
def once(admin_db, panel_conf, worker_conf):
    return lambda *args: gpupanel("demo", "--once", "--config", panel_conf, *args)


def library(db):
    """Every row that an import writes, times included."""
    tables = ("asset", "asset_source", "asset_ai_run", "asset_cover", "asset_derivative", "asset_gallery", "asset_gallery_item")
    return {table: db.execute(f"SELECT * FROM {table} ORDER BY id") for table in tables}


def test_every_bundle_ends_as_its_story_says_and_a_second_time_nothing_changes(once, admin_db, assets_dir):
    first = once("--json")
    report = json.loads(first.stdout)
    stories = demo_set(assets_dir / "sync", assets_dir)
    assert first.returncode == 0, first.stderr
    assert [bundle["sync_id"] for bundle in report["bundles"]] == [story.sync_id for story in stories]
    for bundle, story in zip(report["bundles"], stories):
        assert bundle["as_told"], bundle
        assert (bundle["status"], bundle["planned"], bundle["done"]) == (
            story.expectation.status, story.expectation.planned, story.expectation.done
        )
    imported = library(admin_db)
    second = json.loads(once("--json").stdout)
    assert second["new"] == 0 and second["known"] == report["new"] and second["as_told"] is True
    assert library(admin_db) == imported


def test_a_bundle_that_ended_otherwise_is_named_and_the_exit_status_is_1(once, admin_db):
    once()
    admin_db.execute("UPDATE ingest_batch SET status = 'failed' WHERE status = 'partial'")
    answer = once()
    assert answer.returncode == 1
    assert answer.stdout.count("UNLIKE ITS STORY") == 1
    assert "1 of 15 bundles ended unlike their stories." in answer.stdout


def test_the_demo_writes_to_no_mount_but_its_own(once, assets_dir, bundles):
    bundles.bundle("somebody", bundles.assets("somebody", 1))
    before = sorted(assets_dir.rglob("*"))
    answer = once()
    assert answer.returncode == 1
    assert "holds files that are not the demo's" in answer.stderr
    assert sorted(assets_dir.rglob("*")) == before


def test_as_many_more_bundles_as_wanted_are_written(assets_dir):
    *stories, more = demo.write(assets_dir / "sync", assets_dir, "9", more=2, items=3)
    *others, none = demo.write(assets_dir / "sync", assets_dir, "8")
    assert [len(group) for group in stories] == [1] * 15
    for bundle in more:
        assert json.loads((assets_dir / "sync" / f"{bundle.sync_id}.json").read_bytes())["item_count"] == 3
    assert len(more) == 2 and none == []
    assert not {story.sync_id for [story] in stories} & {story.sync_id for [story] in others}


def test_without_a_configuration_it_brings_a_private_installation(tmp_path):
    folder = tmp_path / "var"
    answer = gpupanel("demo", "--once", "--var", folder, "--bundles", 1, "--items", 4)
    assert answer.returncode == 0, answer.stderr
    assert "All 16 bundles ended as their stories say." in answer.stdout
    assert "planned 4 will_create; imported 4 created" in answer.stdout
    assert "make run" in answer.stdout
    for account in ("gpu_panel", "gpu_worker"):
        assert (folder / f"{account}.password").stat().st_mode & 0o777 == 0o600
