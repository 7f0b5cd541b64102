"""The compared tables: their natural keys and the kinds of columns.

Columns and types come from etc/schema.sql; this module adds only what that file does not contain. A path such as
`asset_id.asset_hash` follows the id to the table that it refers to. `#` numbers the rows with an otherwise equal key in
the order of their ids: the second job of a batch, the third event of a type.
"""

from functools import cache
from typing import NamedTuple

from ..doctor import schema_diff as schema

# The table that each id refers to.
REFERENCES = {
    "batch_id": "ingest_batch", "first_batch_id": "ingest_batch", "last_batch_id": "ingest_batch",
    "job_id": "import_job", "earlier_job_id": "import_job",
    "asset_id": "asset", "cover_id": "asset_cover", "gallery_id": "asset_gallery", "collection_id": "asset_collection",
}
# The natural key that replaces an id in comparisons. A job is identified by its number in the history of its batch.
NATURAL = {
    "ingest_batch": ("sync_id",), "import_job": ("batch_id.sync_id", "#"),
    "asset": ("asset_type", "asset_hash"), "asset_cover": ("cover_hash",),
    "asset_gallery": ("gallery_hash",), "asset_collection": ("collection_hash",),
}
# Tables that the Perl panel and worker do not write.
OURS_ALONE = {
    "schema_version", "ingest_batch_container", "ingest_batch_word", "ingest_result", "ingest_result_member",
    "ingest_document", "ingest_tombstone", "ingest_receipt", "ingest_notice", "preflight_request", "queue_control", "import_worker",
}
NEVER_COMPARED = {
    "id", "active_batch_id", "prior_sync_id", "source_at", "source_batch_id", "although_older", "undo_of", "changed_at",
    "changed_sha256", "imported_at", "imported_job_id", "imported_sha256", "seen_by", "seen_at", "hold", "hold_reason",
    "hold_batch_id", "not_before", "held_at", "hold_count", "replaces_job_id", "item_digest", "target_digest",
    "checked_at", "checked_how", "skipped_state", "item_title",
}

# Documents from files; their columns are text in the database.
DOCUMENTS = {("asset_source", "document"), ("asset_ai_run", "document")}
# The value is different each time, so only its presence is compared.
ONLY_PRESENCE = {"claim_token", "worker", "updated_at"}

TIME, JSON, REFERENCE, PRESENCE, PLAIN = "time", "json", "reference", "presence", "plain"


class TableSpec(NamedTuple):
    """A table; `key` identifies a row, `bundle` is the path to its bundle.

    The database sorts by `leading`, and this program sorts the rows with an equal `leading`. If
    these may be too `many`, the database sorts by the whole key. `jobs_in` is a JSON column that contains ids of jobs.
    """

    name: str
    area: str
    noun: str
    key: tuple[str, ...]
    bundle: str
    many: bool = False
    jobs_in: str = ""

    @property
    def numbered(self) -> bool:
        return "#" in self.key

    @property
    def leading(self) -> tuple[str, ...]:
        """Return the parts of the key that are in the same table as the first one."""
        if self.many:
            return self.key
        way = self.key[0].rpartition(".")[0]
        return tuple(part for part in self.key if way and part.rpartition(".")[0] == way) or self.key[:1]


LEDGER, QUEUE, LIBRARY = "Ledger", "Queue", "Library"
OF_BATCH, OF_ASSET = "batch_id.sync_id", "asset_id.last_batch_id.sync_id"
ASSET = ("asset_id.asset_type", "asset_id.asset_hash")

# In this order, so that a parent row is compared before its child rows.
TABLES = (
    TableSpec("ingest_batch", LEDGER, "batch", ("sync_id",), "sync_id"),
    TableSpec("import_job", QUEUE, "job", (OF_BATCH, "#"), OF_BATCH),
    TableSpec("asset", LIBRARY, "asset", ("asset_type", "asset_hash"), "last_batch_id.sync_id", many=True),
    TableSpec("asset_source", LIBRARY, "source document", ASSET, OF_ASSET, many=True),
    TableSpec("asset_ai_run", LIBRARY, "analysis", (*ASSET, "analysis_kind", "content_sha256"), OF_ASSET),
    TableSpec("asset_cover", LIBRARY, "cover link", (*ASSET, "cover_hash"), OF_ASSET),
    TableSpec("asset_derivative", LIBRARY, "derivative", (*ASSET, "kind", "path"), OF_ASSET),
    TableSpec("asset_gallery", LIBRARY, "gallery", ("gallery_hash",), "last_batch_id.sync_id"),
    TableSpec(
        "asset_gallery_item", LIBRARY, "gallery member", ("gallery_id.gallery_hash", *ASSET),
        "gallery_id.last_batch_id.sync_id",
    ),
    TableSpec("asset_collection", LIBRARY, "collection", ("collection_hash",), "last_batch_id.sync_id"),
    TableSpec(
        "asset_collection_item", LIBRARY, "collection member", ("collection_id.collection_hash", *ASSET),
        "collection_id.last_batch_id.sync_id",
    ),
    TableSpec("ingest_batch_item", LEDGER, "item", (OF_BATCH, "asset_type", "asset_hash"), OF_BATCH, many=True),
    TableSpec("ingest_event", LEDGER, "event", (OF_BATCH, "event_type", "#"), OF_BATCH, jobs_in="payload"),
)
BY_NAME = {table.name: table for table in TABLES}


@cache
def column_types(table: str) -> dict[str, str]:
    """Return column -> type in etc/schema.sql, including the id."""
    return {name: column.type for name, (column, _) in expected()[table].columns.items()}


def expected() -> dict[str, schema.Table]:
    """Return the tables of etc/schema.sql that are compared."""
    return {name: table for name, table in schema.expected_tables().items() if name not in OURS_ALONE}


def compared_columns(table: str) -> list[str]:
    """Return the columns whose values are compared."""
    return [column for column in column_types(table) if column not in NEVER_COMPARED]


@cache
def column_kind(table: str, column: str) -> str:
    """Return the kind of a column: TIME, JSON, REFERENCE, PRESENCE or PLAIN."""
    if column in ONLY_PRESENCE:
        return PRESENCE
    if column in REFERENCES:
        return REFERENCE
    if (table, column) in DOCUMENTS:
        return JSON
    kind = column_types(table)[column]
    return JSON if kind == "json" else TIME if kind.startswith("datetime") else PLAIN


def natural_key_paths(path: str) -> tuple[str, ...]:
    """Return the paths that replace an id.

    `asset_id` gives asset_id.asset_type and asset_id.asset_hash.
    """
    return tuple(f"{path}.{part}" for part in NATURAL[REFERENCES[path.rpartition(".")[2]]])
