"""bin/audit: sound, vulnerable or unknown; without a response never sound."""

import subprocess
import sys

import pytest
from constants import TREE


@pytest.mark.parametrize("does, status, says", [
    ("exit 0", 0, "No package in venv/ has a known vulnerability."),
    ("echo 'bottle 0.1 ADVISORY-1'; exit 1", 1, "Run make lock, make test and make install."),
    ("echo 'no route to the service' >&2; exit 1", 1, "The advisories cannot be read: no route to the service"),
    ("exit 1", 1, "The packages in venv/ were not checked"),
])
def test_what_the_advisories_say_is_told_apart_from_their_silence(tmp_path, does, status, says):
    stub = tmp_path / "pip-audit"
    stub.write_text(f"#!/bin/sh\n{does}\n")
    stub.chmod(0o755)
    environ = {"PIP_AUDIT": str(stub), "PYTHON": sys.executable, "PATH": "/usr/bin:/bin"}
    done = subprocess.run([TREE / "bin" / "audit"], env=environ, capture_output=True, text=True)
    assert done.returncode == status and says in done.stderr
    assert ("ADVISORY-1" in done.stdout) == ("ADVISORY-1" in does)


def test_every_installed_package_is_asked_about_and_none_is_passed_over(tmp_path):
    stub = tmp_path / "pip-audit"
    stub.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/asked\n')
    stub.chmod(0o755)
    environ = {"PIP_AUDIT": str(stub), "PYTHON": sys.executable, "PATH": "/usr/bin:/bin"}
    subprocess.run([TREE / "bin" / "audit"], env=environ, check=True, capture_output=True)
    asked = (tmp_path / "asked").read_text().split()
    assert "--strict" in asked and asked[-1].endswith("site-packages")
