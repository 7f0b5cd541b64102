"""The Makefile and the programs it starts: targets, requirements, and messages about missing packages or Pythons."""

import ast
import re
import shutil
import subprocess
import sys
from configparser import ConfigParser

import pytest
from constants import TREE
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


def test_make_alone_lists_every_target_with_what_it_does():
    makefile = (TREE / "Makefile").read_text()
    targets = " ".join(re.findall(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)).split()
    listed = subprocess.run(["make", "-C", TREE, "--no-print-directory"], capture_output=True, text=True).stdout
    assert [line.split()[1] for line in listed.splitlines()] == targets
    assert all(len(line.split()) > 3 for line in listed.splitlines())


def test_continuous_integration_calls_make_test_and_nothing_else():
    interpreter, *commands = (TREE / ".ci" / "run").read_text().splitlines()
    assert interpreter == "#!/usr/bin/env bash"
    assert commands == ["exec make test"]


def test_no_file_that_installs_names_a_package_index():
    for name in ("Makefile", "bin/prepare", "bin/lock", "setup.cfg", "pyproject.toml", "requirements.lock", ".ci/run"):
        assert not re.search(r"https?://|index-url|find-links", (TREE / name).read_text()), name


def test_the_lock_has_each_package_of_the_panel_in_an_allowed_version_with_hashes():
    required, (header, *entries) = requirements("options", "install_requires"), locked()
    assert "make lock" in header
    versions = dict(entry.split(" ")[0].split("==") for entry in entries)
    assert all(entry.count("--hash=sha256:") >= 1 for entry in entries)
    for requirement in map(Requirement, required):
        assert requirement.specifier.contains(versions[canonicalize_name(requirement.name)]), requirement


def requirements(section, option):
    setup = ConfigParser()
    setup.read(TREE / "setup.cfg")
    return [line for line in setup[section][option].splitlines() if line and not line.startswith("#")]


def locked():
    """Return the header of requirements.lock, and each entry on one line."""
    return (TREE / "requirements.lock").read_text().replace("\\\n", "").splitlines()


@pytest.mark.parametrize("section, option", [
    ("options", "install_requires"),
    *(("options.extras_require", extra) for extra in ("demo", "compare", "test", "dev")),
])
def test_each_requirement_has_a_lower_bound(section, option):
    for requirement in map(Requirement, requirements(section, option)):
        assert any(bound.operator == ">=" for bound in requirement.specifier), requirement


def test_a_worker_without_its_packages_says_how_to_install_them(tmp_path):
    (tmp_path / "bin").mkdir()
    (tmp_path / "lib").symlink_to(TREE / "lib")
    program = shutil.copy(TREE / "bin" / "import-worker", tmp_path / "bin")
    done = subprocess.run([sys.executable, "-I", "-S", program, "--help"], capture_output=True, text=True)
    assert done.returncode == 1 and done.stderr.startswith("import-worker: No module named ")
    assert "`make venv`" in done.stderr and "Traceback" not in done.stderr


@pytest.fixture
def checkout(tmp_path):
    """A checkout without a venv, as far as bin/prepare needs it, in a folder with a space."""
    tree = tmp_path / "a checkout"
    (tree / "bin").mkdir(parents=True)
    shutil.copy(TREE / "bin" / "prepare", tree / "bin")
    shutil.copy(TREE / "setup.cfg", tree)
    return tree


def prepare(tree, purpose):
    return subprocess.run([tree / "bin" / "prepare", purpose], capture_output=True, text=True)


def venv_that_records(tree):
    """A venv whose pip writes the requirements it gets to `asked`; everything else is the real Python."""
    (tree / "venv" / "bin").mkdir(parents=True)
    python = tree / "venv" / "bin" / "python"
    python.write_text(
        f'#!/bin/sh\ncase "$*" in *"pip install"*) exec cat >"{tree}/asked";; esac\nexec {sys.executable} "$@"\n'
    )
    python.chmod(0o755)
    return tree / "asked"


def test_run_installs_no_package_of_the_tests_and_test_adds_them_to_the_same_venv(checkout):
    asked = venv_that_records(checkout)
    assert prepare(checkout, "run").returncode == 0
    assert {"bottle", "pymysql", "pillow"} <= names(asked) and not {"pytest", "playwright", "mypy"} & names(asked)
    asked.unlink()
    assert prepare(checkout, "run").returncode == 0 and not asked.exists()
    done = prepare(checkout, "test")
    assert done.returncode == 0, done.stderr
    assert {"bottle", "pillow", "pytest", "playwright", "ruff", "mypy"} <= names(asked)
    asked.unlink()
    for purpose in ("run", "test"):
        assert prepare(checkout, purpose).returncode == 0 and not asked.exists()


def test_other_requirements_are_installed_into_a_venv_of_an_older_setup_cfg(checkout):
    asked = venv_that_records(checkout)
    prepare(checkout, "run")
    asked.unlink()
    (checkout / "setup.cfg").write_text(
        (checkout / "setup.cfg").read_text().replace("bottle >=0.12.25", "bottle >=0.13")
    )
    assert prepare(checkout, "run").returncode == 0
    assert "bottle >=0.13, <0.14" in asked.read_text()


def names(requirements):
    return set(re.findall(r"^[\w-]+", requirements.read_text(), re.MULTILINE))


def test_prepare_names_the_python_that_it_found_too_old(checkout):
    """With every Python of the machine replaced by one that says 3.10."""
    old = checkout / "python3"
    old.write_text('#!/bin/sh\ncase "$2" in *version_info*"<"*) exit 1;; *print*) echo 3.10;; esac\n')
    old.chmod(0o755)
    program = checkout / "bin" / "prepare"
    program.write_text(program.read_text().replace("/usr/bin/python3 python3", f"'{old}'"))
    done = prepare(checkout, "run")
    assert done.returncode == 1
    assert done.stderr == "Python 3.11 or later is needed, found 3.10\n"


@pytest.mark.parametrize("program", ["gpupanel", "import-worker"])
def test_a_program_under_an_old_python_says_in_one_line_which_is_needed(tmp_path, program):
    ast.parse((TREE / "bin" / program).read_text(), feature_version=(3, 6))
    (tmp_path / "bin").mkdir()
    copy = shutil.copy(TREE / "bin" / program, tmp_path / "bin")
    pretend = (
        f"import runpy, sys; sys.version_info = (3, 10, 12, 'final', 0); runpy.run_path({copy!r}, run_name='__main__')"
    )
    done = subprocess.run([sys.executable, "-c", pretend], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (1, f"{program}: Python 3.11 or later is needed, found 3.10\n")


def test_each_manual_that_a_unit_or_a_sample_names_exists():
    for file in (path for path in (TREE / "etc").rglob("*") if path.is_file()):
        named = re.findall(r"\bdocs/[\w.-]+\.md\b", file.read_text())
        assert [name for name in named if not (TREE / name).exists()] == [], file
