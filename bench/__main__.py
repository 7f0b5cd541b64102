"""make bench: run benchmarks and record their results.

A benchmark is a module of bench/benchmarks with a `TITLE` and `measure(full) -> comparisons`. `full` takes the sizes of
real use; the quick size shows whether anything became slower.
"""

import argparse
import sys
from importlib import import_module
from pathlib import Path

from gpupanel.devtools.processes import interrupt_on_signals

from . import report

ROWS = sorted(path.stem for path in (Path(__file__).parent / "benchmarks").glob("[a-z]*.py"))


def main() -> int:
    """Run the chosen benchmarks."""
    options = argparse.ArgumentParser(prog="make bench", description="Measure this system beside its peers, in turns.")
    options.add_argument("rows", nargs="*", metavar="ROW", help=f"which ones (all): {', '.join(ROWS)}")
    options.add_argument("--full", action="store_true", help="the sizes of real use, which take much longer")
    chosen = options.parse_args()
    if unknown := set(chosen.rows) - set(ROWS):
        options.error(f"no such row: {', '.join(sorted(unknown))}; there are {', '.join(ROWS)}")
    interrupt_on_signals()
    for row in chosen.rows or ROWS:
        module = import_module(f"bench.benchmarks.{row}")
        print(f"\n{row}: {module.TITLE}\n", flush=True)
        lines = []
        for comparison in module.measure(chosen.full):
            lines += report.lines(comparison)
            print(*report.lines(comparison), sep="\n", flush=True)
        report.record(row, module.TITLE, "full size" if chosen.full else "quick size", lines)
    return 0


if __name__ == "__main__":
    sys.exit(main())
