"""Form actions on many batches: preview, then bounded work per request."""

from collections import Counter
from typing import Any

from .. import bulk, filters, find, ledger
from ..bulk import Foreseen
from ..config import MountSettings
from ..database import Database, Reading, chunks
from ..errors import InvalidInput
from ..mount import Mount
from . import visit as parameters
from .forms import Secret
from .operations import MOUNT_SECONDS, Outcome, many
from .selection import Selection, pack, unpack
from .visit import Visit

MOST_TICKED = 1000
MOST_LISTED = 200
MOST_IN_A_NOTICE = 100  # results in a flash message; more are shown on a page of their own

DO = {f"{what}_selected": what for what in bulk.BULKS}
DONE = {bulk.QUEUE: "queued", bulk.PREFLIGHT: "preflighted", bulk.RETRY: "queued again", bulk.CANCEL: "canceled"}


def preview(db: Database, secret: Secret, visit: Visit) -> dict[str, Any]:
    """Return the preview page of an action. Raises InvalidInput.

    The batches are the selected ones or, with the field `all`, those that match the page's filters now.
    """
    what = visit.form["preview"][-1]
    if what not in bulk.BULKS:
        raise InvalidInput(f"preview: found {what[:80]!r}, expected one of {', '.join(bulk.BULKS)}")
    selection = db.read(_matching if "all" in visit.form else _ticked, visit)
    foreseen = db.read(bulk.foresee, what, selection.ids)
    page = _page(secret, visit, what, selection, len(foreseen))
    rows = [batch._asdict() for batch in foreseen[:MOST_LISTED]]
    return page | {"groups": _groups(foreseen), "foreseen": rows, "outcomes": None}


def perform(
    db: Database, settings: MountSettings, secret: Secret, visit: Visit, do: str
) -> tuple[Outcome, dict[str, Any] | None]:
    """Act on as many batches as the time allows. Raises InvalidInput.

    Returns the result, and a page where a flash message is too small for it or batches are left.
    """
    what = DO[do]
    selection, sync_ids = db.read(_from_form, secret, visit)
    user = visit.signed_in.name
    outcomes, left = bulk.perform(db, Mount(settings), what, sync_ids, user, seconds=MOUNT_SECONDS)
    problems = [[outcome.sync_id, outcome.problem] for outcome in outcomes if outcome.problem]
    selection = selection.after(len(outcomes) - len(problems), problems, db.read(_ids, left))
    field = pack(secret, user, selection) if left else None
    result = {"batches": [outcome._asdict() for outcome in outcomes], "left": len(left), "selection": field}
    listed = _refused_first(outcomes)
    lines = [_format_result(what, outcome) for outcome in listed]
    outcome = Outcome(do, not problems and not left, _summary(what, selection), lines, result)
    if not left and selection.total <= MOST_IN_A_NOTICE:
        return outcome, None
    page = _page(secret, visit, what, selection, len(outcomes))
    rows = [outcome._asdict() for outcome in listed[:MOST_LISTED]]
    return outcome, page | {"groups": [], "foreseen": None, "outcomes": rows}


# --------------------------------------------------------------------------------------------- which batches


def _ticked(tx: Reading, visit: Visit) -> Selection:
    ids = bulk.in_order(tx, _ids(tx, _sync_ids(visit)))
    return Selection(ids, len(ids))


def _matching(tx: Reading, visit: Visit) -> Selection:
    ids, whole = find.ids(tx, filters.read(visit.query))
    return Selection(bulk.in_order(tx, ids), len(ids), whole)


def _from_form(tx: Reading, secret: Secret, visit: Visit) -> tuple[Selection, list[str]]:
    """Return the form's signed selection, or the batches that it names."""
    if "selection" not in visit.form:
        sync_ids = ledger.in_order_of_handover(tx, _sync_ids(visit))
        return Selection([], len(sync_ids)), sync_ids
    selection = unpack(secret, visit.signed_in.name, visit.form["selection"][-1])
    return selection, [row["sync_id"] for row in bulk.chosen(tx, selection.ids).values()]


def _sync_ids(visit: Visit) -> list[str]:
    ticked = dict.fromkeys(parameters.sync_id(text) for text in visit.form.get("sync_id", []))
    if not 0 < len(ticked) <= MOST_TICKED:
        raise InvalidInput(
            f"{len(ticked)} batches are selected, expected 1 to {MOST_TICKED}.", "Select batches in the list."
        )
    return list(ticked)


def _ids(tx: Reading, sync_ids: list[str]) -> list[int]:
    """Return the ids of the recorded batches among these, in the same order."""
    rows = [row for chunk in chunks(sync_ids) for row in tx.all("find.ids", sync_ids=chunk)]
    ids = {row["sync_id"]: row["id"] for row in rows}
    return [ids[sync_id] for sync_id in sync_ids if sync_id in ids]


# ------------------------------------------------------------------------------------------------ what is shown


def _page(secret: Secret, visit: Visit, what: str, selection: Selection, rows: int) -> dict[str, Any]:
    """Return the values that preview and result page share."""
    return {
        "what": what, "done_word": DONE[what], "do": f"{what}_selected",
        "total": selection.total, "whole": selection.whole, "left": len(selection.ids),
        "done": selection.done, "refused": selection.refused,
        "not_listed": max(0, rows - MOST_LISTED),
        "told": selection.told,
        "selection": pack(secret, visit.signed_in.name, selection) if selection.ids else None,
    }


def _refused_first(outcomes: list[bulk.BatchResult]) -> list[bulk.BatchResult]:
    """Sort refused batches first, since a flash message may drop lines."""
    return sorted(outcomes, key=lambda outcome: (outcome.problem is None, not outcome.hint))


def _groups(foreseen: list[Foreseen]) -> list[dict[str, Any]]:
    """Count the batches by status and effect; refused ones come last."""
    ordered = sorted(foreseen, key=lambda batch: (batch.will is None, batch.will or "", batch.status))
    groups = Counter((batch.status, batch.will, batch.refusal) for batch in ordered)
    return [
        {"status": status, "will": will, "refusal": refusal, "batches": number}
        for (status, will, refusal), number in groups.items()
    ]


def _summary(what: str, selection: Selection) -> str:
    text = f"{DONE[what].capitalize()}: {selection.done:,} of {many(selection.total, 'batch', 'batches')}."
    text += f" {selection.refused:,} refused (listed first)." if selection.refused and selection.done else ""
    return text + (f" {len(selection.ids):,} left." if selection.ids else "")


def _format_result(what: str, outcome: bulk.BatchResult) -> str:
    if outcome.did:
        return f"{outcome.sync_id}: {outcome.did}"
    return f"{outcome.sync_id}: not {DONE[what]}: {(outcome.problem or '').rstrip('.')}. {outcome.hint}".rstrip()
