"""Environment of worker benchmarks: a durable private MariaDB, a mount, both accounts."""

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from time import sleep
from typing import NamedTuple

from gpupanel.config import DatabaseSettings
from gpupanel.db import Database
from gpupanel.devtools.mariadb_server import MariaDBServer
from gpupanel.devtools.processes import KILL_WITH_PARENT
from gpupanel.db.expected import expected_tables
from gpupanel.db import schema

TREE = Path(__file__).resolve().parents[1]
SHIM = TREE / "bench" / "contenders" / "shim.c"
NAME = "admin_panel"
# Flush each commit, as in production; enough memory for the rows of one benchmark.
IN_SERVICE = ("--innodb-buffer-pool-size=1G", "--innodb-log-file-size=512M", "--innodb-flush-log-at-trx-commit=1")
MOMENT = "2026-01-31T09:30:00Z"
DERIVATIVES = ("thumb", "medium")
DOCUMENTS = ("photo.analysis.json", "photo.meaning.json")


class BenchEnvironment(NamedTuple):
    """A server, its administrator's connection, a folder for the mount, a worker's configuration."""

    server: MariaDBServer
    admin: Database
    assets_dir: Path
    conf: Path

    def empty(self) -> None:
        self.admin.execute("SET foreign_key_checks = 0")
        for table in expected_tables():
            self.admin.execute(f"TRUNCATE TABLE {table}")
        self.admin.execute("SET foreign_key_checks = 1")

    def command(self, conf: Path | None = None) -> list:
        """Run bin/import-worker --once."""
        return [sys.executable, TREE / "bin" / "import-worker", "--config", conf or self.conf, "--once"]

    def worker(self, conf: Path | None = None, **environ: str) -> subprocess.Popen:
        """Start bin/import-worker --once."""
        return subprocess.Popen(self.command(conf), env=os.environ | environ, stderr=subprocess.DEVNULL)


def peak(process: subprocess.Popen) -> float:
    """Wait for the end of a process; return its peak memory in MiB, without that of its parent."""
    most = 0
    while process.poll() is None:
        told = re.search(r"VmHWM:\s*(\d+) kB", Path(f"/proc/{process.pid}/status").read_text())
        most = int(told[1]) if told else most
        sleep(0.02)
    return most / 1024


@contextmanager
def prepare_environment(*options: str) -> Iterator[BenchEnvironment]:
    with tempfile.TemporaryDirectory(prefix="gpupanel-bench-") as place:
        folder = Path(place)
        with MariaDBServer(folder / "mariadb", *IN_SERVICE, *options, within=KILL_WITH_PARENT) as server:
            schema.apply(server.admin(NAME))
            schema.open_account(server.admin(NAME), "gpu_worker", "bench")
            admin = Database(server.admin(NAME), read_timeout=600)
            (folder / "assets" / "sync").mkdir(parents=True)
            yield BenchEnvironment(server, admin, folder / "assets", _configured(folder, server))
            admin.close()


def _configured(folder: Path, server: MariaDBServer) -> Path:
    secret = folder / "password"
    secret.touch(0o600)
    secret.write_text("bench")
    conf = folder / "worker.conf"
    conf.write_text(
        f"[database]\nunix_socket = {server.socket}\nuser = gpu_worker\npassword_file = {secret}\nname = {NAME}\n"
        f"[mount]\nsync_dir = {folder / 'assets' / 'sync'}\n[worker]\n"
    )
    return conf


def slow_mount(folder: Path, root: Path, delay_ms: int) -> dict[str, str]:
    """Build the preloaded library in `folder`; return the environment that makes opening anything below `root` slow."""
    shim = folder / "shim.so"
    subprocess.run(["gcc", "-shared", "-fPIC", "-O2", "-o", shim, SHIM, "-ldl"], check=True)
    return {"LD_PRELOAD": str(shim), "SLOW_ROOT": str(root), "SLOW_MS": str(delay_ms)}


def account(ground: BenchEnvironment) -> DatabaseSettings:
    return DatabaseSettings(unix_socket=str(ground.server.socket), user="gpu_worker", password="bench", name=NAME)


# ----------------------------------------------------------------------------------------------- bundles


def digest(*parts: object) -> str:
    return sha256(repr(parts).encode()).hexdigest()


def sync_id(*parts: object) -> str:
    text = digest("bundle", *parts)
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-a{text[17:20]}-{text[20:32]}"


def item(name: str, number: int) -> dict:
    """Return an item of eight rows: asset, source, two analyses, two derivatives, cover, ledger item."""
    own = digest(name, number)
    return {
        "asset_type": "photo",
        "asset_subtype": None,
        "asset_hash": own,
        "cover_hash": digest(name, number, "cover"),
        "path": f"photo/{own[:2]}/{own[:24]}",
        "title": "First light over the salt marsh",
        "mime_type": "image/jpeg",
        "width": 4000,
        "height": 3000,
        "bytes": 3298900,
        "duration_seconds": None,
        "derivatives": [
            {
                "kind": kind, "path": f"{kind}.jpg", "bytes": 23890, "sha256": digest(own, kind),
                "mime_type": "image/jpeg", "width": 640, "height": 480,
            }
            for kind in DERIVATIVES
        ],
    }


def manifest(name: str, items: list[dict], **facts: object) -> bytes:
    return json.dumps({
        "sync_id": sync_id(name), "sync_type": "asset", "action": "create", "status": "completed",
        "source_host": "cloud-sync.example", "created_at": MOMENT, "completed_at": MOMENT, "prior_sync_id": None,
        "items": items, "containers": [], "item_count": len(items), "total_bytes": 1,
        "verification": {"passed": True, "total_files": 1},
    } | facts, separators=(",", ":")).encode()


def document(*parts: object) -> bytes:
    """Return about 700 bytes of JSON."""
    words = {f"key{n}": digest(n, *parts)[:40] for n in range(12)}
    return json.dumps({"model": "tagger-3", "score": 0.75, "words": words}).encode()


def bundle(assets_dir: Path, name: str, count: int, documents: tuple[str, ...] = DOCUMENTS) -> str:
    """Write a bundle of `count` items with documents and files of holes; return its sync_id."""
    items = [item(name, number) for number in range(count)]
    for each in items:
        source = assets_dir / each["path"] / "source"
        (source / "data").mkdir(parents=True)
        (source / "source.json").write_bytes(document(each["path"]))
        for file in documents:
            (source / "data" / file).write_bytes(document(each["path"], file))
        for derivative in each["derivatives"]:
            file = source.parent / derivative["path"]
            file.touch()
            os.truncate(file, derivative["bytes"])
    own = sync_id(name)
    (assets_dir / "sync" / f"{own}.json").write_bytes(manifest(name, items))
    (assets_dir / "sync" / f"{own}.ready").touch()
    return own
