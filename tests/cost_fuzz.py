"""Search for manifests whose parsing takes too much memory or time.

`python -m cost_fuzz --seconds 300 --mib 32` grows one manifest after another, parses each in a process of its own, and
ends at the first one that leaves the bounds (docs/decisions/0101-one-manifest-parser.md). It prints the seed of each.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import count
from random import Random
from typing import NamedTuple

from constants import TREE
from manifest_shapes import SYNC_ID, grow

MIB = 2**20
MEMORY_ALLOWED = 192 * MIB  # beyond the bytes of the manifest, with the interpreter
SECONDS_PER_BYTE = 2 / (10 * MIB)
START_SECONDS = 0.5  # processor time of a process that parses nothing, with room for a slow machine
SMALLEST = 256 * 1024

# Does with a manifest what scan, preflight and import do. Prints the peak of the memory, and the processor time of the
# longer one of two steps: start and parse the manifest; read its entries once.
PROGRAM = """
import sys, time
from gpupanel.errors import ManifestError
from gpupanel.manifest import parse_manifest, salvage_fields

raw = open(sys.argv[1], "rb").read()
try:
    manifest = parse_manifest(raw, sys.argv[2])
    parsed = time.process_time()
    count, members = sum(1 for _ in manifest.items), sum(1 for _ in manifest.containers)
    result = f"{count} items, {members} containers"
except ManifestError as error:
    parsed = time.process_time()
    salvage_fields(raw)
    result = error.problems[0][:100]
    assert len(error.problems) <= 51 and all(problem.isprintable() for problem in error.problems)
peak = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(peak * 1024, max(parsed, time.process_time() - parsed), result, sep="\\n")
"""


class Cost(NamedTuple):
    """What a process took to parse a manifest of `size` bytes."""

    size: int
    peak: int
    seconds: float
    result: str

    @property
    def memory_left(self) -> int:
        return self.size + MEMORY_ALLOWED - self.peak

    @property
    def seconds_left(self) -> float:
        return self.size * SECONDS_PER_BYTE + START_SECONDS - self.seconds

    def __str__(self) -> str:
        return (f"{self.size / MIB:.1f} MiB: {(self.peak - self.size) / MIB:.0f} MiB beyond the file,"
                f" {self.seconds:.2f} s; {self.result}")


def measure(text: bytes) -> Cost:
    """Parse a manifest in a process of its own. Raises CalledProcessError if that fails."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(text)
        file.flush()
        command = [sys.executable, "-c", PROGRAM, file.name, SYNC_ID]
        env = os.environ | {"PYTHONPATH": str(TREE / "lib")}
        done = subprocess.run(command, env=env, check=True, stdout=subprocess.PIPE, text=True)
    peak, seconds, result = done.stdout.split("\n", 2)
    return Cost(len(text), int(peak), float(seconds), result.strip())


def try_seed(seed: int, most_bytes: int) -> tuple[str, Cost]:
    """Return the shape of a seed, and what its manifest of up to about `most_bytes` costs."""
    size = int(SMALLEST * (most_bytes / SMALLEST) ** Random(-seed).random())
    shape = grow(seed, size)
    return shape.name, measure(shape.text)


def search(args: argparse.Namespace) -> Iterator[tuple[int, Cost]]:
    """Yield seed and cost of one manifest after another; print each."""
    end, rounds = time.monotonic() + args.seconds, args.rounds
    for seed in count(args.seed) if rounds is None else range(args.seed, args.seed + rounds):
        if time.monotonic() >= end:
            return
        name, cost = try_seed(seed, int(args.mib * MIB))
        print(f"seed {seed}, {name}, {cost}", flush=True)
        yield seed, cost


def main() -> int:
    """Search; return 1 if a manifest left the bounds."""
    parser = argparse.ArgumentParser(prog="cost_fuzz", description="Search for manifests that cost too much.")
    parser.add_argument("--seconds", type=float, default=300, help="how long to search (300)")
    parser.add_argument("--mib", type=float, default=32, help="the size of the largest manifest in MiB (32)")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="the first seed (the time)")
    parser.add_argument("--rounds", type=int, help="end after so many manifests")
    args = parser.parse_args()
    memory = seconds = 0.0
    for seed, cost in search(args):
        memory = max(memory, (cost.peak - cost.size) / MIB)
        seconds = max(seconds, (cost.seconds - START_SECONDS) / cost.size * 10 * MIB)
        if cost.memory_left < 0 or cost.seconds_left < 0:
            print(f"FAILED: {args.mib:g} MiB at most, seed {seed}. Repeat it:\nPYTHONPATH=lib:tests"
                  f" venv/bin/python -m cost_fuzz --rounds 1 --seed {seed} --mib {args.mib:g}")
            return 1
    print(f"Most memory beyond the file: {memory:.0f} MiB. Most time: {seconds:.2f} s for each 10 MiB.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
