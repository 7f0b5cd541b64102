"""bin/gpupanel without a database: usage, broken configuration, text for a terminal (docs/CONTRACT.md, 11)."""

import json
import os
import shutil
import subprocess
import sys
from argparse import Namespace

import preloaded_programs
import pytest
from constants import GPUPANEL, TREE
from gpupanel import text
from gpupanel.cli import main, output
from gpupanel.devtools import processes
from gpupanel.errors import PanelError

S = "37e428d2-a4f6-4a31-bacf-0c835fb24084"


def gpupanel(*args, **environ):
    kept = {key: value for key, value in os.environ.items() if key != "GPUPANEL_CONF"}
    return preloaded_programs.run([GPUPANEL, *args], env=kept | environ)


@pytest.mark.parametrize("usage", [
    [], ["sing"], ["queue"], ["preflight"], ["show"], ["wait"], ["wait", S, "--timeout", "soon"],
    ["events", "--day", "x"], ["events", "--batch", "x"], ["notify", "--now", "--test"],
    ["cancel"], ["cancel", "one"], ["cancel", "0"],
    ["scan", "--loud"], ["queue", S, "--priority", "high"], ["queue", S, "--priority", str(2**31)],
    ["show", S, "--items", "-1"], ["serve", "--port", "65536"], ["scan", "--as", ""], ["scan", "--as", "a\nb"],
    ["scan", "--as", "a" * 256], ["events", "--day", "9999-12-31"], ["events", "--day", "2026-W05-1"],
])
def test_wrong_usage_exits_2_and_says_how_it_is_used(usage):
    answer = gpupanel(*usage)
    assert answer.returncode == 2
    assert "usage: gpupanel" in answer.stderr
    assert answer.stdout == ""


@pytest.mark.parametrize(
    "command",
    [
        "init-db",
        "scan",
        "preflight",
        "check",
        "queue",
        "retry",
        "cancel",
        "list",
        "status",
        "wait",
        "events",
        "show",
        "notify",
        "doctor",
        "serve",
        "demo",
        "run",
        "compare",
    ],
)
def test_each_command_explains_itself(command):
    answer = gpupanel(command, "--help")
    assert answer.returncode == 0
    assert f"usage: gpupanel {command}" in answer.stdout
    assert "--json" in answer.stdout and "--config" in answer.stdout


@pytest.fixture
def broken_conf(tmp_path):
    file = tmp_path / "broken.conf"
    file.write_text("[database]\nport = many\n[mount]\nsync_dri = /x\n[painel]\nauth = none\n[panel]\nauth = maybe\n")
    return file


def test_without_its_packages_the_program_says_what_installs_them(tmp_path):
    """A copy of bin/ and lib/ without venv/, run by a Python without site-packages."""
    for folder in ("bin", "lib"):
        (tmp_path / folder).symlink_to(TREE / folder)
    (tmp_path / "bin").unlink()
    (tmp_path / "bin").mkdir()
    program = shutil.copy(TREE / "bin" / "gpupanel", tmp_path / "bin")
    answer = subprocess.run(
        [sys.executable, "-IS", program, "status"], capture_output=True, text=True, stdin=subprocess.DEVNULL
    )
    assert answer.returncode == 1
    assert "Traceback" not in answer.stderr and "`make install` completes an installation." in answer.stderr


@pytest.mark.parametrize("command", [["scan"], ["status"], ["doctor"], ["serve"], ["init-db"], ["queue", S]])
def test_a_broken_configuration_exits_2_and_every_problem_is_listed(broken_conf, command):
    answer = gpupanel(*command, "--config", broken_conf)
    assert answer.returncode == 2
    for problem in ("[database] port", "[mount] sync_dri", "[painel]", "[panel] auth"):
        assert problem in answer.stderr
    assert "etc/*.conf.example" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_with_json_a_failure_is_an_object_on_standard_output(broken_conf):
    failure = json.loads(gpupanel("--json", "status", "--config", broken_conf).stdout)
    assert sorted(failure) == ["error", "hint", "problems"]
    assert len(failure["problems"]) == 4


def test_the_configuration_is_the_one_given_then_the_environments_then_etc_panel_conf(tmp_path):
    named = gpupanel("status", "--config", tmp_path / "given.conf", GPUPANEL_CONF=str(tmp_path / "environ.conf"))
    environ = gpupanel("status", GPUPANEL_CONF=str(tmp_path / "environ.conf"))
    assert str(tmp_path / "given.conf") in named.stderr
    assert str(tmp_path / "environ.conf") in environ.stderr


@pytest.mark.parametrize("arguments", [
    [b"list", b"--host", b"\xff"], [b"list", b"\xff"], [b"status", b"\xff"], [b"events", b"--actor", b"\xff"],
    [b"events", b"--event", b"\xff"],
])
def test_an_argument_that_is_no_text_is_named(arguments):
    answer = gpupanel(*map(os.fsdecode, arguments))
    assert answer.returncode == 2
    assert "found '\\udcff', expected text in UTF-8" in answer.stderr


@pytest.mark.parametrize("name", ["\udcff", "a\nb", "a" * 256])
def test_a_login_name_that_cannot_be_recorded_asks_for_another(tmp_path, name):
    conf = tmp_path / "panel.conf"
    conf.write_text("[database]\nhost = 127.0.0.1\nport = 9\nuser = x\npassword = y\n")
    answer = gpupanel("--config", conf, "pause", "--reason", "x", LOGNAME=name)
    assert answer.returncode == 2
    assert "expected 1 to 255 printable characters" in answer.stderr and "--as NAME" in answer.stderr


