"""Configuration files: read whole, checked whole, every problem at once (docs/CONTRACT.md, 11)."""

import re
from pathlib import Path

import pytest

from gpupanel import config
from gpupanel.errors import ConfigurationError
from gpupanel.resources import TREE


@pytest.fixture
def load(tmp_path):
    def load(text: str):
        path = tmp_path / "panel.conf"
        path.write_text(text)
        return config.load(path)

    return load


def problems_of(load, text):
    with pytest.raises(ConfigurationError) as caught:
        load(text)
    return caught.value.problems


def test_an_empty_file_means_the_documented_defaults(load):
    settings = load("")
    assert settings.database.name == "admin_panel"
    assert settings.mount.sync_dir == Path("/mnt/s3-sync/assets/sync")
    assert settings.mount.assets_dir == Path("/mnt/s3-sync/assets")
    assert settings.panel.page_size == 50
    assert settings.worker == config.WorkerSettings(1, 15, 15, 100, 16, 5)


def test_assets_dir_is_the_parent_of_another_sync_dir(load):
    assert load("[mount]\nsync_dir = /data/assets/sync").mount.assets_dir == Path("/data/assets")


def test_relative_paths_start_at_the_folder_of_the_file(load, tmp_path):
    assert load("[mount]\nsync_dir = assets/sync").mount.sync_dir == tmp_path / "assets/sync"


def test_every_problem_is_reported_at_once(load):
    found = problems_of(load, "[database]\nport = many\nhots = x\n[panle]\na = b\n[panel]\nauth = maybe\npage_size = 0")
    assert [problem.split(":")[0] for problem in found] == [
        "[database] port", "[database] hots", "[panle]", "[panel] auth", "[panel] page_size",
    ]


def test_the_password_comes_from_its_file(load, tmp_path):
    (tmp_path / "secret").write_text("s3 cret\n")
    assert load("[database]\npassword_file = secret").database.password == "s3 cret"


def test_a_password_given_twice_is_a_problem(load, tmp_path):
    (tmp_path / "secret").write_text("x")
    assert "expected one of them" in problems_of(load, "[database]\npassword = a\npassword_file = secret")[0]


def test_a_missing_password_file_is_a_problem(load):
    assert "No such file" in problems_of(load, "[database]\npassword_file = nowhere")[0]


def test_the_password_never_shows(load):
    settings = load("[database]\npassword = hunter2")
    assert "hunter2" not in repr(settings)
    assert "hunter2" not in str(problems_of(load, "[database]\npassword = hunter2\nhunter2 hunter2"))


@pytest.mark.parametrize(("content", "problem"), [
    (b"a\nb\n", "found 2 lines, expected only the password"),
    (b"", "found 0 lines, expected only the password"),
    (b"pa\xdfwort\n", "line 1: found byte 0xdf, expected UTF-8"),
])
def test_a_password_file_that_holds_anything_else_is_a_problem(load, tmp_path, content, problem):
    (tmp_path / "secret").write_bytes(content)
    assert problems_of(load, "[database]\npassword_file = secret") == [f"[database] password_file: secret: {problem}"]


def test_a_device_without_an_end_is_neither_a_configuration_nor_a_password(load):
    expected = "found more than 1048576 bytes, expected at most 1048576"
    assert problems_of(load, "[database]\npassword_file = /dev/zero") == [
        f"[database] password_file: /dev/zero: {expected}"
    ]
    with pytest.raises(ConfigurationError) as caught:
        config.load(Path("/dev/zero"))
    assert caught.value.problems == [expected]


@pytest.mark.parametrize(("content", "problem"), [
    (b"[database]\nuser = a\nuser = b\n", "line 3: found the option user again in its section, expected each once"),
    (b"[mount]\n[mount]\n", "line 2: found the section [mount] again, expected each once"),
    (b"user = a\n", "line 1: expected `option = value` under a [section], or a comment that begins with #"),
    (b"[database]\nuser\n", "line 2: expected `option = value` under a [section], or a comment that begins with #"),
    (b"[database]\nuser = J\xf6rg\n", "line 2: found byte 0xf6, expected UTF-8"),
    ("[database]\nuser = a\n".encode("utf-16"), "line 1: found byte 0xff, expected UTF-8"),
    (b"[database]\n\nhost = a\0b\n", "line 3: found a NUL, expected text"),
])
def test_a_file_that_is_no_configuration_is_told_by_line(tmp_path, content, problem):
    file = tmp_path / "panel.conf"
    file.write_bytes(content)
    with pytest.raises(ConfigurationError) as caught:
        config.load(file)
    assert caught.value.problems == [problem]


def test_files_of_an_editor_of_windows_are_read(tmp_path):
    (tmp_path / "secret").write_bytes(b"\xef\xbb\xbfpa\xe2\x82\xacss\r\n")
    file = tmp_path / "panel.conf"
    file.write_bytes(b"\xef\xbb\xbf[database]\r\nuser = gpu_panel\r\npassword_file = secret\r\n")
    database = config.load(file).database
    assert (database.user, database.password) == ("gpu_panel", "pa\u20acss")


@pytest.mark.parametrize("text", ["a b", "a..b", ".", "db/x\u200b", "a" * 64, ".".join(["a" * 60] * 5)])
@pytest.mark.parametrize("option", ["[database]\nhost", "[notify]\nsmtp_host"])
def test_a_text_that_no_host_can_have_as_its_name_is_a_problem(load, option, text):
    [problem] = problems_of(load, f"{option} = {text}")
    assert problem.endswith("expected the name or address of a host") and len(problem) < 180


