"""`make install`: a tree that runs from its prefix, and an upgrade that keeps etc/*.conf."""

import os
import re
import stat
import subprocess

import pytest
from webservers import PATH, WEB_USER, identity

LAID_OUT = {"bin", "cgi-bin", "docs", "etc", "lib", "static", "templates", "venv"}
EMPTY_REQUEST = {
    "GATEWAY_INTERFACE": "CGI/1.1", "REQUEST_METHOD": "GET", "SCRIPT_NAME": "/admin/import-media.cgi",
    "REMOTE_USER": "admin",
}


def snapshot(tree):
    """Return mode and content of every file that is not bytecode."""
    files = (path for path in tree.rglob("*") if path.is_file() and path.suffix != ".pyc" and "venv" not in path.parts)
    return {str(path.relative_to(tree)): (path.stat().st_mode, path.read_bytes()) for path in files}


def as_web_user(*command, **environ):
    return subprocess.run(
        command, env={"PATH": PATH} | environ, stdin=subprocess.DEVNULL, capture_output=True, **identity(WEB_USER),
    )


def test_the_tree_is_laid_out_as_the_perl_panels_was(tree):
    assert {path.name for path in tree.iterdir()} >= LAID_OUT
    assert not list(tree.glob(".*")) and not (tree / "tests").exists()


def test_the_tools_of_developers_are_not_installed(tree):
    assert not (tree / "lib" / "gpupanel" / "devtools").exists()
    answer = subprocess.run([tree / "bin" / "gpupanel", "--help"], capture_output=True, text=True)
    assert answer.returncode == 0 and "serve" in answer.stdout
    assert "demo" not in answer.stdout


def test_a_staged_tree_knows_only_the_prefix_that_it_will_run_from(tree, world):
    texts = [path for kind in ("venv/*.cfg", "venv/bin/*", "etc/*/*", "bin/*") for path in tree.glob(kind)]
    staged = str(world / "stage").encode()
    assert [path for path in texts if path.is_file() and staged in path.read_bytes()] == []
    assert str(tree).encode() in (tree / "etc" / "apache" / "import-media-cgi.conf").read_bytes()
    assert subprocess.run([tree / "venv" / "bin" / "pip", "--version"], capture_output=True).returncode == 0


def test_the_tests_and_the_demo_bring_no_package_into_it(tree):
    command = [tree / "venv" / "bin" / "pip", "list", "--format=freeze"]
    listed = subprocess.run(command, capture_output=True, text=True).stdout
    names = {line.partition("==")[0].lower() for line in listed.split()}
    assert {"bottle", "jinja2", "msgspec", "pymysql", "waitress"} <= names
    assert not {"pytest", "hypothesis", "pillow", "webtest"} & names


def test_a_process_of_the_web_server_compiles_nothing(site):
    """It compiles neither modules nor templates, and could not store the result."""
    program = site.tree / "cgi-bin" / "import-media.cgi"
    answer = as_web_user("/usr/bin/python3", "-v", program, **EMPTY_REQUEST)
    assert answer.stdout.startswith(b"Status: 200 OK")
    said = answer.stderr.decode().splitlines()
    loaded = [line for line in said if line.startswith("# code object from ") and str(site.tree) in line]
    assert any("templates/compiled" in line for line in loaded) and any("gpupanel/web/" in line for line in loaded)
    assert [line for line in loaded if ".pyc'" not in line] == []


def test_a_template_that_was_changed_in_place_is_used(site):
    layout = site.tree / "templates" / "layout.html"
    before, times = layout.read_text(), layout.stat()
    layout.write_text(before.replace("All times are UTC.", "Changed in place."))
    try:
        assert b"Changed in place." in as_web_user(site.tree / "cgi-bin" / "import-media.cgi", **EMPTY_REQUEST).stdout
    finally:
        layout.write_text(before)
        os.utime(layout, ns=(times.st_atime_ns, times.st_mtime_ns))


