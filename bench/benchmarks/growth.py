"""How many bytes the database grows by: a batch, an item, a document, an event, a result."""

import os
import subprocess
from collections.abc import Iterator
from hashlib import sha256

from gpupanel import config, services
from gpupanel.db import Database
from gpupanel.mount import Mount

from .. import environment
from ..environment import BenchEnvironment
from ..runner import Comparison

TITLE = "bytes on disk a row, indexes included, as the ledger grows"
# Batches of so many items are imported by the worker, and their rows are then doubled with new ids and hashes.
SMALL, IMPORTED, DOUBLINGS = 4, 200, (6, 9)
# A million batches of one item: 11 GB.
MILLION_ITEMS, MILLION_IMPORTED, MILLION_DOUBLINGS = 1, 250, (5, 9, 12)
TABLES = (
    "ingest_batch", "import_job", "ingest_batch_item", "ingest_event", "ingest_result", "asset", "asset_source",
    "asset_ai_run", "asset_cover", "asset_derivative",
)
# What a row of these tables is, where a batch, an item or a document is meant.
LEDGER = ("ingest_batch", "import_job", "ingest_batch_item", "ingest_event", "ingest_result")
OFFSET_COLUMNS = (
    "id", "batch_id", "first_batch_id", "last_batch_id", "source_batch_id", "job_id", "imported_job_id", "asset_id",
    "cover_id", "target_id", "earlier_job_id",
)
HASHES = ("asset_hash", "hash", "cover_hash")
UNDURABLE = (
    "--innodb-flush-log-at-trx-commit=0", "--innodb-buffer-pool-size=6G", "--skip-innodb-doublewrite",
    "--innodb-log-file-size=2G",
)
NOTE = (
    "{imported} bundles with {files} documents of some 700 bytes an item were imported by the worker;"
    " their rows were doubled with new ids and hashes. Sizes are those of the files, indexes included; rows of"
    " hashes are spread over their indexes, so that the pages are filled as in years of use."
)
DOCUMENT_SIZES = (700, 7_000, 60_000)
TEXTS = {
    "documents as LONGTEXT": "document LONGTEXT NOT NULL",
    "documents as LONGTEXT COMPRESSED": "document LONGTEXT COMPRESSED NOT NULL",
    "documents in pages that are compressed": "document LONGTEXT NOT NULL",
}


def measure(full: bool) -> Iterator[Comparison]:
    with environment.prepare_environment(*UNDURABLE) as place:
        yield from _growth(place, SMALL, IMPORTED, DOUBLINGS if full else DOUBLINGS[:1])
        for size in DOCUMENT_SIZES if full else DOCUMENT_SIZES[:1]:
            yield from _compressed(place.admin, size)
    if full:
        with environment.prepare_environment(*UNDURABLE) as place:
            yield from _growth(place, MILLION_ITEMS, MILLION_IMPORTED, MILLION_DOUBLINGS)


# ------------------------------------------------------------------------------------------------ growth


def _growth(place: BenchEnvironment, items: int, imported: int, doublings: tuple[int, ...]) -> Iterator[Comparison]:
    _import(place, items, imported)
    figures: dict[str, list[float]] = {}
    note = NOTE.format(imported=imported, files=1 + len(environment.DOCUMENTS))
    for doubling in range(1, doublings[-1] + 1):
        _double(place.admin, doubling)
        if doubling in doublings:
            batches = imported * 2**doubling
            sizes = _sizes(place)
            figures = {f"a row of {table}": [size / rows] for table, (size, rows) in sizes.items()}
            ledger, whole = (sum(sizes[table][0] for table in names) for names in (LEDGER, TABLES))
            figures |= {"a batch in the ledger": [ledger / batches], "a batch, library included": [whole / batches]}
            events = sizes["ingest_event"][1] / batches
            yield Comparison(
                f"{batches:,} batches, items in each: {items}", "bytes", "a batch in the ledger", figures,
                notes=(note, f"Events of a batch that is queued and imported once: {events:.1f}."),
            )


def _import(place: BenchEnvironment, items: int, imported: int) -> None:
    mount = Mount(config.load(place.conf).mount)
    sync_ids = [environment.bundle(place.assets_dir, f"growth {n}", items) for n in range(imported)]
    services.scan_mount(place.admin, mount, "bench")
    for sync_id in sync_ids:
        services.queue_batch(place.admin, mount, sync_id, "bench")
    subprocess.run(place.command(), env=os.environ, stderr=subprocess.DEVNULL, check=True)


