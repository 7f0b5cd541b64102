"""make load: many bundles, jobs and operators for MINUTES, while workers and panel are killed.

Prints its figures, and exits 1 when anything was lost, slow or too big.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from .deployment import Size
from .run import run


def main() -> int:
    size = _size()
    with tempfile.TemporaryDirectory(prefix="load-") as folder:
        problems = run(Path(folder), size, lambda line: print(line, flush=True))
        print(*(problems or ["nothing was lost"]), sep="\n", flush=True)
    return 1 if problems else 0


def _size() -> Size:
    parser = argparse.ArgumentParser(prog="load", description=__doc__.split("\n")[0])
    for name, value in Size()._asdict().items():
        parser.add_argument(f"--{name}", type=Size.__annotations__[name], default=value, help=f"{value}")
    return Size(**vars(parser.parse_args()))


if __name__ == "__main__":
    sys.exit(main())
