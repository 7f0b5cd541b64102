"""Other people's machines: locales, streams, users, paths, and Python options that ours does not have."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from pathlib import Path

import installation
import pytest
import worker_helpers
from constants import TREE
from gpupanel.devtools.bundle_factory import BundleWriter

# Python then names files in ASCII, as it does in Latin-1 under de_DE.ISO-8859-1.
POSIX_LOCALE = {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": "latin-1"}
NOBODY = 54321  # a user id without a line in /etc/passwd


def run(program, *arguments, redirection="", environ=None, **options):
    """Run one of our programs by bash, and return status, output and errors."""
    command = [
        "bash", "-c", f'"$@" {redirection}', "bash", sys.executable, TREE / "bin" / program, *map(str, arguments)
    ]
    done = subprocess.run(
        command, capture_output=True, env=os.environ | (environ or {}), timeout=120, stdin=subprocess.DEVNULL, **options
    )
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def no_traceback(text):
    assert "Traceback" not in text and "Exception ignored" not in text, text
    return text


# ------------------------------------------------------------------------------------------- names in UTF-8

@pytest.fixture
def coast(server, admin_db, tmp_path):
    """A bundle and both configurations below a folder with a space and letters of other languages."""
    folder = tmp_path / "Küste 海岸 it's"
    assets = folder / "Bücher und Bilder"
    (assets / "sync").mkdir(parents=True)
    panel = installation.write(folder / "panel.conf", server.socket, assets, "gpu_panel", panel={"auth": "none"})
    worker = installation.write(
        folder / "worker.conf", server.socket, assets, "gpu_worker", worker={"poll_seconds": 0.05}
    )
    bundles = BundleWriter(assets / "sync", assets, seed=1, pictures=2)
    return bundles.bundle("coast", list(bundles.assets("coast", 2))), panel, worker


@pytest.mark.parametrize("environ", [{}, POSIX_LOCALE, {"PYTHONOPTIMIZE": "2"}], ids=["usual", "posix", "optimized"])
def test_a_bundle_below_any_folder_is_imported_in_every_locale(coast, panel_db, environ):
    sync_id, panel, worker = coast
    for arguments in (["scan"], ["preflight", sync_id], ["queue", sync_id]):
        status, output, errors = run("gpupanel", "--config", panel, *arguments, environ=environ)
        assert status == 0, output + errors
    status, output, errors = run("import-worker", "--config", worker, "--once", environ=environ)
    assert status == 0, errors
    assert worker_helpers.counts(panel_db, sync_id) == {"created": 2}
    status, output, errors = run("gpupanel", "--config", panel, "show", sync_id, environ=environ)
    assert (status, errors) == (0, "") and "created" in output


def test_output_is_utf8_in_every_locale(coast, panel_db):
    _, panel, worker = coast
    shutil.rmtree(panel.parent / "Bücher und Bilder" / "sync")
    status, _, errors = run("gpupanel", "--config", panel, "scan", environ=POSIX_LOCALE)
    assert status == 1 and "Küste 海岸" in no_traceback(errors)
    status, _, errors = run("import-worker", "--config", worker, "--check", environ=POSIX_LOCALE)
    assert status == 1 and "Küste 海岸" in no_traceback(errors)


def test_a_cgi_program_opens_names_in_utf8_in_every_locale(coast):
    sync_id, panel, _ = coast
    run("gpupanel", "--config", panel, "scan")
    environ = {"GPUPANEL_CONF": str(panel), "REQUEST_METHOD": "GET", "REMOTE_ADDR": "127.0.0.1",
               "SCRIPT_NAME": "/import-media.cgi",
               "PATH": os.environ["PATH"], **POSIX_LOCALE}
    program = TREE / "cgi-bin" / "import-media.cgi"
    first = program.read_text().splitlines()[0].removeprefix("#!/usr/bin/env -S python3 ")
    done = subprocess.run([sys.executable, first, program], env=environ, capture_output=True, timeout=60)
    assert done.stdout.startswith(b"Status: 200"), done.stdout + done.stderr
    assert sync_id[:8].encode() in done.stdout


def test_a_server_that_names_files_in_another_encoding_is_told_what_to_change(coast):
    _, panel, _ = coast
    code = (
        f"import sys; sys.path[:0] = [{str(TREE / 'lib')!r}]\nfrom gpupanel.web.entrypoints import application\n"
        "print(application('/')({'REQUEST_METHOD': 'GET'}, lambda *a: print(a[0])))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | POSIX_LOCALE | {"GPUPANEL_CONF": "panel.conf"},
        capture_output=True,
        cwd=panel.parent, timeout=60,
    )
    assert b"500" in done.stdout and b"C.UTF-8" in done.stderr, done


# ------------------------------------------------------------------------------------------- streams

@pytest.mark.parametrize(("program", "arguments", "redirection"), [
    ("gpupanel", ["list"], ">&-"), ("gpupanel", ["list"], "<&- >&-"), ("gpupanel", ["status"], ">&- 2>&-"),
    ("import-worker", ["--check"], ">&-"), ("import-worker", ["--check"], "2>&-"),
    ("import-worker", ["--check"], ">/dev/full"),
    ("import-worker", ["--once"], "<&- >&- 2>&-"), ("import-worker", ["--once"], ">&-"),
    ("import-worker", ["--help"], ">/dev/full"),
    ("import-worker", ["--help"], "| true"), ("import-worker", ["--help"], ">&-"), ("gpupanel", ["--help"], ">&-"),
])
def test_closed_and_full_streams_give_no_traceback(
    panel_conf, worker_conf, admin_db, bundles, program, arguments, redirection
):
    bundles.bundle("any", list(bundles.assets("any", 1)))
    conf = panel_conf if program == "gpupanel" else worker_conf
    status, output, errors = run(program, "--config", conf, *arguments, redirection=redirection)
    no_traceback(output + errors)
    assert len(errors.splitlines()) <= 2
    assert status in (0, 1, 2)
    if "--once" in arguments:
        assert status == 0


def test_a_dry_run_whose_reader_leaves_ends_quietly(panel_db, mount, bundles, worker_conf):
    sync_id = bundles.bundle("many", list(bundles.assets("many", 200)))
    worker_helpers.queue(panel_db, mount, sync_id)
    arguments = ["--config", worker_conf, "--dry-run", "--batch", sync_id]
    _, output, errors = run("import-worker", *arguments, redirection="| head -1")
    assert len(output.splitlines()) == 1
    assert errors == ""
    status, _, errors = run("import-worker", *arguments, redirection=">&-")
    assert status == 2 and "standard output is closed" in no_traceback(errors)


def test_a_reader_that_is_slow_to_read_gets_everything(panel_conf, admin_db):
    """Another program has made the pipe non-blocking; a write to a full one then fails instead of waiting."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    os.write(writer, b"x" * 65000)
    process = subprocess.Popen(
        [
            sys.executable, TREE / "bin" / "gpupanel", "--config", panel_conf, "doctor", "--json"
        ], stdout=writer, stderr=subprocess.PIPE
    )
    os.close(writer)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(4)
    with open(reader, "rb") as file:
        text = file.read()
    assert text[65000:].rstrip().endswith((b"]", b"}")) and process.wait(30) in (0, 1)
    assert process.stderr.read() == b""
    process.stderr.close()


