"""Parse and validate a manifest; memory of a worker that imports it."""

import gc
import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from time import process_time

import msgspec
from gpupanel import config, manifest, services
from gpupanel.mount import Mount
from msgspec import Struct

from .. import environment
from ..environment import BenchEnvironment
from ..runner import Comparison, run_in_turns

TITLE = "a manifest: read, hash, decode, validate"
PLAIN, TYPED = "msgspec, plain types, decoding alone", "msgspec, our types, decoding alone"
TARGET = "ours at most 3 times msgspec alone"
NOTE = (
    "Plain types are structs of str, int and list, which accept nearly any value; our types have the rules that a"
    " type can express. Ours and json read the file. The garbage collector is off. Iterating decodes the items of"
    " a parsed manifest again."
)


class Derivative(Struct):
    kind: str
    path: str
    bytes: int | None = None
    sha256: str | None = None
    mime_type: str | None = None
    width: int | None = None
    height: int | None = None


class Item(Struct):
    asset_type: str
    asset_hash: str
    asset_subtype: str | None = None
    cover_hash: str | None = None
    path: str | None = None
    title: str | None = None
    mime_type: str | None = None
    width: int | None = None
    height: int | None = None
    bytes: int | None = None
    duration_seconds: float | None = None
    derivatives: list[Derivative] = []


class Verification(Struct):
    passed: bool
    total_files: int


class Bundle(Struct):
    sync_id: str
    sync_type: str
    action: str
    status: str
    source_host: str
    created_at: str
    item_count: int
    total_bytes: int
    verification: Verification
    items: list[Item]
    completed_at: str | None = None
    prior_sync_id: str | None = None
    containers: list[dict] = []


def measure(full: bool) -> Iterator[Comparison]:
    with environment.prepare_environment() as place:
        for count in (4, 1000, 100_000) if full else (4, 1000, 20_000):
            yield _compared(place.assets_dir.parent, count, 7 if full else 5)
        yield _memory(place, (4, 1000, 100_000) if full else (4, 1000))


def _compared(folder: Path, count: int, rounds: int) -> Comparison:
    items = [environment.item("manifest", number) for number in range(count)]
    sync_id = environment.sync_id("manifest")
    ways = {
        "ours": items,
        "ours, a key more in each item": [each | {"camera": "x-100"} for each in items],
        "ours, a key less in each item": [
            {key: each[key] for key in each if key != "duration_seconds"} for each in items
        ],
        "ours, an invalid item": [*items[:-1], items[-1] | {"path": ""}],
    }
    files = {name: folder / f"{number}.json" for number, name in enumerate(ways)}
    for name, file in files.items():
        file.write_bytes(environment.manifest("manifest", ways[name]))
    usual = files["ours"]
    raw, times = usual.read_bytes(), max(1, 2000 // count)
    ours = msgspec.json.Decoder(manifest.ManifestFields)
    plain = msgspec.json.Decoder(Bundle)
    parsed = manifest.parse_manifest(raw, sync_id)
    contenders = {
        PLAIN: lambda: plain.decode(raw), TYPED: lambda: ours.decode(raw),
        "read and SHA-256 (the limit)": lambda: hashlib.sha256(usual.read_bytes()),
        "json.loads, with reading": lambda: json.loads(usual.read_bytes()),
        "ours, iterating": lambda: sum(1 for _ in parsed.items),
    } | {name: lambda file=file: manifest.parse_manifest(file.read_bytes(), sync_id) for name, file in files.items()}
    figures = run_in_turns(
        {name: lambda work=work: _timed(work, times) / count for name, work in contenders.items()}, rounds
    )
    ratios = sorted(mine / its for mine, its in zip(figures["ours"], figures[TYPED], strict=False))
    size = f"To msgspec with our types, ours is {ratios[len(ratios) // 2]:.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})."
    work = f"{count:,} items, {len(raw) / 1e6:.1f} MB"
    return Comparison(work, "microseconds of processor an item", PLAIN, figures, TARGET, (NOTE, size))


def _timed(work: Callable, times: int) -> float:
    gc.collect()
    gc.disable()
    try:
        started = process_time()
        for _ in range(times):
            work()
        return (process_time() - started) * 1e6 / times
    finally:
        gc.enable()


def _memory(place: BenchEnvironment, counts: tuple[int, ...]) -> Comparison:
    """Return the peak memory of bin/import-worker during an import with documents."""
    figures, sizes = {}, []
    for count in counts:
        place.empty()
        sync_id = environment.bundle(place.assets_dir, f"memory {count}", count)
        manifest = place.assets_dir / "sync" / f"{sync_id}.json"
        sizes.append(f"{count:,} items: a manifest of {manifest.stat().st_size / 2**20:.1f} MiB")
        mount = Mount(config.load(place.conf).mount)
        services.scan_mount(place.admin, mount, "bench")
        services.queue_batch(place.admin, mount, sync_id, "bench")
        figures[f"{count:,} items"] = [environment.peak(place.worker())]
        [job] = place.admin.execute("SELECT state, items_done FROM import_job")
        assert (job["state"], job["items_done"]) == ("completed", count), job
    return Comparison(
        "peak memory of the worker", "MiB", f"{counts[0]:,} items", figures,
        "it grows by the manifest only, never by what is imported", ("; ".join(sizes) + ".",),
    )
