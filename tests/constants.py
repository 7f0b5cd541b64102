"""Names of the project: folders, database, tables and passwords."""

import importlib.util
from pathlib import Path
from types import ModuleType

from gpupanel.migration.table_specs import OURS_ALONE

TREE = Path(__file__).resolve().parents[1]
GPUPANEL, IMPORT_WORKER = (TREE / "bin" / name for name in ("gpupanel", "import-worker"))
NAME = "admin_panel"
RECORDS = tuple(sorted(OURS_ALONE - {"schema_version"}))
TABLES = (
    *RECORDS, "ingest_event", "ingest_batch_item", "import_job", "ingest_batch", "asset_source", "asset_ai_run",
    "asset_cover", "asset_derivative", "asset_gallery_item", "asset_collection_item", "asset_gallery",
    "asset_collection", "asset",
)
LIBRARY = tuple(table for table in TABLES if table.startswith("asset"))


def password(account: str) -> str:
    return f"{account} has a 'secret'"


def empty(db) -> None:
    """Empty all tables that have rows."""
    # on a cluster this read waits for the commits of other nodes, a DELETE does not
    filled = db.execute(" UNION ALL ".join(f"(SELECT '{table}' AS name FROM {table} LIMIT 1)" for table in TABLES))
    db.execute("SET foreign_key_checks = 0")
    for row in filled:
        db.execute(f"DELETE FROM {row['name']}")
    db.execute("SET foreign_key_checks = 1")


def bench_load() -> ModuleType:
    """Import bench/make_ledger.py, which makes ledgers of any size."""
    spec = importlib.util.spec_from_file_location("make_ledger", TREE / "bench" / "make_ledger.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
