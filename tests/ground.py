"""What tests name without a fixture: where the project is, what its database, tables and passwords are called."""

import importlib.util
from pathlib import Path
from types import ModuleType

TREE = Path(__file__).resolve().parents[1]
NAME = "admin_panel"
TABLES = (
    "ingest_event", "ingest_batch_item", "import_job", "ingest_batch", "asset_source", "asset_ai_run", "asset_cover",
    "asset_derivative", "asset_gallery_item", "asset_collection_item", "asset_gallery", "asset_collection", "asset",
)
LIBRARY = TABLES[4:]


def password(account: str) -> str:
    return f"{account} has a 'secret'"


def bench_load() -> ModuleType:
    """bench/load.py, which makes ledgers of any size."""
    spec = importlib.util.spec_from_file_location("load", TREE / "bench" / "load.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