def _double(db: Database, doubling: int) -> None:
    """Insert each row once more, as that of another batch, job and asset."""
    db.execute("SET foreign_key_checks = 0")
    for table in TABLES:
        columns = [
            row["name"] for row in db.execute(
                "SELECT column_name AS name FROM information_schema.columns WHERE table_schema = DATABASE()"
                " AND table_name = %(table)s AND extra NOT LIKE '%%GENERATED%%'", table=table,
            )
        ]
        values = [_value(column, doubling) for column in columns]
        db.execute(f"INSERT INTO {table} (`{'`, `'.join(columns)}`) SELECT {', '.join(values)} FROM {table}")


def _value(column: str, doubling: int) -> str:
    if column in OFFSET_COLUMNS:
        return f"`{column}` + {10**6 * 2**doubling}"
    if column in HASHES:
        return f"SHA2(CONCAT(`{column}`, {doubling}), 256)"
    if column == "claim_token":
        return f"MD5(CONCAT(`{column}`, {doubling}))"
    if column == "sync_id":
        digest = f"MD5(CONCAT(`{column}`, {doubling}))"
        return f"INSERT(INSERT(INSERT(INSERT(LEFT({digest}, 32), 9, 0, '-'), 14, 0, '-'), 19, 0, '-'), 24, 0, '-')"
    return f"`{column}`"


def _sizes(place: BenchEnvironment) -> dict[str, tuple[int, int]]:
    """table -> (bytes of its file, number of rows)."""
    db = place.admin
    folder = db.execute("SELECT @@datadir AS folder")[0]["folder"]
    tables = {table: db.execute(f"SELECT COUNT(*) AS n FROM {table}")[0]["n"] for table in TABLES}
    return {
        table: (os.stat(f"{folder}/{environment.NAME}/{table}.ibd").st_size, rows) for table, rows in tables.items()
    }


# ------------------------------------------------------------------------------------------- compressed documents


def _compressed(db: Database, size: int) -> Iterator[Comparison]:
    """Compare the ways to store documents of about `size` bytes: bytes on disk, and processor time of the server."""
    documents = [_document(number, size) for number in range(max(100, 8_000_000 // size))]
    figures, times = {}, []
    for name, column in TEXTS.items():
        options = " PAGE_COMPRESSED = 1" if "pages" in name else ""
        db.execute("DROP TABLE IF EXISTS growth_documents")
        db.execute(
            f"CREATE TABLE growth_documents (sha256 CHAR(64) CHARACTER SET ascii NOT NULL PRIMARY KEY, {column})"
            f" ENGINE = InnoDB ROW_FORMAT = DYNAMIC{options}"
        )
        before = _server_seconds(db)
        with db.transaction() as tx:
            for text in documents:
                tx.fetch_all_sql(
                    "INSERT INTO growth_documents VALUES (%(sha)s, %(text)s)",
                    sha=sha256(text.encode()).hexdigest(), text=text,
                )
        seconds = _server_seconds(db) - before
        db.execute("FLUSH TABLES growth_documents FOR EXPORT")
        folder = db.execute("SELECT @@datadir AS folder")[0]["folder"]
        blocks = os.stat(f"{folder}/{environment.NAME}/growth_documents.ibd").st_blocks
        db.execute("UNLOCK TABLES")
        figures[name] = [blocks * 512 / len(documents)]
        times.append(f"{name}: {seconds / len(documents) * 1e6:.0f} microseconds of the server's processor a row")
    db.execute("DROP TABLE growth_documents")
    yield Comparison(f"a document of {size:,} bytes", "bytes", next(iter(TEXTS)), figures, notes=tuple(times))


def _document(number: int, size: int) -> str:
    words = {f"key{n}": environment.digest(n, number)[:40] for n in range(max(1, size // 55))}
    return f'{{"model": "tagger-3", "number": {number}, "words": {str(words).replace(chr(39), chr(34))}}}'


def _server_seconds(db: Database) -> float:
    """The processor time of the server so far."""
    path = db.execute("SELECT @@pid_file AS path")[0]["path"]
    folder = db.execute("SELECT @@datadir AS folder")[0]["folder"]
    with open(path if path.startswith("/") else os.path.join(folder, path), encoding="ascii") as file:
        process = int(file.read())
    with open(f"/proc/{process}/stat", encoding="ascii") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
