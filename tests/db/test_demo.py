"""The demo imports real bundles, and each ends as its scenario expects."""

import json
import os
import re
import subprocess

import preloaded_programs
import pytest
from constants import GPUPANEL, TREE
from gpupanel import services
from gpupanel.devtools import demo_import, processes
from gpupanel.devtools.bundle_factory import write_demo_set as demo_set


def gpupanel(*args, **environ):
    kept = {key: value for key, value in os.environ.items() if key != "GPUPANEL_CONF"}
    return preloaded_programs.run([GPUPANEL, *args], env=kept | environ)


@pytest.fixture(scope="module", autouse=True)
def painted(tmp_path_factory):
    """The programs find the pictures of the demo in memory."""
    folder = tmp_path_factory.mktemp("painted")
    preloaded_programs.prepare(demo_set, folder / "sync", folder)


@pytest.fixture
def once(admin_db, panel_conf, worker_conf):
    return lambda *args: gpupanel("demo", "--once", "--config", panel_conf, *args)


def library(db):
    """Every row that an import writes, times included."""
    tables = (
        "asset", "asset_source", "asset_ai_run", "asset_cover", "asset_derivative", "asset_gallery",
        "asset_gallery_item",
    )
    return {table: db.execute(f"SELECT * FROM {table} ORDER BY id") for table in tables}


def test_every_bundle_ends_as_expected_and_a_second_run_changes_nothing(once, admin_db, assets_dir):
    first = once("--json")
    report = json.loads(first.stdout)
    scenarios = demo_set(assets_dir / "sync", assets_dir)
    assert first.returncode == 0, first.stderr
    assert [bundle["sync_id"] for bundle in report["bundles"]] == [scenario.sync_id for scenario in scenarios]
    for bundle, scenario in zip(report["bundles"], scenarios, strict=True):
        assert bundle["as_told"], bundle
        assert (bundle["status"], bundle["planned"], bundle["done"]) == (
            scenario.expected.status, scenario.expected.planned, scenario.expected.done
        )
    imported = library(admin_db)
    second = json.loads(once("--json").stdout)
    assert second["new"] == 0 and second["known"] == report["new"] and second["as_told"] is True
    assert library(admin_db) == imported


@pytest.fixture
def ticked(panel_db, mount, worker_conf, assets_dir):
    """Queue and import all recorded bundles at once, as an operator who selects the whole list."""
    def queue_and_import():
        scenarios = demo_set(assets_dir / "sync", assets_dir)
        (assets_dir / "sync" / demo_import.MARKER_FILE).touch()
        services.scan_mount(panel_db, mount, "admin")
        services.queue_batches(panel_db, mount, [scenario.sync_id for scenario in scenarios], "admin")
        demo_import.worker_runner(worker_conf)()

    return queue_and_import


@pytest.mark.parametrize("times", [1, 2])
def test_results_after_queueing_all_bundles_together_are_correct(once, ticked, times):
    for _ in range(times):
        ticked()
    answer = once()
    assert answer.returncode == 0, answer.stdout
    assert "All 15 bundles ended correctly: " in answer.stdout
    assert "correct for this order: Two photos leave the library, and their gallery" in answer.stdout
    assert "UNEXPECTED" not in answer.stdout
    assert "Imported  nothing new" in answer.stdout


@pytest.mark.parametrize("wrong", [
    "UPDATE ingest_batch_item SET decision = 'failed' WHERE decision = 'updated' LIMIT 1",
    "UPDATE ingest_batch_item SET decision = 'removed' WHERE decision = 'linked'",
    "DELETE FROM ingest_batch_item WHERE decision = 'created' LIMIT 1",
    "UPDATE ingest_batch SET status = 'completed' WHERE status = 'partial'",
    "UPDATE ingest_batch SET status = 'completed' WHERE last_error LIKE 'verification%%'",
])
def test_a_result_that_no_order_explains_is_unexpected(once, ticked, admin_db, wrong):
    ticked()
    admin_db.execute(wrong)
    answer = once()
    assert answer.returncode == 1
    assert "1 of 15 bundles ended in an unexpected way." in answer.stdout


