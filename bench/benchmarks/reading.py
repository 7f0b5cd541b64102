"""Import from a mount that needs 25 ms to open a file, simulated by a preloaded library."""

import os
from collections.abc import Iterator
from pathlib import Path

from gpupanel import config, services
from gpupanel.mount import Mount

from .. import environment
from ..environment import BenchEnvironment
from ..runner import Comparison, run_in_turns

TITLE = "5 documents an item on a mount that takes 25 ms to open a file"
DELAY = 25  # milliseconds
DOCUMENTS = ("photo.analysis.json", "photo.family.json", "photo.manifest.json", "photo.meaning.json")
TARGET = "at least 0.90 of the limit, threads / (5 x 25 ms), and writing overlaps reading"
NOTE = (
    "bin/import-worker from claim to end, with manifest and writes. File: each opening of a document takes"
    " {delay} ms, which the limit counts. Anything: each opening of a folder takes as long, and an item has two"
    " folders, so that 0.71 of the limit is the maximum."
)


def measure(full: bool) -> Iterator[Comparison]:
    for threads, count in ((4, 400), (16, 2000), (64, 6000)) if full else ((16, 800),):
        with environment.prepare_environment() as place:
            yield _compared(place, threads, count, 3 if full else 2)


def _compared(place: BenchEnvironment, threads: int, count: int, rounds: int) -> Comparison:
    sync_id = environment.bundle(place.assets_dir, "slow", count, DOCUMENTS)
    conf = place.conf.with_name("threads.conf")
    conf.write_text(place.conf.read_text() + f"readers = {threads}\n")
    slow = environment.slow_mount(place.assets_dir.parent, place.assets_dir / "photo", DELAY)
    limit = threads / ((1 + len(DOCUMENTS)) * DELAY / 1000)
    figures = run_in_turns({
        "the limit": lambda: limit,
        "ours, a file takes 25 ms": lambda: _run(place, conf, sync_id, slow | {"SLOW_FILES": "1"}),
        "ours, anything takes 25 ms": lambda: _run(place, conf, sync_id, slow),
        "ours, no delay": lambda: _run(place, conf, sync_id, {}),
    }, rounds, warm=False)
    return Comparison(
        f"{threads} threads, {count:,} items", "items a second", "the limit", figures, TARGET,
        (NOTE.format(delay=DELAY),),
    )


def _run(place: BenchEnvironment, conf: Path, sync_id: str, environ: dict[str, str]) -> float:
    place.empty()
    mount = Mount(config.load(conf).mount)
    services.scan_mount(place.admin, mount, "bench")
    services.queue_batch(place.admin, mount, sync_id, "bench")
    process = place.worker(conf, **environ)
    os.waitpid(process.pid, 0)
    [row] = place.admin.execute(
        "SELECT items_done / (TIMESTAMPDIFF(MICROSECOND, claimed_at, finished_at) / 1e6) AS pace, state FROM import_job"
    )
    assert row["state"] == "completed", row
    return float(row["pace"])
