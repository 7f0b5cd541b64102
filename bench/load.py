#!/usr/bin/env python3
"""Build a ledger of any size in a private MariaDB of its own, to see what the pages cost there.

    bench/load.py /tmp/million                        1,000,000 batches, 5,000,000 items, 10,000,000 events
    bench/load.py /tmp/small --batches 10000          the same in small: 5 items and 10 events a batch

The rows are made inside the server, INSERT ... SELECT from its sequence engine, so that the disk is the limit. What a
batch is derives from its number alone: two ledgers of one size are equal. When the folder holds the data already, only
the server is started. The server runs until Ctrl-C; `panel.conf` in the folder leads `bin/gpupanel` and the panel to it.
"""

import argparse
import signal
import sys
from pathlib import Path
from time import monotonic

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))

from gpupanel.database import Database  # noqa: E402
from gpupanel.tools import schema  # noqa: E402
from gpupanel.tools.private_server import THROWAWAY, PrivateServer  # noqa: E402

NAME = "admin_panel"
SINCE = "2025-12-20"  # when the first was discovered; each other one 29 s later
ITEMS, EVENTS = 5, 10  # a batch
STOP = {signal.SIGINT, signal.SIGTERM}
AT_ONCE = 200_000  # rows of one statement, and so of one transaction
ROOMY = (
    "--innodb-buffer-pool-size=4G", "--innodb-log-file-size=1G", "--innodb-flush-method=O_DIRECT",
    "--innodb-io-capacity=4000",
)

# Of a number n: a hash without order, and a sync_id that looks like any other.
HASH = "SHA2(CONCAT({0}, {1}), 256)"
DIGEST = "MD5(CONCAT('batch ', n))"
SYNC_ID = (
    f"CONCAT_WS('-', SUBSTR({DIGEST}, 1, 8), SUBSTR({DIGEST}, 9, 4), CONCAT('4', SUBSTR({DIGEST}, 14, 3)),"
    f" CONCAT('a', SUBSTR({DIGEST}, 18, 3)), SUBSTR({DIGEST}, 21, 12))"
)
DISCOVERED = "TIMESTAMP(%(since)s) + INTERVAL n * 29 SECOND"
# Of a thousand batches: 930 completed, 20 partial, 15 failed, 10 preflight_failed, 15 passed, 8 discovered, 2 queued.
STATUS = (
    "ELT(INTERVAL(n * 7919 %% 1000, 0, 930, 950, 965, 975, 990, 998), 'completed', 'partial', 'failed',"
    " 'preflight_failed', 'preflight_passed', 'discovered', 'queued')"
)
KIND = "ELT(1 + n %% 10, 'asset', 'asset', 'asset', 'asset', 'asset', 'asset', 'asset', 'gallery', 'gallery', 'video_simple')"
ACTION = "ELT(INTERVAL(n * 31 %% 100, 0, 70, 98), 'create', 'update', 'remove')"
ENDED = "('completed', 'partial', 'failed')"

