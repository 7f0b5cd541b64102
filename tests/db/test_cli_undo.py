"""gpupanel undo: its text, its JSON, its exit status."""

import json

import preloaded_programs
import pytest
import worker_helpers
from constants import GPUPANEL
from gpupanel.cli.commands import build_parser


@pytest.fixture
def command(panel_conf):
    def run(*args):
        return preloaded_programs.run([GPUPANEL, "--config", panel_conf, *args])

    return run


def test_a_preview_writes_nothing_and_an_undo_names_its_batch_and_job(
    command, admin_db, panel_db, worker_conf, bundles, bring
):
    sync_id = bundles.bundle("coast", bundles.assets("coast", 2))
    bring(sync_id)
    answer = command("undo", sync_id, "--preview")
    assert (answer.returncode, answer.stdout) == (0, f"{sync_id}  would be undone\n  items: 2 will_remove\n")
    assert admin_db.execute("SELECT id FROM ingest_batch WHERE undo_of IS NOT NULL") == []
    (row,) = json.loads(command("undo", sync_id, "--as", "ann", "--json").stdout)
    assert row.keys() == {"sync_id", "undo_sync_id", "job_id", "counts", "problem", "hint"}
    assert {name: number for name, number in row["counts"].items() if number} == {"will_remove": 2}
    worker_helpers.drain(worker_conf)
    shown = command("show", row["undo_sync_id"]).stdout
    assert f"undo_of {sync_id}" in " ".join(shown.split())
    assert "2 removed" in shown
    assert row["undo_sync_id"] in command("show", sync_id).stdout
    assert json.loads(command("list", "--action", "undo", "--json").stdout)["count"] == 1
    again = command("undo", sync_id)
    assert again.returncode == 1 and "is undone already" in again.stdout


def test_an_unknown_batch_is_refused(command, admin_db):
    answer = command("undo", "37e428d2-a4f6-4a31-bacf-0c835fb24084")
    assert answer.returncode == 1 and "is not recorded" in answer.stderr


def test_the_command_takes_several_batches_a_priority_and_a_preview():
    args = build_parser().parse_args(["undo", "a", "b", "--priority", "7", "--preview"])
    assert (args.sync_ids, args.priority, args.preview) == (["a", "b"], 7, True)
