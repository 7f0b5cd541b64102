"""Import items of about nine rows each: this system from the mount, peers from memory."""

import json
import os
import pickle
import subprocess
from collections.abc import Iterator
from pathlib import Path

from gpupanel import config, digests, library_reader, services
from gpupanel.manifest import parse_manifest
from gpupanel.mount import Mount

from .. import environment, install_peers
from ..environment import BenchEnvironment, DOCUMENTS, digest, document
from ..runner import Comparison, run_in_turns

TITLE = "an import of some 9 rows an item, items a second"
PACKAGES = ("pymysql", "sqlalchemy", "django", "msgspec")
TARGET = "ours with one worker at least 1.3 times SQLAlchemy Core, and with two at least 1.5 times one"
OTHERS = {
    "LOAD DATA (the limit)": "load", "SQLAlchemy Core": "sqlalchemy", "Django bulk_create": "django",
    "a transaction an item": "naive",
}
NOTE = (
    "Ours reads the manifest and {files} documents an item, hashes and checks them, reads the library, writes,"
    " updates the items of the ledger and sends heartbeats, all under its claim. The others insert the same rows"
    " from memory, with new ledger items and the results, {chunk} items a transaction (LOAD DATA: one file a table,"
    " with known ids). Ours is timed from claim to end."
)


def measure(full: bool) -> Iterator[Comparison]:
    python = install_peers.python(*PACKAGES)
    for count in (200, 2000, 10_000) if full else (1000,):
        with environment.prepare_environment("--local-infile=1") as place:
            yield _compared(place, python, count, 5 if full else 3)


def _compared(place: BenchEnvironment, python: Path, count: int, rounds: int) -> Comparison:
    ours, others = Ours(place, count), Others(place, python, count)
    contenders = {"ours, one worker": lambda: ours.run(1), "ours, two workers": lambda: ours.run(2)}
    contenders |= {name: lambda way=way: others.run(way) for name, way in OTHERS.items()}
    figures = run_in_turns(contenders, rounds)
    return Comparison(
        f"{count:,} items a bundle", "items a second", "SQLAlchemy Core", figures, TARGET,
        (NOTE.format(files=1 + len(DOCUMENTS), chunk=100), ours.summary(figures)),
    )