def test_an_override_extends_the_compiled_layout(site, world):
    templates = world / "overrides"
    templates.mkdir(exist_ok=True)
    (templates / "layout.html").write_text(
        '{% extends "panel/layout.html" %}{% block banner %}<b>The host panel</b>{% endblock %}'
    )
    config = site.tree / "etc" / "overridden.conf"
    config.write_text((site.tree / "etc" / "panel.conf").read_text() + f"templates = {templates}\n")
    page = as_web_user(site.tree / "cgi-bin" / "import-media.cgi", GPUPANEL_CONF=str(config), **EMPTY_REQUEST).stdout
    assert b"<b>The host panel</b>" in page and b"All times are UTC." in page


def test_installing_again_changes_nothing(make_install, tree):
    before, venv = snapshot(tree), (tree / "venv").stat().st_ino
    make_install(PREFIX=tree)
    assert snapshot(tree) == before
    assert (tree / "venv").stat().st_ino == venv


def test_an_upgrade_keeps_the_operators_files_and_nothing_else_that_is_old(make_install, tree):
    kept, gone = tree / "etc" / "mine.conf", tree / "lib" / "gpupanel" / "given_up.py"
    kept.write_text("# the operator's\n")
    kept.chmod(0o600)
    gone.write_text("")
    (tree / "etc" / "schema.sql").write_text("-- an old one")
    make_install(PREFIX=tree)
    assert kept.read_text() == "# the operator's\n" and stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert not gone.exists()
    assert "CREATE TABLE" in (tree / "etc" / "schema.sql").read_text()


def test_the_venv_has_the_versions_of_the_lock_file(tree):
    asked = subprocess.run([tree / "venv" / "bin" / "pip", "freeze", "--all"], capture_output=True, text=True)
    locked = re.findall(r"^([\w-]+==\S+)", (tree / "requirements.lock").read_text(), re.MULTILINE)
    normalized = re.sub(r"[-_.]+(?=.*==)", "-", asked.stdout).lower().splitlines()
    assert len(locked) > 5 and set(locked) <= set(normalized)


@pytest.fixture
def lock(world):
    """The lock file of the checkout, as it was again afterwards."""
    file = world / "checkout" / "requirements.lock"
    before = file.read_text()
    yield file
    file.write_text(before)


def test_a_package_whose_hash_is_not_in_the_lock_file_is_refused_and_the_tree_stays_as_it_was(make_install, tree, lock):
    before = snapshot(tree)
    lock.write_text(re.sub(r"(?<=sha256:)[0-9a-f]{8}", "0" * 8, lock.read_text()))
    with pytest.raises(subprocess.CalledProcessError) as refused:
        make_install(PREFIX=tree)
    assert "DO NOT MATCH THE HASHES" in refused.value.stderr and "is unchanged" in refused.value.stderr
    assert snapshot(tree) == before and not (tree / ".new").exists()


@pytest.mark.long
def test_another_lock_file_brings_a_new_venv(make_install, tree, lock):
    before = (tree / "venv").stat().st_ino
    lock.write_text(lock.read_text() + "# Another one.\n")
    make_install(PREFIX=tree)
    assert (tree / "venv").stat().st_ino != before


@pytest.mark.long
def test_debians_packages_are_used_when_asked_for(make_install, world):
    """pip then fetches only what they lack; the programs find both."""
    tree = world / "debian"
    make_install(PREFIX=tree, DEBIAN_PACKAGES="1")
    assert "include-system-site-packages = true" in (tree / "venv" / "pyvenv.cfg").read_text()
    asked = subprocess.run([tree / "bin" / "gpupanel", "--help"], capture_output=True, text=True)
    assert asked.returncode == 0 and "doctor" in asked.stdout


def test_a_checkout_is_not_installed_over_itself(make_install, world):
    with pytest.raises(subprocess.CalledProcessError) as refused:
        make_install(PREFIX=world / "checkout")
    assert "is the checkout itself" in refused.value.stderr
    assert (world / "checkout" / "bin" / "prepare").exists()


def test_every_file_that_the_manual_copies_is_in_the_tree(tree):
    manual = (tree / "docs" / "install.md").read_text()
    copied = set(re.findall(r"^    (?:cp|install -m \d+|diff) (etc/\S+)", manual, re.MULTILINE))
    assert len(copied) >= 7 and [name for name in copied if not list(tree.glob(name))] == []