def test_bytes_that_are_no_text_are_no_sync_id(panel_conf, admin_db):
    status, _, errors = run(
        "gpupanel", "--config", panel_conf, "preflight", "-", redirection="< <(printf '\\xff\\xfe')"
    )
    assert status == 2 and errors.startswith("gpupanel: Not a sync_id: ")


def test_a_worker_whose_statements_the_server_cannot_take_ends_with_one_line(worker_conf, admin_db):
    [[before]] = [list(row.values()) for row in admin_db.execute("SELECT @@GLOBAL.max_allowed_packet AS bytes")]
    admin_db.execute("SET GLOBAL max_allowed_packet = 1024")
    try:
        status, _, errors = run("import-worker", "--config", worker_conf, "--once")
    finally:
        admin_db.execute("SET GLOBAL max_allowed_packet = %(bytes)s", bytes=before)
    last = no_traceback(errors).splitlines()[-1]
    assert status == 1
    assert "max_allowed_packet is 1,024. Increase max_allowed_packet of the server" in last


@pytest.mark.parametrize(("line", "problem"), [
    ("", "[database] user: found nothing, expected an account"),
    ("user = gpu_worker\nssl_ca = worker.conf", "[database] ssl_ca: "),
])
def test_a_worker_that_can_never_sign_in_ends_instead_of_waiting(worker_conf, admin_db, line, problem):
    text = worker_conf.read_text()
    assert "user = gpu_worker\n" in text
    worker_conf.write_text(text.replace("user = gpu_worker\n", f"{line}\n"))
    for option in ("--once", "--check"):
        status, output, errors = run("import-worker", "--config", worker_conf, option)
        assert status == (2 if option == "--once" else 1)
        assert problem in no_traceback(output + errors)


# ------------------------------------------------------------------------------------------- users, folders, packages

needs_root = pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
FOLDERS = {*(TREE / "bin").resolve().parents, *Path(sys.executable).parents}
needs_open_folders = pytest.mark.skipif(
    not all(folder.stat().st_mode & 0o001 for folder in FOLDERS),
    reason="other users cannot enter the folder of this checkout, such as one below /root",
)


def as_nobody():
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)


@pytest.fixture
def container(server):
    """A folder that any user may enter, with a bundle and configurations that NOBODY owns."""
    folder = Path(tempfile.mkdtemp())  # pytest closes its own folders to others
    assets = folder / "assets"
    (assets / "sync").mkdir(parents=True)
    bundles = BundleWriter(assets / "sync", assets, seed=1, pictures=2)
    bundles.bundle("any", list(bundles.assets("any", 1)))
    for name in ("panel", "worker"):
        installation.write(folder / f"{name}.conf", server.socket, assets, f"gpu_{name}")
    for file in [folder, *folder.iterdir()]:
        os.chown(file, NOBODY, NOBODY)
    server.socket.parent.chmod(0o711)
    yield folder
    shutil.rmtree(folder)


