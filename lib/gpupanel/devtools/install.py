"""`make install`: build a new tree beside the installed one, then swap.

This module imports only the standard library, because it creates the venv with the packages.
"""

import argparse
import compileall
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from configparser import ConfigParser
from pathlib import Path

from ..resources import TREE

WHOLE = ("lib", "cgi-bin", "templates", "static", "docs", "bin")  # replaced as a whole: no old file stays
CORPUS = "tests/manifest_corpus"  # for upstream teams, installed into docs/
SAMPLES = ("etc/apache", "etc/mariadb", "etc/nginx", "etc/prometheus", "etc/systemd")
LOCK = "requirements.lock"  # versions and hashes of the packages; `make lock` writes it
FILES = (
    "README.md", "CHANGELOG.md", "setup.cfg", LOCK, "etc/*.example", "etc/*.sql",  # etc/*.conf belongs to the operator
)
UNWANTED = shutil.ignore_patterns("__pycache__", "compiled", "prepare", "*.egg-info", "devtools")
STANDARD_PREFIX = b"/opt/gpu-admin-panel"  # the prefix in the samples
ANY_PYTHON = b"#!/usr/bin/env python3\n"
BARE_PYTHON = b"#!/usr/bin/env -S python3 -ISXutf8\n"  # CGI programs set their own module path
NEXT_INSTALL = (
    'Next: create the database and configure it, docs/install.md, "2. Create the database and its accounts".'
)
NEXT_UPGRADE = 'Next: run init-db and restart worker and panel, docs/install.md, "Upgrade".'
PACKAGES_HINT = "On Debian, `apt-get install python3-venv` is needed; pip downloads the Python packages."
COMPILE = "from pathlib import Path; from gpupanel.web.templating import Renderer; Renderer(None, Path()).compile()"


def main() -> int:
    """Install.

    Return 0, or 1 after a failure, which leaves the installed tree unchanged.
    """
    args = _arguments()
    os.umask(0o022)
    root = Path(f"{args.destdir}/{args.prefix}" if args.destdir else args.prefix)
    if root.resolve() == TREE:
        return _fail(f"{root} is the checkout itself. Name another PREFIX.")
    is_upgrade = (root / "lib").exists()
    try:
        install(root, args.prefix, args.debian_packages)
    except subprocess.CalledProcessError as error:
        command = " ".join(map(str, error.cmd))
        return _fail(f"{command} failed with {error.returncode}; {root} is unchanged.", PACKAGES_HINT)
    except OSError as error:
        return _fail(f"{error.filename}: {error.strerror}")
    print(f"{'Upgraded' if is_upgrade else 'Installed'} {root}.", NEXT_UPGRADE if is_upgrade else NEXT_INSTALL)
    return 0


def _fail(*lines: str) -> int:
    print(*(f"install: {line}" for line in lines), sep="\n", file=sys.stderr)
    return 1


def install(root: Path, prefix: Path, debian_packages: bool) -> None:
    """Install to `root` a tree that runs from `prefix`.

    Raises CalledProcessError if pip cannot install the packages.
    """
    new = root / ".new"
    shutil.rmtree(new, ignore_errors=True)
    try:
        _copy(new, prefix, debian_packages)
        venv = _venv(root, new, prefix, debian_packages)
        _compile(new, prefix, venv / "bin" / "python")
        _put_in_place(new, root)
    finally:
        shutil.rmtree(new, ignore_errors=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="install", description=__doc__)
    parser.add_argument("--prefix", type=_absolute, required=True, help="the folder to run from")
    parser.add_argument("--destdir", default="", help="a folder to put before the prefix, to build a package")
    parser.add_argument("--debian-packages", action="store_true", help="prefer the Python packages of Debian")
    return parser.parse_args()


def _absolute(text: str) -> Path:
    if not text.startswith("/") or any(character.isspace() for character in text):
        raise argparse.ArgumentTypeError(f"{text!r} is not an absolute path without spaces")
    return Path(os.path.normpath(text))


def _copy(new: Path, prefix: Path, debian_packages: bool) -> None:
    """Copy the files of the source; every user may read the copies."""
    for folder in (*WHOLE, *SAMPLES):
        if (TREE / folder).is_dir():
            shutil.copytree(TREE / folder, new / folder, ignore=UNWANTED)
    shutil.copytree(TREE / CORPUS, new / "docs" / Path(CORPUS).name)
    for file in (file for pattern in FILES for file in TREE.glob(pattern)):
        (new / file.relative_to(TREE)).parent.mkdir(exist_ok=True)
        shutil.copy2(file, new / file.relative_to(TREE))
    for path in [new, *new.rglob("*")]:
        path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
    programs = [*(new / "bin").iterdir(), *(new / "cgi-bin").iterdir()]
    _replace(programs, ANY_PYTHON, f"#!{sys.executable}\n".encode())
    _replace(programs, BARE_PYTHON, f"#!{sys.executable} {'-IXutf8' if debian_packages else '-ISXutf8'}\n".encode())
    _replace((new / "etc").rglob("*"), STANDARD_PREFIX, os.fsencode(prefix))