# table -> the statement that makes its rows for the batches `low` to `high`.
FILL = {
    "ingest_batch": f"""
        INSERT INTO ingest_batch (id, sync_id, sync_type, action, status, item_count, total_bytes, source_host,
                                  manifest_sha256, discovered_at, last_error)
        SELECT n, {SYNC_ID}, {KIND}, {ACTION}, {STATUS}, {ITEMS}, n %% 1000000 * 4096,
               CONCAT('cloud-', 1 + n %% 12, '.example.net'), {HASH.format("'m'", "n")}, {DISCOVERED},
               IF(n * 7919 %% 1000 BETWEEN 950 AND 974, 'items[3].path: found nothing there, expected a folder', NULL)
        FROM (SELECT seq AS n FROM seq_{{low}}_to_{{high}}) numbers""",
    "import_job": f"""
        INSERT INTO import_job (id, batch_id, state, requested_by, queued_at, claimed_at, worker, attempts, heartbeat_at,
                                items_done, items_total, finished_at)
        SELECT id, id, ELT(FIELD(status, 'completed', 'partial', 'failed', 'queued'), 'completed', 'completed', 'failed',
               'queued'), 'operator', discovered_at,
               IF(status IN {ENDED}, discovered_at, NULL), IF(status IN {ENDED}, 'worker:7', NULL), status IN {ENDED},
               IF(status IN {ENDED}, discovered_at + INTERVAL 9 SECOND, NULL), IF(status IN {ENDED}, {ITEMS}, 0), {ITEMS},
               IF(status IN {ENDED}, discovered_at + INTERVAL 9 SECOND, NULL)
        FROM ingest_batch WHERE id BETWEEN {{low}} AND {{high}} AND status IN ('completed', 'partial', 'failed', 'queued')""",
    "ingest_batch_item": f"""
        INSERT INTO ingest_batch_item (batch_id, position, asset_type, asset_hash, decision, planned, reason)
        SELECT b.id, p.seq, 'photo', {HASH.format("b.id * 13 %% 700000, ' '", "p.seq")},
               IF(b.status IN {ENDED}, 'created', 'will_create'), 'will_create', 'the library did not have this photo'
        FROM ingest_batch b JOIN seq_0_to_{ITEMS - 1} p WHERE b.id BETWEEN {{low}} AND {{high}}""",
    "ingest_event": f"""
        INSERT INTO ingest_event (batch_id, event_type, payload, actor, created_at)
        SELECT b.id, 'job_progress', '{{{{"phase":"import"}}}}', 'worker:7', b.discovered_at + INTERVAL p.seq SECOND
        FROM ingest_batch b JOIN seq_1_to_{EVENTS} p WHERE b.id BETWEEN {{low}} AND {{high}}""",
}
ROWS = {"ingest_batch": 1, "import_job": 1, "ingest_batch_item": ITEMS, "ingest_event": EVENTS}


def fill(db: Database, batches: int, *, first: int = 1, tables=tuple(FILL), say=lambda text: None) -> None:
    """Add the batches numbered `first` to `batches` with their jobs, items and events, or those of these tables."""
    for table in tables:
        started, step = monotonic(), max(1, AT_ONCE // ROWS[table])
        for low in range(first, batches + 1, step):
            part = FILL[table].format(low=low, high=min(batches, low + step - 1))
            db.execute(part, since=SINCE)
        db.execute(f"ANALYZE TABLE {table}")
        say(f"{table}: {monotonic() - started:.0f} s")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("folder", type=Path, help="where the server keeps its data")
    arguments.add_argument("--batches", type=int, default=1_000_000, metavar="N", help="how many batches (1,000,000)")
    args = arguments.parse_args()
    folder = args.folder.absolute()
    with PrivateServer(folder, *THROWAWAY, *ROOMY) as server:
        schema.apply(server.admin(NAME))
        _load(server, args.batches)
        _configure(folder, server)
        signal.pthread_sigmask(signal.SIG_BLOCK, STOP)  # so that sigwait is the one that gets them
        print(f"Ready: bin/gpupanel --config {folder / 'panel.conf'} list. Ctrl-C stops the server.", flush=True)
        signal.sigwait(STOP)


def _load(server: PrivateServer, batches: int) -> None:
    db = Database(server.admin(NAME), read_timeout=3600)
    db.execute("SET foreign_key_checks = 0, unique_checks = 0")
    [there] = db.execute("SELECT COALESCE(MAX(id), 0) AS batches FROM ingest_batch")
    if there["batches"] < batches:
        fill(db, batches, first=int(there["batches"]) + 1, say=lambda text: print(text, flush=True))
    db.close()


def _configure(folder: Path, server: PrivateServer) -> None:
    """A panel for this machine only, with an empty mount."""
    (folder / "assets" / "sync").mkdir(parents=True, exist_ok=True)
    admin = server.admin(NAME)
    (folder / "panel.conf").write_text(
        f"[database]\nunix_socket = {admin.unix_socket}\nuser = {admin.user}\nname = {admin.name}\n"
        f"[mount]\nsync_dir = {folder / 'assets' / 'sync'}\n[panel]\nauth = none\n"
    )


if __name__ == "__main__":
    main()
