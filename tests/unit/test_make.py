"""The Makefile: it lists itself, and what runs elsewhere runs no other tests than a newcomer does."""

import re
import subprocess

from ground import TREE


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
