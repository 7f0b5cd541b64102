"""make soak: import, pages, receipts, archives and kills at once on a slow mount, and the trend of what it costs.

Prints its figures, writes them into bench/RESULTS.md, and exits 1 if anything was lost or does not hold.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from bench import report

from .run import Size, run

TITLE = "everything at once, in slices of time"


def main() -> int:
    size, said = _size(), []

    def say(line: str) -> None:
        said.append(f"- {line}")
        print(line, flush=True)

    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        lost, slices = run(Path(folder), size, say=say)
    lines = [*slices.lines(), "", *said, ""]
    print(*slices.lines(), sep="\n")
    about = f"{size.slices} slices of {size.seconds / size.slices:g} s, {size.workers} workers,"
    about += f" {size.readers} readers each, {size.delay_ms} ms for each look-up"
    report.record("soak", TITLE, about, lines)
    problems = lost + slices.worse()
    print(*(problems or ["nothing was lost, and everything holds"]), sep="\n", flush=True)
    return 1 if problems else 0


def _size() -> Size:
    parser = argparse.ArgumentParser(prog="soak", description=__doc__.split("\n")[0])
    for name, value in Size()._asdict().items():
        parser.add_argument(f"--{name}", type=Size.__annotations__[name], default=value, help=f"{value}")
    return Size(**vars(parser.parse_args()))


if __name__ == "__main__":
    sys.exit(main())