@pytest.mark.parametrize("text", ["db.example", "db.example.", "::1", "127.0.0.1", "b\u00fccher.example", "db_1"])
def test_a_name_or_an_address_is_a_host(load, text):
    assert load(f"[database]\nhost = {text}").database.host == text


def test_a_path_that_no_socket_can_have_is_a_problem(load):
    assert load(f"[database]\nunix_socket = /{'a' * 106}").database.unix_socket
    [problem] = problems_of(load, "[database]\nunix_socket = /" + "\u00e4" * 54)
    assert problem.endswith("expected a path of at most 107 bytes")


def test_a_percent_sign_is_an_ordinary_character(load):
    assert load("[database]\npassword = 100%s").database.password == "100%s"


def test_a_heartbeat_slower_than_the_threshold_is_a_problem(load):
    assert "live workers lose their jobs" in problems_of(load, "[worker]\nheartbeat_seconds = 40\nstale_minutes = 1")[0]


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigurationError, match=r"nothing\.conf cannot be read"):
        config.load(tmp_path / "nothing.conf")


def test_the_file_given_wins_over_the_environment_and_that_over_the_default():
    environ = {"GPUPANEL_CONF": "b"}
    assert config.locate("a", "c", environ) == Path("a")
    assert config.locate(None, "c", environ) == Path("b")
    assert config.locate(None, "c", {}) == Path("c")


EXAMPLES = {"panel": {"database", "mount", "panel", "notify"}, "worker": {"database", "mount", "worker"}}


@pytest.mark.parametrize(("file", "sections"), EXAMPLES.items())
def test_the_example_has_each_option_once_with_its_default(load, file, sections):
    text = (TREE / f"etc/{file}.conf.example").read_text()
    named, section = [], ""
    for line in text.splitlines():
        if header := re.fullmatch(r"\[(\w+)\]", line):
            section = header[1]
        elif option := re.fullmatch(r"#?(\w+) =.*", line):
            named.append((section, option[1]))
    declared = [(section, option) for section in sections for option in config.OPTIONS[section]]
    assert sorted(named) == sorted(declared)
    # What is commented out is the default, but for paths that have none and are given as examples.
    given = re.sub(r"(?m)^#(?!(password|templates|socket|assets_dir|smtp_port) )(\w+ =)", r"\2", text)
    given = re.sub(r"(?m)^(user|password_file|secret_file) =.*$", "", given)
    assert load(given) == load("")


def test_each_option_has_a_purpose_in_one_sentence():
    for settings in config.SECTIONS.values():
        for option, hint in settings.__annotations__.items():
            kind, purpose = hint.__metadata__
            assert kind.expected and re.fullmatch(r"[A-Z][^.]*(\.\w[^.]*)*\.", purpose), option


@pytest.mark.parametrize(("text", "names"), [
    ("jane", {"jane"}), ("Jane Doe,", {"Jane Doe"}), ("Jane Doe, bob", {"Jane Doe", "bob"}),
    ("a,b ,c", {"a", "b", "c"}), ("*", {"*"}),
    ("", set()), ("\n  Jane Doe\n  bob", {"Jane Doe", "bob"}), (" , ", set()),
])
def test_names_are_separated_by_commas_and_may_have_spaces(load, text, names):
    assert load(f"[panel]\noperators = {text}").panel.operators == names


@pytest.mark.parametrize("text", ["jane;bob", '"Jane Doe",', "'jane'", "jane, bob # the boss"])
def test_a_list_of_names_in_another_notation_is_a_problem(load, text):
    [problem] = problems_of(load, f"[panel]\noperators = {text}")
    assert "expected user names separated by commas, without quotes or comments" in problem


@pytest.mark.parametrize(("option", "text"), [
    ("user", ""), ("user", "gpu_panel # reads"), ("user", "a" * 129), ("name", ""), ("name", "admin_panel ; ours"),
    ("name", "#"), ("name", "a" * 65), ("user", "gpu\u200bpanel"),
])
def test_an_account_and_a_database_have_names_and_no_comment_behind_them(load, option, text):
    [problem] = problems_of(load, f"[database]\n{option} = {text}")
    assert problem.startswith(f"[database] {option}: found ") and "expected a name of 1 to " in problem


def test_a_line_that_could_be_one_name_or_two_is_a_problem(load):
    [problem] = problems_of(load, "[panel]\noperators = Jane Doe")
    assert "found 'Jane Doe'" in problem and "ends with a comma" in problem


@pytest.mark.parametrize("text", [
    "ssl = on", "ssl_verify = maybe", "ssl = off\nssl_verify = yes", "ssl_ca = nowhere.pem", "ssl_cert = secret",
    "ssl_key = secret",
])
def test_encryption_that_contradicts_itself_or_lacks_files_is_a_problem(load, tmp_path, text):
    (tmp_path / "secret").write_text("x")
    assert all(problem.startswith("[database] ssl") for problem in problems_of(load, f"[database]\n{text}"))


def test_encryption_is_required_by_everything_that_names_its_certificates(load, tmp_path):
    (tmp_path / "ca.pem").write_text("x")
    plain, remote, verified = (
        load(f"[database]\n{text}").database for text in ("", "host = db.example", "host = 127.0.0.1\nssl_ca = ca.pem")
    )
    assert (plain.wants_tls, remote.wants_tls, remote.requires_tls) == (False, True, False)
    assert (verified.wants_tls, verified.requires_tls, verified.verifies_tls) == (True, True, True)
    assert verified.ssl_ca == tmp_path / "ca.pem"