@needs_root
@needs_open_folders
def test_a_user_id_without_a_name_runs_every_program(admin_db, container):
    """As in a container that runs under any user id."""
    environ = {name: "" for name in ("USER", "LOGNAME", "LNAME", "USERNAME", "HOME")}
    for program, arguments, expected in (
        ("gpupanel", ["list"], 0), ("gpupanel", ["scan"], 2), ("gpupanel", ["--as", "admin", "scan"], 0),
        ("gpupanel", ["doctor"], None),
        ("import-worker", ["--check"], None), ("import-worker", ["--once"], 0),
    ):
        conf = container / ("panel.conf" if program == "gpupanel" else "worker.conf")
        status, output, errors = run(program, "--config", conf, *arguments, environ=environ, preexec_fn=as_nobody)
        no_traceback(output + errors)
        assert expected in (None, status), (program, arguments, output, errors)
        if expected == 2:
            assert "--as NAME" in errors and str(NOBODY) in errors


@pytest.mark.parametrize("program", ["gpupanel", "import-worker"])
def test_a_program_without_its_packages_names_them_in_one_line(tmp_path, program):
    """A copy has no venv beside it, and Python sees no other packages."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "lib").symlink_to(TREE / "lib")
    shutil.copy(TREE / "bin" / program, tmp_path / "bin")
    (tmp_path / "a.conf").write_text("")
    for arguments in (
        ["--config", tmp_path / "a.conf", "list"], ["--help"]
    ) if program == "gpupanel" else (["--check"], ["--help"]):
        done = subprocess.run(
            [
                sys.executable, "-ISXutf8", tmp_path / "bin" / program, *arguments
            ], capture_output=True, text=True, timeout=60
        )
        if done.returncode:
            assert len(no_traceback(done.stderr).splitlines()) == 2 and "make venv" in done.stderr


@needs_root
def test_a_read_only_checkout_works_and_says_where_the_demo_may_write(tmp_path, panel_conf, admin_db):
    script = 'mount --bind "$1" "$1" && mount -o remount,ro,bind "$1" && shift && exec "$@"'
    inside = ["unshare", "--mount", "sh", "-c", script, "sh", TREE]
    done = subprocess.run(
        [*inside, TREE / "bin" / "gpupanel", "--config", panel_conf, "list"], capture_output=True, text=True
    )
    if "unshare" in done.stderr or "mount:" in done.stderr:
        pytest.skip(done.stderr)
    assert (done.returncode, done.stderr) == (0, "")
    done = subprocess.run(
        [*inside, TREE / "bin" / "gpupanel", "run", "--var", TREE / "var-that-is-new"], capture_output=True, text=True
    )
    assert done.returncode == 1 and "Read-only file system" in no_traceback(done.stderr) and "VAR=" in done.stderr


def test_the_demo_runs_below_a_folder_with_spaces_and_a_temporary_folder_with_spaces(tmp_path):
    folder, temporary = tmp_path / "x y" / "with space" / "Küste", tmp_path / "temporary files"
    temporary.mkdir()
    process = subprocess.Popen(
        [sys.executable, TREE / "bin" / "gpupanel", "demo", "--once", "--var", folder], stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, env=os.environ | {"TMPDIR": str(temporary)} | POSIX_LOCALE, start_new_session=True,
    )
    try:
        output = process.communicate(timeout=200)[0].decode()
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
    assert process.returncode == 0, output
    assert not (tmp_path / "x").exists()


def test_a_port_that_is_taken_is_named_with_the_option_that_chooses_another(panel_conf, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        status, _, errors = run("gpupanel", "--config", panel_conf, "serve", "--port", port)
    assert status == 1 and f"port {port}" in no_traceback(errors) and "--port" in errors


def test_messages_are_there_in_optimized_python(tmp_path):
    status, _, errors = run("gpupanel", "--config", tmp_path / "none.conf", "list", environ={"PYTHONOPTIMIZE": "2"})
    assert status == 2 and "etc/panel.conf.example" in errors
    status, output, _ = run("gpupanel", "--help", environ={"PYTHONOPTIMIZE": "2"})
    assert status == 0 and len(output.splitlines()) > 20


def test_the_panel_serves_its_messages_in_optimized_python(coast, server):
    _, panel, _ = coast
    process = subprocess.Popen(
        [sys.executable, TREE / "bin" / "gpupanel", "--config", panel, "serve", "--port", "0", "--json"],
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONOPTIMIZE": "2"} | POSIX_LOCALE,
    )
    try:
        address = json.loads("".join(iter(lambda: process.stdout.readline().decode(), "}\n")) + "}")["address"]
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(f"{address}?action=detail&sync_id=37e428d2-a4f6-4a31-bacf-0c835fb24084")
        assert caught.value.code == 404 and "37e428d2" in caught.value.read().decode()
    finally:
        process.terminate()
        process.communicate(timeout=30)
