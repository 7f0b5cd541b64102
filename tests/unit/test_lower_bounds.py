"""The lowest versions that setup.cfg allows, in a venv of their own."""

import os
import subprocess
import sys
from configparser import ConfigParser

import pytest
from constants import TREE
from packaging.requirements import Requirement
from packaging.version import Version

INSTALLED, EXTRA = ("options", "install_requires"), "options.extras_require"
EXTRAS = ("demo", "compare", "test")
LINT = {"ruff", "mypy", "types-PyMySQL", "types-beautifulsoup4"}  # what they find depends on their version
CORE = (
    "tests/unit", "tests/db/test_importer.py", "tests/db/test_sign_in_to_database.py", "tests/db/test_locales.py",
    "tests/db/test_compare_reference_page.py", "tests/web/test_batches_page.py", "tests/web/test_batch_page.py",
    "tests/web/test_forms.py", "tests/web/test_cgi_service.py", "tests/web/test_health.py",
    "tests/web/test_thumbnails.py",
)


def bounds(*options: tuple[str, str]) -> dict[str, Version]:
    """Return the lower bound of each requirement of these options of setup.cfg: the lowest, if several name one."""
    setup = ConfigParser()
    setup.read(TREE / "setup.cfg")
    lines = "\n".join(setup[section][option] for section, option in options).splitlines()
    found: dict[str, Version] = {}
    for requirement in map(Requirement, (line for line in lines if line and not line.startswith("#"))):
        for bound in requirement.specifier:
            if bound.operator == ">=":
                version = Version(bound.version)
                found[requirement.name] = min(version, found.get(requirement.name, version))
    return found


def pinned(versions: dict[str, Version]) -> list[str]:
    return [f"{name}=={version}" for name, version in versions.items()]


def install(python, *packages: str) -> None:
    command = [python, "-m", "pip", "install", "-q", "--disable-pip-version-check", *packages]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)


def run(*command) -> None:
    """Run a command in the tree; it must succeed."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "MYPY"))}
    done = subprocess.run(
        command, cwd=TREE, env=environ, stdin=subprocess.DEVNULL, capture_output=True, text=True,
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-5000:]


@pytest.fixture(scope="module")
def python(tmp_path_factory):
    """The Python of a venv with the lower bounds of all packages, except those that only `make lint` needs."""
    folder = tmp_path_factory.mktemp("lowest") / "venv"
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    python = folder / "bin" / "python"
    lowest = bounds(INSTALLED, *((EXTRA, extra) for extra in EXTRAS))
    install(python, *pinned({name: version for name, version in lowest.items() if name not in LINT}))
    return python


@pytest.mark.long
def test_the_core_works_with_the_lowest_versions_that_are_allowed(python):
    run(python, "-m", "pytest", "-p", "no:cacheprovider", *CORE)


@pytest.mark.long
def test_the_tree_is_clean_under_the_lowest_versions_of_ruff_and_mypy(python, tmp_path):
    """The packages whose types mypy reads have the lower bounds of the extra `test` where it names them."""
    install(python, *pinned(bounds((EXTRA, "test"))))
    run(python.parent / "ruff", "check", "--no-cache", "lib", "bench", "tests", "bin")
    run(python.parent / "mypy", "--cache-dir", tmp_path)
