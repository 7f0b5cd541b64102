"""The compared tables: their natural keys and the kinds of columns.

Columns and types come from etc/schema.sql; this module adds only what that file does not contain. A path such as
`asset_id.asset_hash` follows the id to the table that it refers to. `#` numbers the rows with an otherwise equal key in
the order of their ids: the second job of a batch, the third event of a type.
"""

import re
from functools import cache
from typing import NamedTuple

from ..db.create_table import Table
from ..db.expected import expected_tables
from . import masks

# The table that each id refers to.
REFERENCES = {
    "batch_id": "ingest_batch", "first_batch_id": "ingest_batch", "last_batch_id": "ingest_batch",
    "source_batch_id": "ingest_batch", "hold_batch_id": "ingest_batch", "undo_of": "ingest_batch",
    "job_id": "import_job", "earlier_job_id": "import_job", "imported_job_id": "import_job",
    "replaces_job_id": "import_job",
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
    "schema_version",
    "ingest_batch_container",
    "ingest_batch_word",
    "ingest_result",
    "ingest_result_member",
    "ingest_result_tombstone",
    "ingest_document",
    "ingest_tombstone",
    "ingest_receipt",
    "ingest_archive",
    "ingest_notice",
    "preflight_request",
    "queue_control",
    "import_worker",
}
# The number of a row, and values that the database computes from others.
NEVER_COMPARED = {"id", "active_batch_id", "attention"}
# Columns of compared tables that only this system has: compared where both sides have them, and no difference where one
# side lacks them.
OURS_ONLY = {
    ("ingest_batch", name) for name in (
        "prior_sync_id", "source_at", "although_older", "undo_of", "changed_at", "changed_sha256", "imported_at",
        "imported_job_id", "imported_sha256", "seen_by", "seen_at", "skipped_state", "scan_title",
        "scan_container", "scan_path", "scan_picture", "archived_at",
    )
} | {
    ("import_job", name)
    for name in ("hold", "hold_reason", "hold_batch_id", "not_before", "held_at", "hold_count", "replaces_job_id")
} | {
    ("ingest_batch_item", "item_digest"), ("ingest_batch_item", "target_digest"), ("ingest_batch_item", "item_title"),
    ("asset_derivative", "checked_at"), ("asset_derivative", "checked_how"), ("asset_ai_run", "deleted_at"),
    ("asset_source", "deleted_at"),
} | {
    (table, name) for name in ("source_at", "source_batch_id") for table in (
        "asset", "asset_derivative", "asset_gallery", "asset_gallery_item", "asset_collection", "asset_collection_item",
    )
}

# Columns of docs/PERL-PARITY.md, "What differs on purpose"; a side without them differs by structure.
UNKNOWN_TO_PERL = {
    ("ingest_event", "actor"), ("asset_ai_run", "parse_error"), ("asset", "fingerprint"), ("import_job", "claim_token"),
} | {
    ("ingest_batch_item", name) for name in (
        "planned", "earlier", "earlier_reason", "earlier_job_id", "path", "picture", "empties", "differs",
    )
}

# Documents from files; their columns are text in the database.
DOCUMENTS = {("asset_source", "document"), ("asset_ai_run", "document")}
# The value is new on each side, so only its presence is compared.
ONLY_PRESENCE = {
    # Batches are compared before their jobs are matched.
    ("ingest_batch", "imported_job_id"): "the job of the latest import",
    ("import_job", "claim_token"): "claim tokens", ("import_job", "worker"): masks.WORKER_NAMES,
    **{(table, "updated_at"): "times of the latest change" for table in (
        "ingest_batch", "ingest_batch_item", "asset", "asset_source", "asset_derivative", "asset_gallery",
        "asset_collection",
    )},
}
MASKED_JSON = {("ingest_event", "payload")}
IDENTIFIERS = {"sync_id", "prior_sync_id"}

TIME, JSON, REFERENCE, PRESENCE, HASH, PLAIN = "time", "json", "reference", "presence", "hash", "plain"


class TableSpec(NamedTuple):
    """A table; `key` identifies a row, `bundle` is the path to its bundle.

    The database sorts by `leading`, and this program sorts the rows with an equal `leading`. If
    these may be too `many`, the database sorts by the whole key. `jobs_in` is a JSON column that contains ids of jobs.
    `version` is the part of the key that a new version of the same thing changes.
    """

    name: str
    area: str
    noun: str
    key: tuple[str, ...]
    bundle: str
    many: bool = False
    jobs_in: str = ""
    version: str = ""

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
    TableSpec("asset_ai_run", LIBRARY, "analysis", (*ASSET, "analysis_kind", "content_sha256"), OF_ASSET,
              version="content_sha256"),
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


def expected() -> dict[str, Table]:
    """Return the tables of etc/schema.sql that are compared."""
    return {name: table for name, table in expected_tables().items() if name not in OURS_ALONE}


def expected_everywhere() -> set[str]:
    """Return the names of all tables of etc/schema.sql, those that are not compared too."""
    return set(expected_tables())


def compared_columns(table: str) -> list[str]:
    """Return the columns whose values are compared."""
    return [column for column in column_types(table) if column not in NEVER_COMPARED]


@cache
def column_kind(table: str, column: str) -> str:
    """Return the kind of a column: TIME, JSON, REFERENCE, PRESENCE, HASH or PLAIN."""
    if (table, column) in ONLY_PRESENCE:
        return PRESENCE
    if column in REFERENCES:
        return REFERENCE
    if (table, column) in DOCUMENTS:
        return JSON
    kind = column_types(table)[column]
    if kind == "char(64)" or column in IDENTIFIERS:
        return HASH
    return JSON if kind == "json" else TIME if kind.startswith("datetime") else PLAIN


def words_of(table: str, column: str) -> list[str]:
    """Return the words of an ENUM; none of another column."""
    kind = column_types(table)[column]
    return re.findall(r"'([^']*)'", kind) if kind.startswith("enum(") else []


@cache
def is_hash(path: str) -> bool:
    """Return whether a path ends in a digest or in a sync_id, whose case does not matter for matching."""
    column = path.rpartition(".")[2]
    return column in IDENTIFIERS or column.endswith(("_hash", "sha256"))


def end_of(table: str, path: str) -> tuple[str, str]:
    """Return (table, column) at the end of a path."""
    way, _, column = path.rpartition(".")
    return (REFERENCES[way.rpartition(".")[2]] if way else table), column


def natural_key_paths(path: str) -> tuple[str, ...]:
    """Return the paths that replace an id.

    `asset_id` gives asset_id.asset_type and asset_id.asset_hash.
    """
    return tuple(f"{path}.{part}" for part in NATURAL[REFERENCES[path.rpartition(".")[2]]])