def _replace(files: Iterable[Path], old: bytes, new: bytes) -> None:
    """Replace `old` in each file.

    The times of the file stay, so that installing again changes nothing.
    """
    for file in files:
        if file.is_file() and not file.is_symlink() and old in (content := file.read_bytes()):
            times = file.stat()
            file.write_bytes(content.replace(old, new))
            os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))


def _venv(root: Path, new: Path, prefix: Path, debian_packages: bool) -> Path:
    """Return the installed venv if it has these packages, else a new one."""
    locked = (TREE / LOCK).read_text()
    made_for = f"{sys.version}\n{prefix}\n{_required() if debian_packages else ''}\n{locked}"
    present, venv = root / "venv", new / "venv"
    if (present / "made-for").exists() and (present / "made-for").read_text() == made_for:
        return present
    options = ["--system-site-packages"] if debian_packages else []
    print("Installing the Python packages into a new venv", flush=True)
    _run(sys.executable, "-m", "venv", *options, venv)
    pip = Pip(venv / "bin" / "python")
    pip.install(_lacking(pip, locked) if debian_packages else locked)
    _replace([venv / "pyvenv.cfg", *(venv / "bin").iterdir()], os.fsencode(venv), os.fsencode(prefix / "venv"))
    (venv / "made-for").write_text(made_for)
    return venv


class Pip:
    """The pip of a venv."""

    def __init__(self, python: Path):
        self._command: tuple[str | Path, ...] = (python, "-m", "pip", "install", "-q", "--disable-pip-version-check")

    def install(self, locked: str) -> None:
        """Install these entries of the lock file: these versions, and only files with these hashes."""
        _run(*self._command, "--root-user-action=ignore", "--require-hashes", "-r", "/dev/stdin", input=locked)

    def would_install(self, required: str) -> set[str]:
        """Return the normalized names of the packages that these requirements lack."""
        command = [*self._command, "--dry-run", "--report", "-", "-r", "/dev/stdin"]
        report = subprocess.run(command, input=required, stdout=subprocess.PIPE, text=True, check=True).stdout
        return {_normalized(package["metadata"]["name"]) for package in json.loads(report)["install"]}


def _lacking(pip: Pip, locked: str) -> str:
    """Return the entries of the lock file whose packages are not installed in a version that setup.cfg allows."""
    names = pip.would_install(_required())
    entries = re.findall(r"^[\w.-]+==(?:.*\\\n)*.*\n", locked, re.MULTILINE)
    return "".join(entry for entry in entries if _normalized(entry.partition("==")[0]) in names)


def _normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _required() -> str:
    """Return the packages that panel and worker need, from setup.cfg.

    Without those of demo and tests.
    """
    setup = ConfigParser()
    setup.read(TREE / "setup.cfg")
    return setup["options"]["install_requires"]


def _compile(new: Path, prefix: Path, python: Path) -> None:
    """Compile templates to modules, and modules to bytecode.

    The user of the web server may write neither.
    """
    _run(python, "-B", "-c", COMPILE, env={"PYTHONPATH": str(new / "lib")})
    for folder in (new / "lib", new / "templates"):
        if not compileall.compile_dir(folder, quiet=1, stripdir=new, prependdir=prefix):
            raise SyntaxError(f"{folder} does not compile")


def _run(*command: str | Path, input: str | None = None, env: dict[str, str] | None = None) -> None:
    subprocess.run(command, check=True, text=True, input=input, env=env)


def _put_in_place(new: Path, root: Path) -> None:
    """Replace each folder by renaming: a request reads the old or the new one.

    In etc/, the operator's files stay.
    """
    (root / "etc").mkdir(exist_ok=True)
    old = new / "old"
    old.mkdir()
    for path in [*(new / "etc").iterdir(), *(path for path in new.iterdir() if path.name not in ("etc", "old"))]:
        target = root / path.relative_to(new)
        if target.is_dir():
            target.rename(old / target.name)
        path.replace(target)


if __name__ == "__main__":
    sys.exit(main())
