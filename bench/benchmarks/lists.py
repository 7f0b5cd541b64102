"""Queries of the batch list in growing ledgers, against OFFSET and COUNT(*)."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from statistics import median
from time import perf_counter

from gpupanel import config, search
from gpupanel.db import Database
from gpupanel.search.filters import parse_filter
from gpupanel.pagination import Cursor, ENDS
from gpupanel.web.pages import batches
from gpupanel.web.request import Request

from .. import page_queries, panel
from ..runner import Comparison, run_in_turns

TITLE = "the list of batches as the ledger grows"
SIZES = (10_000, 100_000, 1_000_000)
PLACES = {"first": "", "last": "after=0"}
PATIENCE = 600  # seconds, for what is naive in a large ledger
LAST = Cursor(ENDS[0], ascending=True)
HOST = "cloud-3.example.net"
FILTERS = {
    "status": {"status": "completed"}, "status, rare": {"status": "failed"}, "type": {"type": "gallery"},
    "action": {"action": "remove"}, "host": {"host": HOST}, "dates": {"from": "2025-12-22", "to": "2025-12-22"},
    "sync_id": {"q": "abc"}, "sync_id, one character": {"q": "a"}, "asset": {"q": ""},
    "status and type": {"status": "failed", "type": "gallery"},
    "status and action": {"status": "completed", "action": "create"},
    "four filters": {"status": "completed", "type": "video_simple", "action": "remove", "host": HOST},
    "none fits": {"status": "completed", "type": "collection"},
}
NAIVE = (
    """SELECT b.*, j.id AS job_id, j.state, j.items_done, j.items_total
       FROM (SELECT * FROM ingest_batch ORDER BY discovered_at DESC, id DESC LIMIT 50 OFFSET %(offset)s) b
       LEFT JOIN import_job j ON j.id = (SELECT MAX(latest.id) FROM import_job latest WHERE latest.batch_id = b.id)""",
    "SELECT COUNT(*) FROM ingest_batch",
    "SELECT status, COUNT(*) FROM ingest_batch GROUP BY status",
    "SELECT DISTINCT source_host FROM ingest_batch",
)


def measure(full: bool) -> Iterator[Comparison]:
    sizes = SIZES if full else SIZES[:2]
    with ExitStack() as open_ones:
        ledgers = {size: open_ones.enter_context(panel.kept_ledger(size)) for size in sizes}
        settings = {size: config.load(conf) for size, conf in ledgers.items()}
        dbs = {size: Database(each.database, read_timeout=PATIENCE) for size, each in settings.items()}
        for place, query in PLACES.items():
            ours = {f"ours, {size:,}": _page(dbs[size], settings[size], query) for size in sizes}
            naive = {
                f"OFFSET and COUNT(*), {size:,}": _naive(dbs[size], place == "last" and size - 50) for size in sizes
            }
            yield Comparison(
                f"the {place} page: its statements", "ms", f"ours, {sizes[0]:,}",
                run_in_turns(ours | naive, 30 if full else 10),
                f"ours at most 1.3 times as long with {sizes[-1]:,} batches as with {sizes[0]:,}",
                (f"Rows that the server reads for it: {_rows_read(dbs, settings, query)}.",),
            )
        yield _filters(dbs, 15 if full else 5)


def _page(db: Database, settings: config.Settings, query: str) -> Callable[[], float]:
    """Run the queries of the page through the panel's code."""
    visit = Request(page_queries.environ(f"import-media.cgi?{query}"))
    return lambda: _timed(partial(batches.view, db, visit, settings))


def _naive(db: Database, offset: int) -> Callable[[], float]:
    return lambda: _timed(
        lambda: [db.execute(text, **({"offset": offset} if "offset" in text else {})) for text in NAIVE]
    )


def _filters(dbs: dict[int, Database], rounds: int) -> Comparison:
    """Measure each filter in the largest ledger, and its ratio to the smallest."""
    smallest, largest = min(dbs), max(dbs)
    found: dict[str, list[float]] = {}
    notes = []
    for name, texts in {"no filter": {}, **FILTERS}.items():
        for what, work in _asks(dbs[largest], name, texts).items():
            took = run_in_turns({size: partial(_read, dbs[size], work) for size in (smallest, largest)}, rounds)
            found[f"{name}: {what}"] = took[largest]
            notes.append(f"{name}, {what}: {median(took[largest]) / median(took[smallest]):.2f}")
    return Comparison(
        f"each filter with {largest:,} batches", "ms", "no filter: first page", found,
        notes=(f"To the same with {smallest:,}: {'; '.join(notes)}.",),
    )


def _asks(db: Database, name: str, texts: dict[str, str]) -> dict[str, Callable]:
    if name == "asset":
        [item] = db.execute("SELECT asset_hash FROM ingest_batch_item WHERE batch_id = 7 LIMIT 1")
        texts = {"q": item["asset_hash"]}
    filters = parse_filter(texts)
    return {
        "first page": lambda tx: search.list_batches(tx, filters),
        "last page": lambda tx: search.list_batches(tx, filters, search.PageRequest(LAST)),
        "count": lambda tx: search.count_batches(tx, filters),
    }


def _read(db: Database, work: Callable) -> float:
    return _timed(lambda: db.run_read(work))


def _timed(work: Callable[[], object]) -> float:
    """Return milliseconds."""
    started = perf_counter()
    work()
    return (perf_counter() - started) * 1000


def _rows_read(dbs: dict[int, Database], settings: dict[int, config.Settings], query: str) -> str:
    shares = []
    for size, db in dbs.items():
        db.execute("FLUSH STATUS")
        _page(db, settings[size], query)()
        rows = db.execute("SHOW SESSION STATUS LIKE 'Handler_read%'")
        shares.append(f"{sum(int(row['Value']) for row in rows):,} of {size:,}")
    return ", ".join(shares)
