"""Galleries with members that the library has: this system from the mount, and LOAD DATA of their memberships."""

from collections.abc import Iterator
from pathlib import Path
from time import perf_counter

from gpupanel import config, services
from gpupanel.db import Database
from gpupanel.mount import Mount

from .. import environment
from ..environment import BenchEnvironment
from ..runner import Comparison, run_in_turns

TITLE = "galleries of assets that the library has, milliseconds"
ASSETS = 20_000
MEMBERS = 10
LOAD = "LOAD DATA of the memberships (the limit)"
TARGET = "ours at most three times LOAD DATA"
NOTE = (
    "Ours reads the manifest, compares each gallery with its plan and with the library, locks it, writes it, its"
    " memberships, its row of the ledger, its result and a row for each member that came; from claim to end of the job."
    " LOAD DATA writes the memberships alone, from one file, with known ids."
)


def measure(full: bool) -> Iterator[Comparison]:
    count = 5000 if full else 500
    with environment.prepare_environment("--local-infile=1", "--secure-file-priv=") as place:
        galleries = Galleries(place, count)
        figures = run_in_turns(
            {"ours, one worker": galleries.run, LOAD: galleries.load}, 5 if full else 3
        )
        peak = galleries.collection(100_000 if full else 10_000)
    members = 100_000 if full else 10_000
    note = f"One collection of {members:,} members: peak memory of the worker {peak:.0f} MiB."
    yield Comparison(f"{count:,} galleries of {MEMBERS}", "milliseconds", LOAD, figures, TARGET, (NOTE, note))


class Galleries:
    """A bundle of one item and many galleries, whose members are in the library."""

    def __init__(self, place: BenchEnvironment, count: int):
        self._place, self._count = place, count
        self._mount = Mount(config.load(place.conf).mount)
        self._sync_id = environment.bundle(place.assets_dir, "galleries", 1)
        self._write_manifest(self._sync_id, "galleries", [
            self._container("gallery", number, [(number * MEMBERS + n) % ASSETS for n in range(MEMBERS)])
            for number in range(count)
        ])
        self._file = place.assets_dir.parent / "members.txt"
        self._file.write_text("".join(
            f"{gallery}\t{(gallery * MEMBERS + n) % ASSETS + 1}\t{n}\n"
            for gallery in range(1, count + 1) for n in range(MEMBERS)
        ))

    def run(self) -> float:
        """Import the galleries; returns milliseconds."""
        self._prepare(self._sync_id)
        self._place.worker().wait()
        [row] = self._place.admin.execute(
            "SELECT state, TIMESTAMPDIFF(MICROSECOND, claimed_at, finished_at) / 1e3 AS took FROM import_job"
        )
        [members] = self._place.admin.execute("SELECT COUNT(*) AS n FROM asset_gallery_item")
        assert row["state"] == "completed" and members["n"] == self._count * MEMBERS, (row, members)
        return float(row["took"])

    def load(self) -> float:
        """Load the memberships; returns milliseconds."""
        db = self._place.admin
        self._place.empty()
        _insert_assets(db)
        db.execute(
            "INSERT INTO asset_gallery (id, gallery_hash) SELECT seq, SHA2(seq, 256)"
            f" FROM seq_1_to_{self._count}"
        )
        started = perf_counter()
        db.execute(
            f"LOAD DATA INFILE '{self._file}' INTO TABLE asset_gallery_item (gallery_id, asset_id, position)"
        )
        return (perf_counter() - started) * 1000

    def collection(self, members: int) -> float:
        """Import one large collection; returns the peak memory of the worker in MiB."""
        sync_id = environment.bundle(self._place.assets_dir, "collection", 1)
        self._write_manifest(sync_id, "collection", [self._container("collection", 0, list(range(members)))])
        self._prepare(sync_id, members)
        peak = environment.peak(self._place.worker())
        [row] = self._place.admin.execute("SELECT COUNT(*) AS n FROM asset_collection_item")
        assert row["n"] == members, row
        return peak

    def _prepare(self, sync_id: str, assets: int = ASSETS) -> None:
        place = self._place
        place.empty()
        _insert_assets(place.admin, assets)
        services.scan_mount(place.admin, self._mount, "bench")
        services.queue_batch(place.admin, self._mount, sync_id, "bench")

    def _write_manifest(self, sync_id: str, name: str, containers: list[dict]) -> None:
        raw = environment.manifest(name, [environment.item(name, 0)], containers=containers)
        Path(self._place.assets_dir, "sync", f"{sync_id}.json").write_bytes(raw)

    def _container(self, kind: str, number: int, members: list[int]) -> dict:
        return {
            "type": kind, "container_hash": environment.digest(kind, number), "title": f"{kind} {number}",
            "cover_hash": None, "items": [_asset_hash(member) for member in members],
        }


def _asset_hash(number: int) -> str:
    return f"{number:064x}"


def _insert_assets(db: Database, count: int = ASSETS) -> None:
    db.execute(
        "INSERT INTO asset (id, asset_type, asset_hash) SELECT seq, 'photo', LPAD(LOWER(HEX(seq - 1)), 64, '0')"
        f" FROM seq_1_to_{count}"
    )
