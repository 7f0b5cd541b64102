"""Form actions on many batches: preview, then bounded work per request."""

import re
from collections import Counter
from typing import Any

from .. import bulk_service, ledger, search, services
from ..search import filters
from ..bulk_service import BatchPreview
from ..config import MountSettings
from ..db import Database, ReadTransaction, chunked
from ..errors import InvalidInputError, MountUnavailableError
from ..folds import forecast
from ..folds.entry_store import TemporaryFileError
from ..mount import Mount
from ..text import pluralize
from . import form_actions, request as parameters, template_filters
from .signing_key import SigningKey
from .form_actions import ActionResult, MOUNT_SECONDS
from .signed_selection import Selection, sign_selection, verify_selection
from .request import Request

MAX_SELECTED = 1000
MAX_LISTED = 200
MAX_FORECAST_LISTED = 50  # entries in each list of a forecast
FORECAST_SECONDS = MOUNT_SECONDS / 2  # of a preview, which also reads the selection
NO_FORECAST: dict[str, Any] = {"forecast": None, "forecast_problem": None}
MAX_FLASH_RESULTS = 100  # results in a flash message; more are shown on a page of their own
# What the problems of several batches differ by: paths with a hash, positions, numbers of items.
OWN_NAME = re.compile(r"\S*[0-9a-f]{16}[^\s:]*|(?<=\[)\d+(?=\])")
OWN_COUNT = re.compile(r"\b(?:all \d+ items|the only item)\b")

DO = {f"{action}_selected": action for action in bulk_service.BULK_ACTIONS}
DONE = {
    bulk_service.QUEUE: "queued", bulk_service.PREFLIGHT: "preflighted", bulk_service.RETRY: "queued again",
    bulk_service.CANCEL: "canceled", bulk_service.SEEN: "marked as seen",
}


class NothingSelectedError(InvalidInputError):
    """An action on selected batches without a selection."""

    message = "Select at least one batch."
    hint = "Tick batches in the list, or All matching batches."


def is_preview(request: Request) -> bool:
    """Return whether a form asks for the preview: its button does, or it acts on all that match."""
    form = request.form
    return "preview" in form or ("all" in form and "selection" not in form and form.get("do", [""])[-1] in DO)


def preview(db: Database, settings: MountSettings, secret: SigningKey, request: Request) -> dict[str, Any]:
    """Return the preview page of an action. Raises InvalidInputError.

    The batches are the selected ones or, with the field `all`, those that match the page's filters now. Before batches
    are queued, the page has a forecast of their import.
    """
    action = request.form["preview"][-1] if "preview" in request.form else DO[request.form["do"][-1]]
    priority = form_actions.priority_of(request.form)
    if action not in bulk_service.BULK_ACTIONS:
        expected = ", ".join(bulk_service.BULK_ACTIONS)
        raise InvalidInputError(f"preview: found {action[:80]!r}, expected one of {expected}")
    selection = db.run_read(_matching if "all" in request.form else _selected, request)
    previews = db.run_read(bulk_service.preview, action, selection.ids)
    page = _page(secret, request, action, selection, len(previews))
    rows = [batch._asdict() for batch in previews[:MAX_LISTED]]
    page |= {"priority": priority, "titles": db.run_read(_titles, [row["sync_id"] for row in rows])}
    outlook = NO_FORECAST if action != bulk_service.QUEUE else _forecast(db, Mount(settings), previews)
    return page | {"groups": _groups(previews), "foreseen": rows, "outcomes": None} | outlook


def perform(
    db: Database, settings: MountSettings, secret: SigningKey, request: Request, do: str
) -> tuple[ActionResult, dict[str, Any] | None]:
    """Act on as many batches as the time allows. Raises InvalidInputError.

    Returns the result, and a page where a flash message is too small for it or batches are left.
    """
    action = DO[do]
    selection, sync_ids = db.run_read(_from_form, secret, request)
    user = request.signed_in.name
    priority = form_actions.priority_of(request.form)
    terms = bulk_service.ActionTerms(user, MOUNT_SECONDS, priority)
    outcomes, left = bulk_service.run(db, Mount(settings), action, sync_ids, terms)
    problems = [[outcome.sync_id, outcome.problem] for outcome in outcomes if outcome.problem]
    selection = selection.after(len(outcomes) - len(problems), problems, db.run_read(_ids, left))
    field = sign_selection(secret, user, selection) if left else None
    result = {"batches": [outcome._asdict() for outcome in outcomes], "left": len(left), "selection": field}
    listed = _refused_first(outcomes)
    lines = [_format_result(action, outcome) for outcome in listed]
    outcome = ActionResult(do, not problems and not left, _summary(action, selection), lines, result)
    if not left and selection.total <= MAX_FLASH_RESULTS:
        return outcome, None
    done = [outcome._asdict() for outcome in outcomes if outcome.did]
    page, rows = _page(secret, request, action, selection, len(done)), done[:MAX_LISTED]
    shown = [*(row["sync_id"] for row in rows), *(sync_id for sync_id, _ in selection.problems)]
    page |= {"priority": priority, "titles": db.run_read(_titles, shown), "reasons": _reasons(selection.problems)}
    return outcome, page | {"groups": [], "foreseen": None, "outcomes": rows} | NO_FORECAST