class Ours:
    """Import two bundles from the mount with one or two workers."""

    def __init__(self, place: BenchEnvironment, count: int):
        self._place, self._count = place, count
        self._sync_ids = [environment.bundle(place.assets_dir, f"bundle {n}", count) for n in range(2)]
        self._mount = Mount(config.load(place.conf).mount)
        self._peak = 0

    def run(self, workers: int) -> float:
        place, sync_ids = self._place, self._sync_ids[:workers]
        place.empty()
        services.scan_mount(place.admin, self._mount, "bench")
        for sync_id in sync_ids:
            services.queue_batch(place.admin, self._mount, sync_id, "bench")
        for process in [place.worker() for _ in sync_ids]:
            self._peak = max(self._peak, environment.peak(process))
        [row] = place.admin.execute(
            "SELECT SUM(items_done) AS items, MIN(state = 'completed') AS done, COUNT(DISTINCT worker) AS workers,"
            " TIMESTAMPDIFF(MICROSECOND, MIN(claimed_at), MAX(finished_at)) / 1e6 AS seconds FROM import_job"
        )
        assert row["done"] and row["items"] == workers * self._count, row
        assert row["workers"] == workers or self._count < 1000, row
        return float(row["items"]) / float(row["seconds"])

    def summary(self, figures: dict[str, list[float]]) -> str:
        ratios = sorted(
            two / one for one, two in zip(figures["ours, one worker"], figures["ours, two workers"], strict=False)
        )
        middle = ratios[len(ratios) // 2]
        return (
            f"Two workers: {middle:.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f}) times one."
            f" Peak memory of a worker: {self._peak:.0f} MiB."
        )


class Others:
    """Import the same rows from memory by programs of bench/contenders."""

    def __init__(self, place: BenchEnvironment, python: Path, count: int):
        self._place, self._python = place, python
        self._folder = place.assets_dir.parent
        items = rows_of_bundle("bundle 0", count)
        self._rows = self._folder / "rows.pickle"
        self._rows.write_bytes(pickle.dumps(items))
        self._files = self._folder / "files.pickle"
        self._files.write_bytes(pickle.dumps(list(_as_files(items, self._folder))))

    def run(self, way: str) -> float:
        self._place.empty()
        self._place.admin.execute("INSERT INTO ingest_batch (id, sync_id) VALUES (1, REPEAT('0', 36))")
        account = environment.account(self._place)
        command = [
            self._python, environment.TREE / "bench/contenders/importing.py", way, account.unix_socket, account.user,
            account.password, self._rows, self._files,
        ]
        done = subprocess.run(
            command, env=os.environ | {"PYTHONPATH": str(environment.TREE)}, stdout=subprocess.PIPE, check=True
        )
        return float(done.stdout)


def rows_of_bundle(name: str, count: int) -> list[dict]:
    """Return the rows that an import writes, by table and item."""
    raw = environment.manifest(name, [environment.item(name, number) for number in range(count)])
    return [
        _of_item(position, item) for position, item in enumerate(parse_manifest(raw, environment.sync_id(name)).items)
    ]


def _of_item(position: int, item) -> dict[str, list[dict]]:
    print_ = digests.fingerprint(item)
    fields = {field: getattr(item, field) for field in library_reader.FIELDS}
    identity = {"asset_type": item.asset_type, "asset_hash": item.asset_hash}
    reason = "this photo is new to the library"
    return {
        "asset": [identity | fields | {"fingerprint": print_, "first_batch_id": 1, "last_batch_id": 1}],
        "asset_source": [{"document": document(item.path).decode(), "sha256": digest(item.path)}],
        "asset_ai_run": [
            {
                "analysis_kind": file.split(".")[1], "source_file": file,
                "document": document(item.path, file).decode(), "content_sha256": digest(item.path, file),
            }
            for file in DOCUMENTS
        ],
        "asset_derivative": [
            {"kind": each.kind, "path": each.path}
            | {name: getattr(each, name) for name in library_reader.DERIVATIVE_FIELDS}
            for each in item.persisted
        ],
        "asset_cover": [{"cover_hash": item.cover_hash}],
        "ingest_batch_item": [
            identity
            | {
                "batch_id": 1, "position": position, "cover_hash": item.cover_hash, "decision": "created",
                "reason": reason,
            }
        ],
        "ingest_result": [
            {
                "batch_id": 1, "job_id": 1, "kind": item.asset_type, "hash": item.asset_hash, "planned": "will_create",
                "decision": "created", "reason": reason, "changes": json.dumps(_changes(item, fields)),
                "target_digest": print_,
            }
        ],
    }


def _changes(item, fields: dict) -> dict:
    """What a result says of a new item: each value before and after."""
    files = {
        f"{each.kind} {each.path}": [
            None, {name: getattr(each, name) for name in library_reader.DERIVATIVE_FIELDS},
        ]
        for each in item.persisted
    }
    documents = {"source": [None, digest(item.path)]}
    documents |= {file.split(".")[1]: [None, digest(item.path, file)] for file in DOCUMENTS}
    return {name: [None, value] for name, value in fields.items() if value is not None} | {
        "derivatives": files, "documents": documents, "covers": {item.cover_hash: [None, 1]},
        "source_at": [None, "2026-01-31 09:30:00.000000"], "source_batch_id": [None, 1], "last_batch_id": [None, 1],
    }


def _as_files(items: list[dict], folder: Path) -> Iterator[tuple[str, list[str], str]]:
    """Return (table, columns, file) for LOAD DATA, with the future ids of assets."""
    for table in items[0]:
        column = {"asset": "id", "ingest_result": "target_id"}.get(table, "asset_id")
        rows = [row | {column: number} for number, item in enumerate(items, 1) for row in item[table]]
        file = folder / f"{table}.txt"
        file.write_text("".join("\t".join(map(_field, row.values())) + "\n" for row in rows))
        yield table, list(rows[0]), str(file)


def _field(value: object) -> str:
    return r"\N" if value is None else str(value).replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n")
