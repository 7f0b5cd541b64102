"""The kinds of difference with their meaning and their likely cause."""

from typing import NamedTuple

# How much a difference matters to visitors of the site, to operators, and to administrators of the tables.
CONTENT, RECORD, FORM, STRUCTURE = "content", "record", "form", "structure"
WEIGHTS = {
    CONTENT: "the library has other content",
    RECORD: "operators see other records",
    STRUCTURE: "the databases have different tables or columns",
    FORM: "the same facts, written differently",
}


class DifferenceKind(NamedTuple):
    """A kind.

    `title` follows the name of a column or table, `weight` None means that of the table.
    """

    title: str
    cause: str
    weight: str | None = None


KINDS = {
    "table_missing": DifferenceKind(
        "table is missing", "this side has no such table, or the mapping file does not name it", STRUCTURE,
    ),
    "column_missing": DifferenceKind(
        "column is missing", "this side does not store it, or the mapping file does not name it", STRUCTURE,
    ),
    "column_unknown": DifferenceKind(
        "column is known to one side only", "this side stores a fact that the other side does not store", STRUCTURE,
    ),
    "no_key": DifferenceKind(
        "rows cannot be matched", "a column of the natural key is missing; name it in the mapping file", STRUCTURE,
    ),
    "orphan": DifferenceKind("rows have no parent row", "the parent row was deleted, or never written"),
    "twice": DifferenceKind("rows are duplicated", "this side has no UNIQUE key on what identifies a row"),
    "left_only": DifferenceKind(
        "rows are missing on the right", "the right system skipped these rows, failed at them, or never received them",
    ),
    "right_only": DifferenceKind(
        "rows are missing on the left", "the left system skipped these rows, failed at them, or never received them",
    ),
    "removed": DifferenceKind(
        "is removed on one side and live on the other", "only one side removed the row, or restored it", CONTENT,
    ),
    "presence": DifferenceKind("has a value on one side only", "one side does not fill this column here"),
    "value": DifferenceKind("has different values", "the two systems computed or copied the value differently"),
    "wording": DifferenceKind(
        "differs in case, white space or type only",
        "the column has another type, or one side normalizes its values", FORM,
    ),
    "reference": DifferenceKind("refers to different rows", "one side linked another row, or none"),
    "time": DifferenceKind(
        "is further apart than allowed", "another time zone, or one side sets the time at another moment", FORM,
    ),
    "time_order": DifferenceKind(
        "times are in another order", "the steps were done, or recorded, in another order", RECORD,
    ),
    "sequence": DifferenceKind(
        "events are in another order", "one side writes its events at other moments of the same steps", RECORD,
    ),
    "json_value": DifferenceKind(
        "holds different values", "the two systems computed or copied the value differently",
    ),
    "json_type": DifferenceKind(
        "holds values of different JSON types", "one side encodes numbers as strings, or the other way round", FORM,
    ),
    "json_key": DifferenceKind("has a key on one side only", "one side writes a fact that the other does not write"),
    "json_spacing": DifferenceKind(
        "differs in spacing or escapes only", "another JSON encoder, or another setting of it", FORM,
    ),
    "json_order": DifferenceKind("differs in the order of its keys only", "one side does not sort its keys", FORM),
    "heading": DifferenceKind("headings differ", "another wording, count or order of sections", RECORD),
    "fact": DifferenceKind("labelled fact differs", "another value, label or format", RECORD),
    "columns": DifferenceKind("tables have other columns", "another set or order of columns", RECORD),
    "row": DifferenceKind("tables have other rows", "another row, or another order of rows", RECORD),
    "cell": DifferenceKind("cell differs", "another value or format", RECORD),
}

# Causes of differences at particular places: (table, column, kind), with None for any.
KNOWN_CAUSES = (
    ("ingest_batch", "status", None, "the import ended differently; compare the items of the bundle first"),
    ("ingest_batch_item", "decision", None, "the rules for this item differ, or the library had other content before"),
    ("ingest_batch_item", "reason", None, "only this system records a reason"),
    (
        "ingest_batch",
        "manifest_sha256", None, "the two systems read other bytes: the bundle changed between the two runs",
    ),
    ("ingest_batch_item", "last_error", None, "the same failure in other words, or another failure"),
    ("import_job", "last_error", None, "the same failure in other words, or another failure"),
    ("ingest_event", "actor", "column_missing", "the Perl panel does not record who wrote an event"),
    ("ingest_event", None, "left_only", "only one system records this step, or it uses another event type"),
    ("ingest_event", None, "right_only", "only one system records this step, or it uses another event type"),
    (
        "asset_gallery_item",
        "position", None, "members are counted from another number, or were moved by a later bundle",
    ),
    (
        "asset_collection_item",
        "position", None, "members are counted from another number, or were moved by a later bundle",
    ),
    ("asset_derivative", None, "left_only", "one side omits this kind of derivative on purpose"),
    ("asset_ai_run", "analysis_kind", None, "file names are mapped to kinds differently"),
    ("asset", "fingerprint", None, "only this system computes it; a Perl database has none"),
)


def likely_cause(table: str, column: str, kind: str) -> str:
    """Return the likely cause, a sentence without capital and full stop."""
    for of_table, of_column, of_kind, cause in KNOWN_CAUSES:
        if of_table == table and of_column in (None, column) and of_kind in (None, kind):
            return cause
    return KINDS[kind].cause


def weight_of(area: str, kind: str) -> str:
    """Return the weight of a difference of this kind: one of WEIGHTS."""
    return KINDS[kind].weight or (CONTENT if area == "Library" else RECORD)
