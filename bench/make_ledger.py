#!/usr/bin/env python3
"""Build a ledger of any size in a private MariaDB, to measure the pages.

    bench/make_ledger.py /tmp/million                   1,000,000 batches, 5,000,000 items, 10,000,000 events
    bench/make_ledger.py /tmp/small --batches 10000     the same in small: 5 items and 10 events a batch
    bench/make_ledger.py /tmp/million -- COMMAND        runs a command with the path of panel.conf in LEDGER

The server makes the rows itself, with INSERT ... SELECT from its sequence engine, so that the disk is the limit. A
batch derives from its number alone: two ledgers of one size are equal. If the folder has the data already, only the
server is started. One more batch has 100,000 items, with all decisions. The server runs until Ctrl-C; `bin/gpupanel`
and the panel reach it with `panel.conf` in the folder.
"""

import argparse
import os
import signal
import subprocess
import sys
from pathlib import Path
from time import monotonic

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))

from gpupanel.db import Database
from gpupanel.devtools.mariadb_server import MariaDBServer, THROWAWAY
from gpupanel.devtools.processes import KILL_WITH_PARENT, interrupt_on_signals
from gpupanel.db import schema

NAME = "admin_panel"
SINCE = "2025-12-20"  # when the first was discovered; each other one 29 s later
ITEMS, EVENTS = 5, 10  # a batch
STOP = {signal.SIGINT, signal.SIGTERM}
AT_ONCE = 200_000  # rows of one statement, and so of one transaction
ROOMY = (
    "--innodb-buffer-pool-size=4G", "--innodb-log-file-size=1G", "--innodb-flush-method=O_DIRECT",
    "--innodb-io-capacity=4000",
)

# Derived from a number n: a hash without order, and a sync_id like any other.
HASH = "SHA2(CONCAT({0}, {1}), 256)"
DIGEST = "MD5(CONCAT('batch ', n))"
SYNC_ID = (
    f"CONCAT_WS('-', SUBSTR({DIGEST}, 1, 8), SUBSTR({DIGEST}, 9, 4), CONCAT('4', SUBSTR({DIGEST}, 14, 3)),"
    f" CONCAT('a', SUBSTR({DIGEST}, 18, 3)), SUBSTR({DIGEST}, 21, 12))"
)
DISCOVERED = "TIMESTAMP(%(since)s) + INTERVAL n * 29 SECOND"
# Of a thousand batches: 930 completed, 20 partial, 15 failed, 10 preflight_failed, 15 preflight_passed, 8 discovered,
# 1 importing, 1 queued.
STATUS = (
    "ELT(INTERVAL(n * 7919 %% 1000, 0, 930, 950, 965, 975, 990, 998, 999), 'completed', 'partial', 'failed',"
    " 'preflight_failed', 'preflight_passed', 'discovered', 'importing', 'queued')"
)
STATE = "ELT(FIELD(status, 'completed', 'partial', 'failed', 'preflight_passed', 'importing', 'queued'),"\
    " 'completed', 'completed', 'failed', 'canceled', 'running', 'queued')"
KIND = "ELT(INTERVAL(n %% 10, 0, 7, 9), 'asset', 'gallery', 'video_simple')"
ACTION = "ELT(INTERVAL(n * 31 %% 100, 0, 70, 98), 'create', 'update', 'remove')"
ENDED = "('completed', 'partial', 'failed')"
# An update of many items: of a hundred 60 updated, 25 skipped, 10 created, 4 failed, 1 not reached. Each fourth of the
# updated ones empties a field, and each fiftieth item ended with another decision than planned.
LARGE = f"""
    INSERT INTO ingest_batch_item (batch_id, position, asset_type, asset_hash, decision, planned, reason, changes,
                                   job_id, empties, differs)
    SELECT %(batch)s, n, 'photo', {HASH.format("'large '", "n")}, decision, IF(n %% 50 = 7, 'will_link',
               ELT(FIELD(decision, 'updated', 'skipped', 'created'), 'will_update', 'will_skip', 'will_create')),
           'it differs in title', IF(decision = 'updated', '{{{{"title": ["A title", null]}}}}', NULL),
           IF(decision = 'will_update', NULL, %(batch)s), IF(decision = 'updated' AND n %% 4 = 0, 1, NULL),
           IF(n %% 50 = 7, 1, NULL)
    FROM (SELECT seq AS n, ELT(INTERVAL(seq * 37 %% 100, 0, 60, 85, 95, 99), 'updated', 'skipped', 'created', 'failed',
                               'will_update') AS decision FROM seq_0_to_{{last}}) p"""
RECENT = 6_000  # jobs that ended within the last day

