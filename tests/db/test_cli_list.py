"""gpupanel list finds the same batches as the panel; shells complete its options."""

import json
import subprocess
import sys

import preloaded_programs
import pytest
from constants import GPUPANEL, TREE
from gpupanel.db import schema
from gpupanel.search import SORTS
from gpupanel.web import serializers


@pytest.fixture
def gpupanel(admin_db, panel_conf):
    def run(*args, status=0):
        answer = preloaded_programs.run([GPUPANEL, "--config", panel_conf, *args])
        assert answer.returncode == status, answer.stderr
        return answer.stdout

    return run


@pytest.fixture
def three(admin_db):
    sync_ids = [f"{letter}0000000-0000-4000-8000-000000000000" for letter in "abc"]
    for number, sync_id in enumerate(sync_ids, 1):
        admin_db.execute(
            "INSERT INTO ingest_batch (id, sync_id, status, action, discovered_at) VALUES"
            " (%(id)s, %(sync_id)s, %(status)s, 'update', %(at)s)",
            id=number, sync_id=sync_id, status="failed" if number > 1 else "queued", at=f"2026-01-0{number}",
        )
    return sync_ids


@pytest.mark.parametrize("options, expected", [
    ([], [2, 1, 0]), (["--status", "failed", "--action", "update"], [2, 1]), (["--sort", "oldest"], [0, 1, 2]),
    (["b00"], [1]), (["--from", "2026-01-02", "--to", "2026-01-02"], [1]), (["--before", "3", "--limit", "1"], [1]),
    (["--host", "none"], []),
])
def test_ids_are_printed_one_a_line_for_other_commands_to_read(gpupanel, three, options, expected):
    assert gpupanel("list", "--ids", *options).splitlines() == [three[number] for number in expected]


def test_json_has_the_keys_of_the_panels_list(gpupanel, three):
    output = json.loads(gpupanel("list", "--limit", "2", "--json"))
    assert list(output) == ["count", "count_is_exact", "batches", "next", "previous", "stopped_at", "further"]
    more = ["queueable", "job", "needs_attention", "undone"]
    assert list(output["batches"][0]) == [*serializers.BATCH, *serializers.NAME, *more]
    assert (output["count"], output["next"], output["previous"]) == (3, {"before": 2}, None)


@pytest.mark.parametrize("options, expected", [
    ([], {"failed": 2, "queued": 1}), (["--to", "2026-01-02"], {"failed": 1, "queued": 1}),
    (["--status", "failed"], {"failed": 2}), (["b00"], {"failed": 1}),
])
def test_status_counts_what_the_same_filters_find(gpupanel, three, options, expected):
    output = json.loads(gpupanel("status", *options, "--json"))
    assert list(output) == [
        "batches", "at_least", "jobs", "running", "waiting", "held", "paused", "workers_alive", "workers",
        "now",
    ]
    assert {status: number for status, number in output["batches"].items() if number} == expected
    assert output["at_least"] == []


def test_status_says_what_may_be_more(gpupanel, admin_db):
    admin_db.execute("INSERT INTO ingest_batch (sync_id, status, discovered_at)"
                     " SELECT LPAD(seq, 36, '0'), 'failed', '2026-01-01' FROM seq_1_to_10001")
    output = json.loads(gpupanel("status", "--from", "2026-01-01", "--json"))
    assert (output["batches"]["failed"], output["at_least"]) == (10_000, ["failed"])
    assert "failed            10000+" in gpupanel("status", "--from", "2026-01-01")
    assert "failed            10001\n" in gpupanel("status")


def test_text_has_headings_and_names_the_next_page(gpupanel, three):
    lines = gpupanel("list", "--limit", "2").splitlines()
    assert (lines[0], lines[-1]) == ("3 found", "  Next page: --before 2")
    assert lines[1].split()[:2] == ["SYNC_ID", "STATUS"]
    assert lines[2].split()[:2] == [three[2], "failed"]


@pytest.mark.parametrize("options", [
    ["--status", "fine"], ["--from", "soon"], ["w" * 201], ["--before", "1", "--after", "2"], ["--limit", "0"],
])
def test_an_invalid_option_exits_2(gpupanel, three, options):
    gpupanel("list", *options, status=2)


@pytest.mark.parametrize("typed, offered", [
    (["pre"], ["preflight"]), (["list", "--st"], ["--status"]), (["list", "--status", "f"], ["failed"]),
    (["list", "--sort", ""], list(SORTS)), (["completion", "b"], ["bash"]), (["show", "b0000"], [1]),
])
def test_bash_completes_commands_options_words_and_sync_ids(gpupanel, three, panel_conf, typed, offered):
    script = gpupanel("completion", "bash")
    program = f"""{script}
        gpupanel() {{ {sys.executable} {TREE}/bin/gpupanel --config {panel_conf} "$@"; }}
        COMP_WORDS=(gpupanel "$@") COMP_CWORD=$# COMPREPLY=()
        _gpupanel
        printf '%s\\n' "${{COMPREPLY[@]}}" """
    answer = subprocess.run(["bash", "-c", program, "bash", *typed], capture_output=True, text=True)
    assert answer.stderr == ""
    assert answer.stdout.split() == [three[each] if isinstance(each, int) else each for each in offered]


def test_init_db_adds_the_indexes_that_an_older_table_lacks(server, admin_db):
    admin_db.execute("ALTER TABLE ingest_batch DROP KEY by_status, DROP KEY by_host, ADD KEY status (status, id)")
    made = schema.apply(server.admin("admin_panel"))
    admin_db.execute("ALTER TABLE ingest_batch DROP KEY status")
    assert made == ["index by_status of ingest_batch", "index by_host of ingest_batch"]
    assert schema.apply(server.admin("admin_panel")) == []
