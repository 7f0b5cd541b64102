"""The Makefile and what it installs: it lists itself, runs the same tests everywhere, and what is missing is named."""

import re
import shutil
import subprocess
import sys

from constants import TREE


def test_make_alone_lists_every_target_with_what_it_does():
    makefile = (TREE / "Makefile").read_text()
    targets = re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)[1].split()
    listed = subprocess.run(["make", "-C", TREE, "--no-print-directory"], capture_output=True, text=True).stdout
    assert [line.split()[1] for line in listed.splitlines()] == targets
    assert all(len(line.split()) > 3 for line in listed.splitlines())


def test_continuous_integration_calls_make_test_and_nothing_else():
    interpreter, *commands = (TREE / ".ci" / "run").read_text().splitlines()
    assert interpreter == "#!/usr/bin/env bash"
    assert commands == ["exec make test"]


def test_no_file_that_installs_names_a_package_index():
    for name in ("Makefile", "bin/prepare", "setup.cfg", "pyproject.toml", ".ci/run"):
        assert not re.search(r"https?://|index-url|find-links", (TREE / name).read_text()), name


def test_a_worker_without_its_packages_says_how_to_install_them(tmp_path):
    (tmp_path / "bin").mkdir()
    (tmp_path / "lib").symlink_to(TREE / "lib")
    program = shutil.copy(TREE / "bin" / "import-worker", tmp_path / "bin")
    done = subprocess.run([sys.executable, "-I", "-S", program, "--help"], capture_output=True, text=True)
    assert done.returncode == 1 and done.stderr.startswith("import-worker: No module named ")
    assert "`make venv`" in done.stderr and "Traceback" not in done.stderr