# table -> the statement that inserts its rows for the batches `low` to `high`.
FILL = {
    "ingest_batch": f"""
        INSERT INTO ingest_batch (id, sync_id, sync_type, action, status, item_count, total_bytes, source_host,
                                  manifest_sha256, discovered_at, last_error)
        SELECT n, {SYNC_ID}, {KIND}, {ACTION}, {STATUS}, {ITEMS}, n %% 1000000 * 4096,
               CONCAT('cloud-', 1 + n %% 12, '.example.net'), {HASH.format("'m'", "n")}, {DISCOVERED},
               IF(n * 7919 %% 1000 BETWEEN 950 AND 974, 'items[3].path: found nothing there, expected a folder', NULL)
        FROM (SELECT seq AS n FROM seq_{{low}}_to_{{high}}) numbers""",
    "import_job": f"""
        INSERT INTO import_job (id, batch_id, state, priority, requested_by, queued_at, claimed_at, worker,
                                claim_token, attempts, heartbeat_at, items_done, items_total, finished_at)
        SELECT id, id, state, 100 + id %% 3 * 50, 'operator', discovered_at, IF(claimed, discovered_at, NULL),
               IF(claimed, 'worker:7', NULL), IF(state = 'running', MD5(id), NULL), claimed,
               IF(state = 'running', NOW(6), IF(claimed, discovered_at + INTERVAL 9 SECOND, NULL)),
               IF(ended, {ITEMS}, 0), {ITEMS},
               IF(ended, discovered_at + INTERVAL 9 SECOND, IF(state = 'canceled', discovered_at, NULL))
        FROM (SELECT id, discovered_at, {STATE} AS state, status IN {ENDED} AS ended,
                     status IN {ENDED} OR status = 'importing' AS claimed
              FROM ingest_batch
              WHERE id BETWEEN {{low}} AND {{high}} AND status NOT IN ('discovered', 'preflight_failed')) b""",
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


def fill(db: Database, batches: int, *, first: int = 1, tables=tuple(FILL), since=SINCE, say=lambda text: None) -> None:
    """Add the batches numbered `first` to `batches` with their jobs, items and events, or those of these tables."""
    for table in tables:
        started, step = monotonic(), max(1, AT_ONCE // ROWS[table])
        for low in range(first, batches + 1, step):
            part = FILL[table].format(low=low, high=min(batches, low + step - 1))
            db.execute(part, since=since)
        db.execute(f"ANALYZE TABLE {table}")
        say(f"{table}: {monotonic() - started:.0f} s")


def fill_large(db: Database, batch: int, items: int) -> None:
    """Add one partly imported batch with this id and number of items."""
    db.execute(FILL["ingest_batch"].format(low=batch, high=batch), since=SINCE)
    db.execute(
        "UPDATE ingest_batch SET status = 'partial', sync_type = 'asset', action = 'update', item_count = %(items)s"
        " WHERE id = %(batch)s",
        batch=batch,
        items=items,
    )
    db.execute(FILL["import_job"].format(low=batch, high=batch), since=SINCE)
    db.execute(FILL["ingest_event"].format(low=batch, high=batch))
    db.execute(LARGE.format(last=items - 1), batch=batch)


def freshen(db: Database) -> None:
    """Move the ends of the latest jobs into the last day, ten seconds apart."""
    db.execute(
        "UPDATE import_job j JOIN (SELECT MAX(id) AS last FROM import_job) m"
        " SET claimed_at = NOW(6) - INTERVAL (m.last - id) * 10 + 9 SECOND,"
        " finished_at = NOW(6) - INTERVAL (m.last - id) * 10 SECOND"
        " WHERE id > CAST(m.last AS SIGNED) - %(recent)s AND state IN ('completed', 'failed')",
        recent=RECENT,
    )


def main() -> int:
    arguments = argparse.ArgumentParser(
        usage="make_ledger.py [--batches N] FOLDER [-- COMMAND]", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    arguments.add_argument("folder", type=Path, help="where the server keeps its data")
    arguments.add_argument("--batches", type=int, default=1_000_000, metavar="N", help="how many batches (1,000,000)")
    own, command = _divided(sys.argv[1:])
    args = arguments.parse_args(own)
    folder = args.folder.absolute()
    interrupt_on_signals()
    with MariaDBServer(folder, *THROWAWAY, *ROOMY, within=KILL_WITH_PARENT) as server:
        schema.apply(server.admin(NAME))
        _load(server, args.batches)
        conf = configure(folder, server)
        if command:
            return subprocess.run(command, env=os.environ | {"LEDGER": str(conf)}).returncode
        signal.pthread_sigmask(signal.SIG_BLOCK, STOP)  # so that sigwait is the one that gets them
        print(f"Ready: bin/gpupanel --config {conf} list. Ctrl-C stops the server.", flush=True)
        signal.sigwait(STOP)
    return 0


def _divided(words: list[str]) -> tuple[list[str], list[str]]:
    """Split the words at `--`."""
    end = words.index("--") if "--" in words else len(words)
    return words[:end], words[end + 1:]


def _load(server: MariaDBServer, batches: int) -> None:
    db = Database(server.admin(NAME), read_timeout=3600)
    db.execute("SET foreign_key_checks = 0, unique_checks = 0")
    [there] = db.execute("SELECT COALESCE(MAX(id), 0) AS batches FROM ingest_batch")
    if there["batches"] < batches:
        fill(db, batches, first=int(there["batches"]) + 1, say=lambda text: print(text, flush=True))
        fill_large(db, batches + 1, 100_000)
    freshen(db)
    db.close()


def configure(folder: Path, server: MariaDBServer) -> Path:
    """Write the configuration of a panel for this machine, with an empty mount."""
    (folder / "assets" / "sync").mkdir(parents=True, exist_ok=True)
    admin, conf = server.admin(NAME), folder / "panel.conf"
    conf.write_text(
        f"[database]\nunix_socket = {admin.unix_socket}\nuser = {admin.user}\nname = {admin.name}\n"
        f"[mount]\nsync_dir = {folder / 'assets' / 'sync'}\n[panel]\nauth = none\n"
    )
    return conf


if __name__ == "__main__":
    sys.exit(main())
