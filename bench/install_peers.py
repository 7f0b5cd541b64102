"""Install the peers of the benchmarks; the product never needs them."""

import subprocess
import sys
import venv
from pathlib import Path

TREE = Path(__file__).resolve().parents[1]
FOLDER = TREE / "var" / "bench"


def python(*packages: str) -> Path:
    """Return the Python of the peers' virtual environment, with these packages."""
    interpreter = FOLDER / "venv" / "bin" / "python"
    if not interpreter.exists():
        venv.create(FOLDER / "venv", with_pip=True)
    marks = FOLDER / "installed.txt"
    known = set(marks.read_text().split()) if marks.exists() else set()
    if missing := [package for package in packages if package not in known]:
        print(f"Installing {' '.join(missing)} for the comparison", file=sys.stderr, flush=True)
        command = [interpreter, "-m", "pip", "install", "-q", "--disable-pip-version-check", *missing]
        subprocess.run(command, check=True, stdout=sys.stderr)
        marks.write_text("\n".join(sorted(known | set(missing))) + "\n")
    return interpreter


def debian(*packages: str) -> None:
    """Install missing Debian packages, as root."""
    missing = [
        package for package in packages if subprocess.run(["dpkg", "-s", package], capture_output=True).returncode
    ]
    if missing:
        print(f"Installing {' '.join(missing)} for the comparison", file=sys.stderr, flush=True)
        subprocess.run(["apt-get", "update", "-q"], check=True, stdout=sys.stderr)
        command = ["apt-get", "install", "-q", "-y", "--no-install-recommends", *missing]
        subprocess.run(command, check=True, stdout=sys.stderr)
