"""The kinds of difference with their meaning and their likely cause."""

from typing import NamedTuple

from ..manifest.schema import NEVER_PERSISTED

# What a difference means for visitors of the site, for operators, and for administrators of the tables.
LOST, CONTENT, RECORD, STRUCTURE, FORM = "lost", "content", "record", "structure", "form"
WEIGHTS = {
    LOST: "one library lacks content",
    CONTENT: "the libraries have other content",
    RECORD: "operators see another history",
    STRUCTURE: "tables or columns could not be compared",
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
        "table is missing",
        "this side has no such table, its account may not read it, or the mapping file does not name it", STRUCTURE,
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
    "orphan": DifferenceKind(
        "rows have no parent row, and were not compared", "the parent row was deleted, or never written",
    ),
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
    "empty": DifferenceKind(
        "is empty on one side and NULL on the other", "one side writes an empty text where it has none", FORM,
    ),
    "zero_time": DifferenceKind(
        "is 0 or a zero date on one side and NULL on the other", "one side writes 0 or a zero date for no time", FORM,
    ),
    "unicode_form": DifferenceKind(
        "has the same characters in another Unicode normal form",
        "one side composes accents (NFC), the other one keeps them apart (NFD)", FORM,
    ),
    "encoding": DifferenceKind(
        "holds UTF-8 that was read as latin1",
        "the connection, or the program that wrote it, had another character set than the text",
    ),
    "characters": DifferenceKind(
        "has question marks for characters",
        "the character set of a column, such as latin1 or utf8mb3, cannot hold them; they are lost on that side",
    ),
    "value": DifferenceKind("has different values", "the two systems computed or copied the value differently"),
    "wording": DifferenceKind(
        "differs in case, white space or type only",
        "the column has another type, or one side normalizes its values", FORM,
    ),
    "hash_case": DifferenceKind(
        "has letters of another case", "one side writes its digests in capitals; rows were matched in any case", FORM,
    ),
    "reference": DifferenceKind("refers to different rows", "one side linked another row, or none"),
    "time": DifferenceKind(
        "is further apart than allowed", "another time zone, or one side sets the time at another moment", FORM,
    ),
    "no_time": DifferenceKind(
        "holds a value that is no time", "a zero date, or a text; the other side has another value",
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
    "json_list_order": DifferenceKind(
        "holds the same list in another order", "one side sorts the list, or reads it in another order",
    ),
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

# Kinds by which content of the library is missing on one side.
LOSSES = {"left_only", "right_only", "removed", "orphan", "table_missing"}

# Events of steps that the Perl side does not record, or records under other names; docs/PERL-PARITY.md lists them.
OUR_EVENTS = {
    "attention_seen", "batch_archived", "batch_restored", "bundle_changed_upstream", "bundle_passed_over",
    "container_failed", "item_failed", "job_claimed", "job_failed", "job_finished", "job_held", "job_priority",
    "job_progress", "job_released", "job_reset", "job_unheld", "manifest_changed", "mount_unavailable",
    "preflight_abandoned", "preflight_canceled", "preflight_requested", "times_converted", "undo_requested",
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
    ("import_job", "state", None, "the job ended differently, or waits as `held`, a state that only this system has"),
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
    ("ingest_batch", "sync_id", "value", "the same bundle under another identifier; its rows were not compared"),
    ("import_job", None, "left_only", "an additional job on the left: queued once more, or an earlier attempt"),
    ("import_job", None, "right_only", "an additional job on the right: queued once more, or an earlier attempt"),
    ("ingest_event", "event_type", None, "the same step under another type of event"),
    ("asset_ai_run", "content_sha256", "value", "the two sides hold different versions of the document"),
    ("asset_derivative", "kind", None, "the same file under another kind"),
    ("asset_derivative", "path", None, "the same derivative at another path"),
    ("asset_derivative", None, "left_only", "the right system lost these files, or never imported them"),
    ("asset_derivative", None, "right_only", "the left system lost these files, or never imported them"),
    ("asset_ai_run", "analysis_kind", None, "file names are mapped to kinds differently"),
    ("asset", "fingerprint", None, "only this system computes it; a Perl database has none"),
)


def likely_cause(table: str, column: str, kind: str, path: str = "") -> str:
    """Return the likely cause, a sentence without capital and full stop."""
    if _is_left_out(table, kind, path):
        return "this system leaves out this kind of derivative on purpose"
    if _is_our_event(table, kind, path):
        return f"this system records {path} on purpose; the Perl side records the step otherwise, or not at all"
    for of_table, of_column, of_kind, cause in KNOWN_CAUSES:
        if of_table == table and of_column in (None, column) and of_kind in (None, kind):
            return cause
    return KINDS[kind].cause


def weight_of(area: str, kind: str, table: str = "", path: str = "") -> str:
    """Return the weight of a difference of this kind: one of WEIGHTS."""
    if _is_left_out(table, kind, path) or _is_our_event(table, kind, path):
        return FORM
    if area == "Library" and kind in LOSSES:
        return LOST
    return KINDS[kind].weight or (CONTENT if area == "Library" else RECORD)


def _is_our_event(table: str, kind: str, path: str) -> bool:
    return table == "ingest_event" and kind in ("left_only", "right_only") and path in OUR_EVENTS


def _is_left_out(table: str, kind: str, path: str) -> bool:
    return table == "asset_derivative" and kind in ("left_only", "right_only") and path in NEVER_PERSISTED
