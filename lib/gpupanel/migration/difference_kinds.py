"""The kinds of difference, what each means, and what is likely behind it."""

from typing import NamedTuple

# How much a difference matters to those who look at the site, at the panel, or at the tables.
CONTENT, RECORD, FORM, STRUCTURE = "content", "record", "form", "structure"
WEIGHTS = {
    CONTENT: "changes what the library holds",
    RECORD: "changes what operators are told",
    STRUCTURE: "the databases are built differently",
    FORM: "the same facts, written differently",
}


class DifferenceKind(NamedTuple):
    """`title` follows the name of a column or table; `weight` None means that of the table."""

    title: str
    cause: str
    weight_of: str | None = None


KINDS = {
    "table_missing": DifferenceKind("table is missing", "this side has no such table, or the mapping file does not name it", STRUCTURE),
    "column_missing": DifferenceKind("column is missing", "this side does not keep this, or the mapping file does not name it", STRUCTURE),
    "column_unknown": DifferenceKind("column is known to one side only", "this side keeps something that the other has no place for", STRUCTURE),
    "no_key": DifferenceKind("rows cannot be told apart", "a column of the natural key is missing; name it in the mapping file", STRUCTURE),
    "orphan": DifferenceKind("rows belong to nothing", "their parent row was deleted, or never written"),
    "twice": DifferenceKind("rows are there more than once", "this side has no UNIQUE key on what identifies a row"),
    "left_only": DifferenceKind("rows are missing on the right", "the right system skipped, failed or never met what the left one wrote"),
    "right_only": DifferenceKind("rows are missing on the left", "the left system skipped, failed or never met what the right one wrote"),
    "removed": DifferenceKind("is removed on one side and live on the other", "one side took it out, or restored it, and the other did not", CONTENT),
    "presence": DifferenceKind("has a value on one side only", "one side does not fill this column here"),
    "value": DifferenceKind("has different values", "the two systems computed or copied this differently"),
    "wording": DifferenceKind("differs in case, white space or type only", "the column has another type, or one side tidies up what it stores", FORM),
    "reference": DifferenceKind("points to different things", "one side linked another row, or none"),
    "time": DifferenceKind("is further apart than allowed", "another time zone, or one side sets the time at another moment", FORM),
    "time_order": DifferenceKind("times follow each other differently", "the steps were taken, or recorded, in another order", RECORD),
    "sequence": DifferenceKind("events come in another order", "one side writes its events at other moments of the same steps", RECORD),
    "json_value": DifferenceKind("holds different values", "the two systems computed or copied this differently"),
    "json_type": DifferenceKind("holds values of different JSON types", "one side encodes numbers as strings, or the other way round", FORM),
    "json_key": DifferenceKind("has a key on one side only", "one side writes a fact that the other does not know"),
    "json_spacing": DifferenceKind("differs in spacing or escapes only", "another JSON encoder, or another setting of it", FORM),
    "json_order": DifferenceKind("differs in the order of its keys only", "one side does not sort its keys", FORM),
    "heading": DifferenceKind("headings differ", "another wording, count or order of sections", RECORD),
    "fact": DifferenceKind("labelled fact differs", "another value, label or format", RECORD),
    "columns": DifferenceKind("tables have other columns", "another set or order of columns", RECORD),
    "row": DifferenceKind("tables have other rows", "another row, or another order of rows", RECORD),
    "cell": DifferenceKind("cell differs", "another value or format", RECORD),
}

# What is known of particular places; (table, column, kind) with None for any.
KNOWN = (
    ("ingest_batch", "status", None, "the import ended differently; look at the items of the bundle first"),
    ("ingest_batch_item", "decision", None, "the rules of planning or importing differ for this item, or the library was another"),
    ("ingest_batch_item", "reason", None, "only this system explains itself in words"),
    ("ingest_batch", "manifest_sha256", None, "the two systems read other bytes: the bundle changed between the two runs"),
    ("ingest_batch_item", "last_error", None, "the same failure in other words, or another failure"),
    ("import_job", "last_error", None, "the same failure in other words, or another failure"),
    ("ingest_event", "actor", "column_missing", "the Perl panel does not record who wrote an event"),
    ("ingest_event", None, "left_only", "one system notes a step that the other does not note, or calls it by another name"),
    ("ingest_event", None, "right_only", "one system notes a step that the other does not note, or calls it by another name"),
    ("asset_gallery_item", "position", None, "members are counted from another number, or were moved by a later bundle"),
    ("asset_collection_item", "position", None, "members are counted from another number, or were moved by a later bundle"),
    ("asset_derivative", None, "left_only", "one side keeps a kind of derivative that the other leaves out on purpose"),
    ("asset_ai_run", "analysis_kind", None, "file names are mapped to kinds differently"),
    ("asset", "fingerprint", None, "computed by this system's own rule; a Perl database has none"),
)


def likely_cause(table: str, column: str, kind: str) -> str:
    """The likely cause, in a sentence without its capital and its full stop."""
    for known_table, known_column, known_kind, cause in KNOWN:
        if known_table == table and known_column in (None, column) and known_kind in (None, kind):
            return cause
    return KINDS[kind].cause


def weight_of(area: str, kind: str) -> str:
    """How much a difference of this kind in this area matters: one of WEIGHTS."""
    return KINDS[kind].weight or (CONTENT if area == "Library" else RECORD)
