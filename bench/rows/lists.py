#!/usr/bin/env python3
"""How long the list of batches takes, and how many rows the server reads for it, in ledgers of several sizes.

    bench/lists.py /tmp/small/panel.conf /tmp/million/panel.conf

For each page: the median of its times in each ledger, the rows read, and how many times longer the last ledger takes
than the first. Build the ledgers with bench/load.py.
"""

import sys
from pathlib import Path
from statistics import median
from time import perf_counter

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))

from gpupanel import config, find  # noqa: E402
from gpupanel.database import Database  # noqa: E402
from gpupanel.filters import Filters, read  # noqa: E402

RUNS = 15
FIRST, LAST = None, find.Place(find.ENDS[0], later=True)
HOST = "cloud-3.example.net"
PAGES = {
    "no filter": {}, "status": {"status": "completed"}, "status, rare": {"status": "failed"}, "type": {"type": "gallery"},
    "action": {"action": "remove"}, "host": {"host": HOST}, "dates": {"from": "2025-12-22", "to": "2025-12-22"},
    "sync_id": {"q": "abc"}, "sync_id, one character": {"q": "a"}, "asset": {"q": ""},
    "status and type": {"status": "failed", "type": "gallery"}, "status and action": {"status": "completed", "action": "create"},
    "four filters": {"status": "completed", "type": "video_simple", "action": "remove", "host": HOST},
    "none fits": {"status": "completed", "type": "collection"},
}


def measured(db: Database, work) -> tuple[float, int]:
    """(median milliseconds, rows read) of `work(tx)`."""
    times = []
    for _ in range(RUNS):
        db.execute("FLUSH STATUS")
        started = perf_counter()
        db.read(work)
        times.append((perf_counter() - started) * 1000)
    rows = db.execute("SHOW SESSION STATUS LIKE 'Handler_read%'")
    return median(times), sum(int(row["Value"]) for row in rows)


def queries(db: Database):
    """name -> what a page asks."""
    [item] = db.execute("SELECT asset_hash FROM ingest_batch_item WHERE batch_id = 7 LIMIT 1")
    for name, texts in PAGES.items():
        filters = read(texts | ({"q": item["asset_hash"]} if name == "asset" else {}))
        yield f"{name}: first page", lambda tx, filters=filters: find.page(tx, filters, FIRST)
        yield f"{name}: last page", lambda tx, filters=filters: find.page(tx, filters, LAST)
        yield f"{name}: count", lambda tx, filters=filters: find.count(tx, filters)
    yield "counts of all statuses", lambda tx: find.count_by_status(tx, Filters())
    yield "counts of all statuses, filtered", lambda tx: find.count_by_status(tx, Filters(host=HOST))


def main() -> None:
    tables = []
    for conf in sys.argv[1:]:
        db = Database(config.load(Path(conf)).database)
        tables.append({name: measured(db, work) for name, work in queries(db)})
        db.close()
    for name in tables[0]:
        cells = "".join(f"{ms:9.1f} ms {rows:7,} rows" for ms, rows in (table[name] for table in tables))
        print(f"{name:38}{cells}  x{tables[-1][name][0] / tables[0][name][0]:.1f}")


if __name__ == "__main__":
    main()
