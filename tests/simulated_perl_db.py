"""Simulate a Perl database: the same content with other names, ids, times and JSON."""

from gpupanel.db import Database

HOURS = 5
ZONE = "Etc/GMT-5"  # five hours before UTC, whatever the season

# our table -> (theirs, {our column: theirs})
NAMES = {
    "ingest_batch": ("import_batches", {"id": "batch_no", "sync_id": "bundle_uuid", "total_bytes": "size_bytes"}),
    "ingest_batch_item": (
        "import_batch_items",
        {"batch_id": "batch_no", "decision": "verdict", "updated_at": "touched_at"},
    ),
    "import_job": ("import_jobs", {"batch_id": "batch_no", "queued_at": "queued_on"}),
    "ingest_event": ("import_log", {"batch_id": "batch_no", "event_type": "event_kind", "payload": "payload_json"}),
    "asset": ("media_assets", {"asset_hash": "asset_digest", "title": "caption"}),
    "asset_source": ("media_sources", {"asset_id": "media_id"}),
    "asset_ai_run": ("media_ai_runs", {"asset_id": "media_id", "content_sha256": "digest"}),
    "asset_cover": ("media_covers", {"asset_id": "media_id"}),
    "asset_derivative": ("media_derivatives", {"asset_id": "media_id", "mime_type": "content_type"}),
    "asset_gallery": ("media_galleries", {"gallery_hash": "digest"}),
    "asset_gallery_item": ("media_gallery_items", {"asset_id": "media_id", "position": "sort_order"}),
    "asset_collection": ("media_collections", {"collection_hash": "digest"}),
    "asset_collection_item": ("media_collection_items", {"asset_id": "media_id", "position": "sort_order"}),
}
TABLES = {ours: theirs for ours, (theirs, _) in NAMES.items()}
# Each table counts from another number.
OFFSETS = {ours: 1000 * n for n, ours in enumerate(NAMES, 1)}
POINTS_TO = {
    "id": None, "source_batch_id": "ingest_batch", "hold_batch_id": "ingest_batch", "undo_of": "ingest_batch",
    "imported_job_id": "import_job", "replaces_job_id": "import_job", "earlier_job_id": "import_job",
    "batch_id": "ingest_batch", "first_batch_id": "ingest_batch", "last_batch_id": "ingest_batch",
    "job_id": "import_job", "asset_id": "asset", "cover_id": "asset_cover", "gallery_id": "asset_gallery",
    "collection_id": "asset_collection",
}
JSON = {"manifest_summary", "plan", "changes", "document"}
COLUMNS = (
    "SELECT COLUMN_NAME c, DATA_TYPE t, IS_GENERATED = 'ALWAYS' g FROM information_schema.COLUMNS"
    " WHERE TABLE_SCHEMA = %(db)s AND TABLE_NAME = %(table)s"
)


def build(db: Database, source: str, target: str) -> None:
    """Create the database `target` from the content of `source`."""
    db.execute(f"DROP DATABASE IF EXISTS {target}")
    db.execute(f"CREATE DATABASE {target} CHARACTER SET utf8mb4")
    for ours in NAMES:
        _copy(db, source, target, ours)


def mapping(absent: str = "") -> str:
    """Return the mapping file; `absent` is a table to mark as missing."""
    lines = [
        "[side]", f"time_zone = {ZONE}", "[tables]",
        *(f"{ours} = {theirs}" for ours, theirs in (TABLES | {absent: "-"}).items() if ours),
    ]
    for ours, (_, columns) in NAMES.items():
        lines += (
            [f"[{ours}]", *(f"{column} = {theirs}" for column, theirs in columns.items())] if ours != absent else []
        )
    return "\n".join(lines)


def _copy(db: Database, source: str, target: str, ours: str) -> None:
    theirs, renamed = NAMES[ours]
    db.execute(f"CREATE TABLE {target}.{theirs} LIKE {source}.{ours}")
    described = db.execute(COLUMNS, db=source, table=ours)
    changes = [f"DROP COLUMN {row['c']}" for row in described if row["g"]]
    changes += [f"RENAME COLUMN {column} TO {name}" for column, name in renamed.items()]
    db.execute(f"ALTER TABLE {target}.{theirs} {', '.join(changes)}")
    columns = {row["c"]: row["t"] for row in described if not row["g"]}
    names = ", ".join(renamed.get(column, column) for column in columns)
    values = ", ".join(_value(ours, column, kind) for column, kind in columns.items())
    db.execute(f"INSERT INTO {target}.{theirs} ({names}) SELECT {values} FROM {source}.{ours}")


def _value(table: str, column: str, kind: str) -> str:
    if column in POINTS_TO:
        return f"{column} + {OFFSETS[POINTS_TO[column] or table]}"
    if kind == "datetime":
        return f"{column} + INTERVAL {HOURS} HOUR"
    if column in JSON:
        return f"JSON_LOOSE({column})"
    if column == "payload":
        return r"""REGEXP_REPLACE(JSON_LOOSE(payload), '("job_id": "?)([0-9]+)', '\\19\\2')"""
    if column in ("reason", "last_error"):
        return rf"REGEXP_REPLACE({column}, 'asset ([0-9]+)', 'asset 7\\1')"
    return "REPLACE(worker, ':', ':9')" if column == "worker" else column
