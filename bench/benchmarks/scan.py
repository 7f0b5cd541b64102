"""Scan known bundles: the listing beside find(1), the whole beside its parts."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter

from gpupanel import ledger, services
from gpupanel.config import MountSettings
from gpupanel.mount import Mount, iterate_with_timeout

from .. import environment
from ..environment import BenchEnvironment
from ..runner import Comparison, run_in_turns

TITLE = "a scan of bundles that are all known"
TARGET = "the listing at most 1.5 times find"
NOTE = (
    "find and our listing do the same work: both read the folder, with two names a bundle, and select the"
    " sentinels. Ours also checks which names are sync_ids. find is a process of its own, started each time. The"
    " whole scan then queries the ledger for bundles to read again. No file is opened, which tests/db/test_scan.py"
    " checks."
)


def measure(full: bool) -> Iterator[Comparison]:
    for count in (1000, 10_000, 100_000) if full else (10_000,):
        with environment.prepare_environment() as place:
            yield _compared(place, _filled(place, count), count, 7 if full else 5)


def _filled(place: BenchEnvironment, count: int) -> Path:
    """Write a folder of imported bundles."""
    sync_dir = place.assets_dir / "sync"
    for number in range(count):
        name = environment.sync_id(number)
        (sync_dir / f"{name}.ready").touch()
        (sync_dir / f"{name}.json").touch()
    names = [environment.sync_id(number) for number in range(count)]
    for start in range(0, count, 1000):
        values = ", ".join(f"('{name}', 'completed')" for name in names[start:start + 1000])
        place.admin.execute(f"INSERT INTO ingest_batch (sync_id, status) VALUES {values}")
    return sync_dir


def _compared(place: BenchEnvironment, sync_dir: Path, count: int, rounds: int) -> Comparison:
    mount = Mount(MountSettings(sync_dir, place.assets_dir))
    names = [environment.sync_id(number) for number in range(count)]
    contenders = {
        "find -name '*.ready'": lambda: _find(sync_dir, count),
        "os.scandir alone (the limit)": lambda: sum(1 for each in os.scandir(sync_dir) if each.name.endswith(".ready")),
        "ours, the listing": lambda: sum(map(len, iterate_with_timeout(_lists(mount), None))),
        "ours, which are known": lambda: len(place.admin.run_read(ledger.known_sync_ids, names)),
        "ours, the whole scan": lambda: services.scan_mount(place.admin, mount, "bench").known,
    }
    timed = {name: lambda work=work: _timed(work, count) for name, work in contenders.items()}
    return Comparison(
        f"{count:,} bundles", "milliseconds", "find -name '*.ready'", run_in_turns(timed, rounds), TARGET, (NOTE,)
    )


def _lists(mount: Mount) -> Iterator[list]:
    return services.chunked(mount.list_sentinels(), services.LIST_BATCH_SIZE)


def _find(sync_dir: Path, count: int) -> int:
    return subprocess.run(["find", sync_dir, "-name", "*.ready"], stdout=subprocess.PIPE, check=True).stdout.count(
        b"\n"
    )


def _timed(work, count: int) -> float:
    started = perf_counter()
    found = work()
    assert found == count, found
    return (perf_counter() - started) * 1000
