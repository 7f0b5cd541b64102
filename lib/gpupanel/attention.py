"""Batches that need a person, and who has seen that (docs/decisions/0136-attention-is-a-generated-column.md)."""

from typing import Any, NamedTuple

from . import ledger
from .db import ReadTransaction, Transaction
from .errors import InvalidStateError
from .models import ATTENTION, BatchStatus
from .rows import BatchRow

BADGE_LIMIT = 100  # the navigation shows `99+` beyond it
NEEDS_ATTENTION = (BatchStatus.PARTIAL, BatchStatus.FAILED, BatchStatus.PREFLIGHT_FAILED)
NOTHING = "There is nothing to mark."
HELD_BY_PERSON, HELD_FOR_A_DAY = "held for a person", "held for a day: its bundle is away"


class Attention(NamedTuple):
    """Why a batch needs a person, and whether one has seen it since. Without reasons it does not."""

    reasons: list[str]
    is_seen: bool

    def to_json(self, row: BatchRow) -> dict[str, Any] | None:
        """Return the reasons with who saw them; None where the batch needs no attention."""
        if not self.reasons:
            return None
        seen = {name: row[name] if self.is_seen else None for name in ("seen_by", "seen_at")}
        return {"reasons": self.reasons, **seen}


def load(tx: ReadTransaction, row: BatchRow) -> Attention:
    """Return why a batch needs attention: its status, upstream, or its held job."""
    reasons = [row["status"]] if row["status"] in NEEDS_ATTENTION else []
    reasons += ["replaced by upstream"] if row["changed_at"] else []
    hold = tx.fetch_one("attention.waiting_hold", batch_id=row["id"])
    if hold is None:
        return Attention(reasons, row["attention"] == ATTENTION["seen"])
    is_seen = bool(hold["is_seen"]) and row["attention"] in (None, ATTENTION["seen"])
    return Attention([*reasons, HELD_BY_PERSON if hold["hold"] == "operator" else HELD_FOR_A_DAY], is_seen)


def mark_seen(tx: Transaction, sync_id: str, actor: str) -> list[str]:
    """Write that a person has seen why a batch needs attention; return the reasons.

    Raises NotFoundError, InvalidStateError.
    """
    row = ledger.lock_batch(tx, sync_id)
    found = load(tx, row)
    if not found.reasons:
        raise InvalidStateError(f"Batch {sync_id} needs no attention; it is {row['status']}.", NOTHING)
    if found.is_seen:
        raise InvalidStateError(f"Batch {sync_id} was seen by {row['seen_by']} already.", NOTHING)
    tx.execute("attention.mark_seen", batch_id=row["id"], actor=actor)
    payload = {"phase": "attention", "reasons": found.reasons, "seen_by": actor}
    ledger.append_event(tx, row["id"], "attention_seen", payload, actor)
    return found.reasons
