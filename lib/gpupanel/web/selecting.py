"""What can be done with many batches at once: look at what would become of each, then do it, a part each request."""

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
MOST_IN_A_NOTICE = 100  # outcomes; what became of more is told by a page of its own

DO = {f"{what}_selected": what for what in bulk.BULKS}
DONE = {bulk.QUEUE: "queued", bulk.PREFLIGHT: "preflighted", bulk.RETRY: "queued again", bulk.CANCEL: "canceled"}


def preview(db: Database, secret: Secret, visit: Visit) -> dict[str, Any]:
    """What the form's field `preview` names would do with each batch: the ticked ones or, with `all`, those that the
    page's filters find now. Nothing is changed. Raises InvalidInput."""
    what = visit.form["preview"][-1]
    if what not in bulk.BULKS:
        raise InvalidInput(f"preview: found {what[:80]!r}, expected one of {', '.join(bulk.BULKS)}")
    selection = db.read(_matching if "all" in visit.form else _ticked, visit)
    foreseen = db.read(bulk.foresee, what, selection.ids)
    return _page(secret, visit, what, selection, foreseen=foreseen)


def perform(
    db: Database, settings: MountSettings, secret: Secret, visit: Visit, do: str
) -> tuple[Outcome, dict[str, Any] | None]:
    """Do it with as many as the time allows; returns the outcome, and a page that goes on where a notice cannot tell
    all. Raises InvalidInput."""
    what = DO[do]
    selection, sync_ids = db.read(_given, secret, visit)
    outcomes, left = bulk.perform(db, Mount(settings), what, sync_ids, visit.user.name, seconds=MOUNT_SECONDS)
    problems = [[each.sync_id, each.problem] for each in outcomes if each.problem]
    selection = selection.after(len(outcomes) - len(problems), problems, db.read(_ids, left))
    field = pack(secret, visit.user.name, selection) if left else None
    result = {"batches": [each._asdict() for each in outcomes], "left": len(left), "selection": field}
    lines = [_line(what, each) for each in _refused_first(outcomes)]
    outcome = Outcome(do, not problems and not left, _summary(what, selection), lines, result)
    told_by_notice = not left and selection.total <= MOST_IN_A_NOTICE
    return outcome, None if told_by_notice else _page(secret, visit, what, selection, outcomes=outcomes)


# --------------------------------------------------------------------------------------------- which batches


def _ticked(tx: Reading, visit: Visit) -> Selection:
    ids = bulk.in_order(tx, _ids(tx, _sync_ids(visit)))
    return Selection(ids, len(ids))


def _matching(tx: Reading, visit: Visit) -> Selection:
    found, whole = find.ids(tx, filters.read(visit.query))
    return Selection(bulk.in_order(tx, found), len(found), whole)


def _given(tx: Reading, secret: Secret, visit: Visit) -> tuple[Selection, list[str]]:
    """The selection that the form carries, or the batches that it names, and their sync_ids in order."""
    if "selection" not in visit.form:
        sync_ids = ledger.in_order_of_handover(tx, _sync_ids(visit))
        return Selection([], len(sync_ids)), sync_ids
    selection = unpack(secret, visit.user.name, visit.form["selection"][-1])
    return selection, [row["sync_id"] for row in bulk.chosen(tx, selection.ids).values()]


def _sync_ids(visit: Visit) -> list[str]:
    ticked = dict.fromkeys(parameters.sync_id(text) for text in visit.form.get("sync_id", []))
    if not 0 < len(ticked) <= MOST_TICKED:
        raise InvalidInput(f"{len(ticked)} batches are ticked, expected 1 to {MOST_TICKED}.", "Tick batches in the list.")
    return list(ticked)


def _ids(tx: Reading, sync_ids: list[str]) -> list[int]:
    """The ids of those that are recorded, in this order."""
    rows = [row for some in chunks(sync_ids) for row in tx.all("find.ids", sync_ids=some)]
    known = {row["sync_id"]: row["id"] for row in rows}
    return [known[sync_id] for sync_id in sync_ids if sync_id in known]


# ------------------------------------------------------------------------------------------------ what is told


def _page(secret: Secret, visit: Visit, what: str, selection: Selection, *, foreseen=None, outcomes=None) -> dict[str, Any]:
    listed = foreseen if outcomes is None else _refused_first(outcomes)
    return {
        "what": what, "done_word": DONE[what], "do": f"{what}_selected",
        "total": selection.total, "whole": selection.whole, "left": len(selection.ids),
        "done": selection.done, "refused": selection.refused,
        "groups": _groups(foreseen or []),
        "foreseen": [each._asdict() for each in listed[:MOST_LISTED]] if outcomes is None else None,
        "outcomes": None if outcomes is None else [each._asdict() for each in listed[:MOST_LISTED]],
        "not_listed": max(0, len(listed) - MOST_LISTED),
        "told": selection.told,
        "selection": pack(secret, visit.user.name, selection) if selection.ids else None,
    }


def _refused_first(outcomes: list[bulk.BatchResult]) -> list[bulk.BatchResult]:
    """What was not done is what somebody has to see, also where a notice has no room for all; before all what says what to do."""
    return sorted(outcomes, key=lambda each: (each.problem is None, not each.hint))


def _groups(foreseen: list[Foreseen]) -> list[dict[str, Any]]:
    """How many batches of each status there are and what becomes of those; what is refused comes last."""
    numbers: dict[tuple, int] = {}
    for each in sorted(foreseen, key=lambda each: (each.will is None, each.will or "", each.status)):
        kind = (each.status, each.will, each.refusal)
        numbers[kind] = numbers.get(kind, 0) + 1
    return [{"status": s, "will": will, "refusal": why, "batches": n} for (s, will, why), n in numbers.items()]


def _summary(what: str, selection: Selection) -> str:
    word = DONE[what]
    told = f"{word[0].upper()}{word[1:]}: {selection.done:,} of {many(selection.total, 'batch', 'batches')}."
    told += f" {selection.refused:,} refused, told first." if selection.refused and selection.done else ""
    return told + (f" {len(selection.ids):,} are left." if selection.ids else "")


def _line(what: str, outcome: bulk.BatchResult) -> str:
    if outcome.did:
        return f"{outcome.sync_id}: {outcome.did}"
    return f"{outcome.sync_id}: not {DONE[what]}: {outcome.problem.rstrip('.')}. {outcome.hint}".rstrip()
