"""The items of a batch as page and export show them: which, in what pieces, and what is said of each."""

import re
from typing import NamedTuple

from .. import ledger
from ..database import Reading
from ..errors import InvalidInput
from ..model import DONE, REFUSED_BY_DATABASE, Decision, emptied
from .pages.shapes import ITEM, shaped
from .visit import Visit

KEYS = (*ITEM, "as_planned", "empties", "remedy")
FAILING = (Decision.FAILED, Decision.WILL_FAIL)
ORDER = (*FAILING, *(each for each in Decision if each not in FAILING))  # what asks for somebody comes first
HASH = re.compile(r"[0-9a-f]{1,64}")
GONE = "is not on the mount"

Rows = list[dict]


class Sieve(NamedTuple):
    """Which items are wanted: those of a decision, those with a mark (ledger.MARKS), those whose hash begins so, or all."""

    decision: Decision | None = None
    mark: str | None = None
    hash_start: str | None = None


def wanted(visit: Visit) -> Sieve:
    """What the address asks for: `decision`, `mark` or `q`. Raises InvalidInput."""
    decision = visit.choice("decision", [str(each) for each in Decision])
    mark = visit.choice("mark", list(ledger.MARKS))
    start = visit.query.get("q", "").strip().rstrip(".").lower() or None
    if start and not HASH.fullmatch(start):
        raise InvalidInput(f"q: found {start[:80]!r}, expected the first digits of a hash, 0-9 and a-f")
    sieve = Sieve(Decision(decision) if decision else None, mark, start)
    if sum(each is not None for each in sieve) > 1:
        raise InvalidInput("decision, mark, q: found several, expected one of them")
    return sieve


def page(tx: Reading, batch_id: int, sieve: Sieve, start: int, size: int) -> tuple[Rows, int | None]:
    """About `size` items from a position on, and where the next page begins. Withdrawn items may share a position with
    listed ones, so items of one position stay together."""
    rows = ledger.items(tx, batch_id, decision=sieve.decision, mark=sieve.mark, start=start, limit=size + 1)
    if len(rows) <= size:
        return rows, None
    following = rows[size]["position"]
    whole = [row for row in rows[:size] if row["position"] < following]
    return (whole, following) if whole else (rows[:size], following + 1)


def shown(item: dict) -> dict:
    """An item under KEYS."""
    return shaped(
        item, ITEM, as_planned=_as_planned(item), empties=emptied(item["decision"], item["changes"]), remedy=remedy(item),
    )


def remedy(item: dict) -> str | None:
    """What helps an item that fails: `bundle` or `library` is to be mended, or `retry` may do. None when it does not."""
    if item["decision"] not in FAILING:
        return None
    error = item["last_error"] or item["reason"]
    if error.startswith(REFUSED_BY_DATABASE):
        return "library"
    # What the preflight saw and the import did not may be on its way.
    return "retry" if GONE in error and item["planned"] not in (None, *FAILING) else "bundle"


def _as_planned(item: dict) -> bool:
    """Whether what was done, if anything was yet, is what the preflight had planned."""
    planned, decision = item["planned"], item["decision"]
    return planned is None or decision in (planned, DONE[Decision(planned)])