def _forecast(db: Database, mount: Mount, previews: list[BatchPreview]) -> dict[str, Any]:
    """Return the forecast of the batches that would be queued, or why there is none."""
    limits = forecast.Limits(FORECAST_SECONDS, services.MAX_REQUEST_BYTES, MAX_FORECAST_LISTED, checks_files=False)
    sync_ids = [batch.sync_id for batch in previews if batch.will]
    try:
        found = forecast.forecast_batches(db, mount, sync_ids, limits) if sync_ids else None
    except (MountUnavailableError, TemporaryFileError) as error:
        return {"forecast": None, "forecast_problem": str(error)}
    return {"forecast": found and forecast.as_json(found), "forecast_problem": None}


# --------------------------------------------------------------------------------------------- selection


def _selected(tx: ReadTransaction, request: Request) -> Selection:
    ids = bulk_service.in_order(tx, _ids(tx, _sync_ids(request)))
    return Selection(ids, len(ids))


def _matching(tx: ReadTransaction, request: Request) -> Selection:
    ids, whole = search.list_ids(tx, filters.parse_filter(request.query))
    return Selection(bulk_service.in_order(tx, ids), len(ids), whole)


def _from_form(tx: ReadTransaction, secret: SigningKey, request: Request) -> tuple[Selection, list[str]]:
    """Return the form's signed selection, or the batches that it names."""
    if "selection" not in request.form:
        sync_ids = ledger.sort_by_upstream_order(tx, _sync_ids(request))
        return Selection([], len(sync_ids)), sync_ids
    selection = verify_selection(secret, request.signed_in.name, request.form["selection"][-1])
    return selection, [row["sync_id"] for row in bulk_service.select_batches(tx, selection.ids).values()]


def _sync_ids(request: Request) -> list[str]:
    selected = dict.fromkeys(parameters.sync_id(text) for text in request.form.get("sync_id", []))
    if not selected:
        raise NothingSelectedError()
    if len(selected) > MAX_SELECTED:
        raise InvalidInputError(
            f"{len(selected)} batches are selected, expected 1 to {MAX_SELECTED}.", "Select fewer batches in the list."
        )
    return list(selected)


def _ids(tx: ReadTransaction, sync_ids: list[str]) -> list[int]:
    """Return the ids of the recorded batches among these, in the same order."""
    rows = [row for chunk in chunked(sync_ids) for row in tx.fetch_all("search.ids", sync_ids=chunk)]
    ids = {row["sync_id"]: row["id"] for row in rows}
    return [ids[sync_id] for sync_id in sync_ids if sync_id in ids]


def _titles(tx: ReadTransaction, sync_ids: list[str]) -> dict[str, str | None]:
    """Return what names each of these batches."""
    rows = [row for chunk in chunked(sync_ids) for row in tx.fetch_all("search.ids", sync_ids=chunk)]
    titles = search.list_titles(tx, [row["id"] for row in rows])
    return {row["sync_id"]: titles[row["id"]] for row in rows}


# ------------------------------------------------------------------------------------------------ output


def _page(secret: SigningKey, request: Request, action: str, selection: Selection, rows: int) -> dict[str, Any]:
    """Return the values that preview and result page share."""
    return {
        "what": action, "done_word": DONE[action], "do": f"{action}_selected",
        "total": selection.total, "whole": selection.whole, "left": len(selection.ids),
        "done": selection.done, "refused": selection.refused,
        "not_listed": max(0, rows - MAX_LISTED),
        "told": selection.problems,
        "selection": sign_selection(secret, request.signed_in.name, selection) if selection.ids else None,
    }


def _refused_first(outcomes: list[bulk_service.BatchResult]) -> list[bulk_service.BatchResult]:
    """Sort refused batches first, since a flash message may drop lines."""
    return sorted(outcomes, key=lambda outcome: (outcome.problem is None, not outcome.hint))


def _groups(previews: list[BatchPreview]) -> list[dict[str, Any]]:
    """Count the batches by status and effect; refused ones come last."""
    ordered = sorted(previews, key=lambda batch: (batch.will is None, batch.will or "", batch.status))
    groups = Counter((batch.status, batch.will, batch.refusal) for batch in ordered)
    return [
        {"status": status, "will": will, "refusal": refusal, "batches": number}
        for (status, will, refusal), number in groups.items()
    ]


def _reasons(problems: list[list[str]]) -> list[tuple[str, int]]:
    """Count the batches by problem, without what is each batch's own; the most frequent first."""
    return Counter(_common_part(*problem) for problem in problems).most_common()


def _common_part(sync_id: str, problem: str) -> str:
    text = template_filters.first_problem(template_filters.without_id(problem, sync_id), rest="")
    text = OWN_NAME.sub("...", text.replace(sync_id, "<sync_id>"))
    text = OWN_COUNT.sub("each item", text)
    return text[:1].upper() + text[1:]


def _summary(action: str, selection: Selection) -> str:
    text = f"{DONE[action].capitalize()}: {selection.done:,} of {pluralize(selection.total, 'batch', 'batches')}."
    text += f" {selection.refused:,} refused (listed first)." if selection.refused and selection.done else ""
    return text + (f" {len(selection.ids):,} left." if selection.ids else "")


def _format_result(action: str, outcome: bulk_service.BatchResult) -> str:
    if outcome.did:
        return f"{outcome.sync_id}: {outcome.did}"
    problem = template_filters.without_id(outcome.problem or "", outcome.sync_id).rstrip(".")
    return f"{outcome.sync_id}: not {DONE[action]}: {problem}. {outcome.hint}".rstrip()