@pytest.mark.parametrize("host", ["a..b", "\udcff", "a" * 300, ""])
def test_a_host_that_cannot_be_is_named(tmp_path, host):
    conf = tmp_path / "panel.conf"
    conf.write_text(f"[database]\nuser = x\n[panel]\nsecret_file = {tmp_path / 'secret'}\n")
    answer = gpupanel("--config", conf, "serve", "--host", host, "--port", "0")
    assert answer.returncode == 2
    assert answer.stderr.startswith(f"gpupanel: --host: found {host!r}, expected ")
    assert len(answer.stderr.splitlines()) == 1


@pytest.mark.parametrize("arguments", [
    ["--help"], ["list", "--help"], ["list", "--json"], ["check", "--schema"], ["completion", "bash"],
])
def test_a_full_disk_ends_a_command_with_one_line(tmp_path, arguments):
    with open("/dev/full", "w") as full:
        answer = subprocess.run(
            [sys.executable, TREE / "bin" / "gpupanel", "--config", tmp_path / "missing.conf", *arguments], stdout=full,
            stderr=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL,
        )
    assert answer.returncode in (1, 2)
    assert "Traceback" not in answer.stderr and answer.stderr.startswith("gpupanel: ")


def test_input_without_an_end_is_no_list_of_sync_ids(tmp_path):
    with open("/dev/zero") as zero:
        answer = subprocess.run(
            [sys.executable, TREE / "bin" / "gpupanel", "preflight", "-"], stdin=zero, capture_output=True, text=True,
        )
    assert answer.returncode == 2
    assert answer.stderr.startswith("gpupanel: standard input: found more than ")


def test_of_many_words_that_are_no_sync_ids_the_first_are_shown():
    answer = gpupanel("preflight", *(["x" * 1000] + [f"word{number}" for number in range(1000)]))
    assert answer.returncode == 2
    shown = f"{'x' * 60}..., word0, word1, word2, word3 and 996 more"
    assert answer.stderr.splitlines()[0] == f"gpupanel: Not a sync_id: {shown}"


def test_a_configuration_that_is_missing_says_what_to_copy_and_which_is_the_demos(tmp_path):
    answer = gpupanel("status", "--config", tmp_path / "no.conf")
    assert answer.returncode == 2
    assert "Copy etc/panel.conf.example" in answer.stderr and "--config var/panel.conf" in answer.stderr


def test_options_may_stand_before_the_command_and_after_it(tmp_path):
    before = gpupanel("--config", tmp_path / "no.conf", "status")
    after = gpupanel("status", "--config", tmp_path / "no.conf")
    assert before.stderr == after.stderr
    assert str(tmp_path / "no.conf") in after.stderr


def test_a_database_that_is_down_is_a_message_and_not_a_traceback(tmp_path):
    conf = tmp_path / "panel.conf"
    conf.write_text(f"[database]\nunix_socket = {tmp_path / 'nobody.sock'}\nuser = gpu_panel\n")
    answer = gpupanel("status", "--config", conf)
    assert answer.returncode == 1
    assert "Check that MariaDB runs" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_with_auth_none_serve_refuses_to_listen_beyond_loopback(tmp_path):
    conf = tmp_path / "panel.conf"
    conf.write_text("[database]\nuser = gpu_panel\n[panel]\nauth = none\n")
    answer = gpupanel("serve", "--host", "0.0.0.0", "--port", "0", "--config", conf)
    assert answer.returncode == 2
    assert "only loopback is allowed" in answer.stderr


@pytest.mark.parametrize(("hostile", "shown"), [
    ("a\x1b[2Jb", "a\\x1b[2Jb"), ("a\nb\tc", "a\\nb\\tc"), ("a\u202eb", "a\\u202eb"), ("a\u2028b", "a\\u2028b"),
    ("\udc80", "\\udc80"), ("Grüße", "Grüße"), (None, "-"), ("", "-"), (0, "0"),
])
def test_what_could_steer_a_terminal_is_shown_as_an_escape(hostile, shown):
    assert output.format_cell(hostile) == shown


@pytest.mark.parametrize(("count", "shown"), [
    (0, "0 B"), (1023, "1023 B"), (1024, "1.0 KB"), (181162647, "172.8 MB"), (2**60, "1.0 EB"), (2**80, "1048576.0 EB"),
])
def test_bytes_are_formatted_by_1024_with_one_decimal(count, shown):
    assert text.format_size(count) == shown


def test_a_hint_of_several_lines_is_printed_line_by_line_and_steers_no_terminal(capfd):
    error = PanelError("It ended.", "The end of the log:\nfirst\n\x1b[2Jlast")
    assert main._fail(Namespace(json=False), error) == main.REFUSED
    assert capfd.readouterr().err == "gpupanel: It ended.\nThe end of the log:\nfirst\n\\x1b[2Jlast\n"


def test_of_a_log_its_last_ten_lines_are_shown():
    assert processes.last_lines("\n".join(map(str, range(100))) + "\n").split("\n") == [
        str(line) for line in range(90, 100)
    ]


def test_columns_are_aligned():
    assert output.format_table([("a", 1, "x"), ("bbb", 22, None)]) == ["  a    1   x", "  bbb  22  -"]