def test_a_job_of_another_worker_is_waited_for(panel_db, mount, assets_dir, worker_conf):
    """The drain only starts the worker, and does not wait for it."""
    started = []

    def drain():
        started.append(
            subprocess.Popen(
                processes.program_command("import-worker", "--config", str(worker_conf), "--once"),
                stderr=subprocess.DEVNULL,
            )
        )

    groups = demo_import.write_bundles(assets_dir / "sync", assets_dir)[:1]
    report = demo_import.import_scenarios(demo_import.ImportTarget(panel_db, mount, "admin", drain), groups)
    assert [process.wait(timeout=30) for process in started] == [0]
    assert report.as_told


def test_only_new_imports_are_counted_and_a_bundle_that_ended_otherwise_is_named(once, admin_db):
    assert "Imported  16 created" in once().stdout
    again = once()
    assert again.returncode == 0
    assert "Planned   nothing new\nImported  nothing new\n" in again.stdout
    admin_db.execute("UPDATE ingest_batch SET status = 'failed' WHERE status = 'partial'")
    answer = once()
    assert answer.returncode == 1
    assert answer.stdout.count("UNEXPECTED") == 1
    assert "1 of 15 bundles ended in an unexpected way." in answer.stdout


def test_the_demo_writes_to_no_mount_but_its_own(once, assets_dir, bundles):
    bundles.bundle("somebody", bundles.assets("somebody", 1))
    before = sorted(assets_dir.rglob("*"))
    answer = once()
    assert answer.returncode == 1
    assert "holds files that are not the demo's" in answer.stderr
    assert sorted(assets_dir.rglob("*")) == before


def test_the_bundles_that_the_docs_name_are_of_the_demo(assets_dir):
    named = set(
        re.findall(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", (TREE / "docs" / "development.md").read_text())
    )
    assert named
    assert named <= {scenario.sync_id for scenario in demo_set(assets_dir / "sync", assets_dir)}


def test_as_many_more_bundles_as_wanted_are_written(assets_dir):
    *scenarios, more = demo_import.write_bundles(
        assets_dir / "sync", assets_dir, "9", demo_import.AdditionalBundles(2, 3)
    )
    *others, none = demo_import.write_bundles(assets_dir / "sync", assets_dir, "8")
    assert [len(group) for group in scenarios] == [1] * 15
    for bundle in more:
        assert json.loads((assets_dir / "sync" / f"{bundle.sync_id}.json").read_bytes())["item_count"] == 3
    assert len(more) == 2 and none == []
    assert not {scenario.sync_id for [scenario] in scenarios} & {scenario.sync_id for [scenario] in others}


def test_without_a_configuration_it_brings_a_private_installation(tmp_path):
    folder = tmp_path / "var"
    answer = gpupanel("demo", "--once", "--var", folder, "--bundles", 1, "--items", 4)
    assert answer.returncode == 0, answer.stderr
    assert "All 16 bundles ended as expected." in answer.stdout
    assert "planned 4 will_create; imported 4 created" in answer.stdout
    assert "make run" in answer.stdout
    for account in ("gpu_panel", "gpu_worker"):
        assert (folder / f"{account}.password").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("command", [["demo"], ["demo", "--once"], ["run"]])
def test_a_private_installation_refuses_another_configuration(tmp_path, command):
    other = str(tmp_path / "other.conf")
    refused = gpupanel(*command, GPUPANEL_CONF=other)
    assert refused.returncode == 2
    assert f"GPUPANEL_CONF names {other}" in refused.stderr and "Unset GPUPANEL_CONF" in refused.stderr


def test_the_folder_that_is_given_goes_before_the_configuration_in_the_environment(tmp_path):
    answer = gpupanel("demo", "--var", tmp_path / "var", GPUPANEL_CONF=str(tmp_path / "other.conf"))
    assert answer.returncode == 0, answer.stderr
    assert "A sentinel without its manifest (a scan skips this bundle)" in answer.stdout
    assert "A manifest without its sentinel (no scan finds this bundle)" in answer.stdout


def test_run_refuses_a_configuration(tmp_path):
    refused = gpupanel("run", "--config", tmp_path / "other.conf", "--var", tmp_path / "var")
    assert refused.returncode == 2
    assert "Omit --config" in refused.stderr
