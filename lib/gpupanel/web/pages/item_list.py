"""Items of a batch for page and export: filter, pages, public fields."""

import re
from typing import Any, NamedTuple

from ... import ledger
from ...db import ReadTransaction
from ...errors import InvalidInputError
from ...models import DONE_BY_PLAN, Decision, REFUSED_BY_DATABASE, cleared_fields
from ...rows import ItemRow
from ..request import Request
from ..serializers import ITEM, pick

ITEM_KEYS = (*ITEM, "as_planned", "empties", "remedy")
FAILING = (Decision.FAILED, Decision.WILL_FAIL)
# Decisions that need action come first.
DECISION_ORDER = (*FAILING, *(decision for decision in Decision if decision not in FAILING))
HASH = re.compile(r"[0-9a-f]{1,64}")
FIX_BUNDLE = "bundle"
MISSING_FILE = "is not on the mount"
MAY_RETURN = (MISSING_FILE, "found no file", "cannot be read")  # reasons of an item that later files may mend


class ItemFilter(NamedTuple):
    """Filter of items: by decision, mark or start of the hash, or none."""

    decision: Decision | None = None
    mark: str | None = None
    hash_start: str | None = None

    @property
    def group(self) -> str | None:
        return self.decision or self.mark


def parse_item_filter(request: Request) -> ItemFilter:
    """Return the filter of a request. Raises InvalidInputError."""
    decision = request.choice("decision", [str(decision) for decision in Decision])
    mark = request.choice("mark", list(ledger.ITEM_FLAGS))
    start = request.query.get("q", "").strip().rstrip(".").lower() or None
    if start and not HASH.fullmatch(start):
        raise InvalidInputError(f"q: found {start[:80]!r}, expected the start of a hash (0-9, a-f)")
    item_filter = ItemFilter(Decision(decision) if decision else None, mark, start)
    if sum(value is not None for value in item_filter) > 1:
        raise InvalidInputError("decision, mark, q: found several, expected at most one")
    return item_filter


def list_page(
    tx: ReadTransaction, batch_id: int, item_filter: ItemFilter, start: int, size: int
) -> tuple[list[ItemRow], int | None]:
    """Return about `size` items from `start`, and the next page's start.

    Withdrawn items may share a position with listed ones, so all items of one position are on one page.
    """
    rows = ledger.list_items(tx, batch_id, item_filter.group, start=start, limit=size + 1)
    if len(rows) <= size:
        return ledger.add_library_titles(tx, rows), None
    following = rows[size]["position"]
    complete = [row for row in rows[:size] if row["position"] < following]
    page, next_start = (complete, following) if complete else (rows[:size], following + 1)
    return ledger.add_library_titles(tx, page), next_start


def serialize_item(item: ItemRow) -> dict[str, Any]:
    """Return the public fields (ITEM_KEYS) of an item."""
    return pick(
        item, ITEM, as_planned=_as_planned(item), empties=cleared_fields(item["decision"], item["changes"]),
        remedy=suggested_fix(item),
    )


def suggested_fix(item: ItemRow) -> str | None:
    """Return what a failing item needs: fixed `bundle`, `library` or `retry`."""
    if item["decision"] not in FAILING:
        return None
    error = item["last_error"] or item["reason"]
    if error.startswith(REFUSED_BY_DATABASE):
        return "library"
    # A file that was there at the preflight may return.
    may_return = any(words in error for words in MAY_RETURN)
    return "retry" if may_return and item["planned"] not in (None, *FAILING) else FIX_BUNDLE


def _as_planned(item: ItemRow) -> bool:
    """Return whether the result of an item, if it has one, is the planned one."""
    planned, decision = item["planned"], item["decision"]
    return planned is None or decision in (planned, DONE_BY_PLAN[Decision(planned)])
