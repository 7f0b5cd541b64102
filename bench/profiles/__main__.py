"""make profile: write all or the named profiles to var/profile."""

import sys
from importlib import import_module
from pathlib import Path

from gpupanel.devtools.processes import interrupt_on_signals

from ..install_peers import TREE

FOLDER = TREE / "var" / "profile"
PARTS = sorted(path.stem for path in Path(__file__).parent.glob("[a-z]*.py"))


def main() -> int:
    if unknown := set(sys.argv[1:]) - set(PARTS):
        print(f"There is no profile {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}.", file=sys.stderr)
        return 2
    interrupt_on_signals()
    FOLDER.mkdir(parents=True, exist_ok=True)
    for part in sys.argv[1:] or PARTS:
        for file in import_module(f"bench.profiles.{part}").write(FOLDER):
            print(file, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
