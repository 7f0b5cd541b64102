"""The lowest versions that setup.cfg allows, in a venv of their own."""

import os
import subprocess
import sys
from configparser import ConfigParser

import pytest
from constants import TREE
from packaging.requirements import Requirement

EXTRAS = ("demo", "compare", "test")
LINT = {"ruff", "mypy", "types-PyMySQL", "types-beautifulsoup4"}  # what they find depends on their version
CORE = (
    "tests/unit", "tests/db/test_importer.py", "tests/db/test_sign_in_to_database.py", "tests/db/test_locales.py",
    "tests/db/test_compare_reference_page.py", "tests/web/test_batches_page.py", "tests/web/test_batch_page.py",
    "tests/web/test_forms.py", "tests/web/test_cgi_service.py", "tests/web/test_health.py",
    "tests/web/test_thumbnails.py",
)


def lowest() -> list[str]:
    """Return every requirement of panel, worker and tests with its lower bound as the version."""
    setup = ConfigParser()
    setup.read(TREE / "setup.cfg")
    sections = [setup["options"]["install_requires"], *(setup["options.extras_require"][extra] for extra in EXTRAS)]
    lines = [line for section in sections for line in section.splitlines() if line and not line.startswith("#")]
    bounds = {
        requirement.name: bound.version
        for requirement in map(Requirement, lines) for bound in requirement.specifier if bound.operator == ">="
    }
    return [f"{name}=={version}" for name, version in bounds.items() if name not in LINT]


@pytest.mark.long
def test_the_core_works_with_the_lowest_versions_that_are_allowed(tmp_path):
    python = tmp_path / "venv" / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    subprocess.run(
        [python, "-m", "pip", "install", "-q", "--disable-pip-version-check", *lowest()], check=True
    )
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    done = subprocess.run(
        [python, "-m", "pytest", "-p", "no:cacheprovider", *CORE], cwd=TREE, env=environ, stdin=subprocess.DEVNULL,
        capture_output=True, text=True,
    )
    assert done.returncode == 0, done.stdout[-5000:]
