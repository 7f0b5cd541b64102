"""ingest_batch, ingest_batch_item and ingest_event: what is known, planned and done, and what happened (docs/CONTRACT.md, 6 and 7)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Iterable

from .database import Reading, Transaction, chunks, grouped, query
from .errors import NotFound
from .model import BOUND, BatchStatus, Decision, Plan, emptied

if TYPE_CHECKING:
    from .manifest import Manifest

ASSET_TYPES = ("photo", "cover", "video")
MARKS = ("empties", "differs")  # an update that takes a value away; what was done otherwise than planned
LONGEST_REASON = 2000  # characters; what a hostile path or name may add to a reason has no other end


def canonical(value: Any) -> str:
    """JSON as Perl's canonical encoder writes it: sorted keys, no spaces, characters as they are."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def spaced(value: dict[str, str]) -> str:
    """JSON as MariaDB's JSON_OBJECT writes it: keys in the order given, a space after each comma and colon."""
    return json.dumps(value, ensure_ascii=False)


# ------------------------------------------------------------------------------------------------ reading


def recorded(tx: Reading, sync_ids: list[str]) -> set[str]:
    """Those of the bundles that need no second look: recorded, and neither passed over nor failed at their preflight."""
    return {
        row["sync_id"] for chunk in chunks(sync_ids) for row in tx.all("ledger.recorded", sync_ids=chunk)
    }


def batch(tx: Reading, sync_id: str) -> dict[str, Any]:
    """The row of a batch, with `plan` and `manifest_summary` decoded. Raises NotFound."""
    return _decoded(tx.one("ledger.batch", sync_id=sync_id), sync_id)


def stamp(tx: Reading, sync_id: str) -> dict[str, Any]:
    """What is different after whatever was written of a batch, in a handful of index entries, and `now`, the database's time.
    Raises NotFound."""
    return _known(tx.one("ledger.stamp", sync_id=sync_id), sync_id)


def in_order_of_handover(tx: Reading, sync_ids: list[str]) -> list[str]:
    """The bundles in the order in which upstream completed them; those that nothing is known of come last."""
    rows = [row for chunk in chunks(sync_ids) for row in tx.all("ledger.handed_over", sync_ids=chunk)]
    known = {row["sync_id"]: (row["handed_over"], row["id"]) for row in rows if row["handed_over"]}
    return sorted(known, key=known.__getitem__) + [sync_id for sync_id in sync_ids if sync_id not in known]


def count(tx: Reading, *, limit: int = BOUND + 1) -> int:
    """How many batches there are, counted no further than `limit`."""
    return tx.value("ledger.count", limit=limit)


def items(
    tx: Reading, batch_id: int, *, decision: Decision | None = None, mark: str | None = None, start: int = 0, limit: int = 50
) -> list[dict[str, Any]]:
    """Up to `limit` items of a batch from position `start` on, withdrawn ones too, with `changes` decoded: all of them,
    those of a decision, or those with one of MARKS."""
    return _items(_sifted(tx, "ledger.items", decision, mark, batch_id=batch_id, start=start, limit=limit))


def place_before(
    tx: Reading, batch_id: int, start: int, *, decision: Decision | None = None, mark: str | None = None, limit: int = 50
) -> int | None:
    """The position at which a page of `limit` items begins that ends before `start`; None when that is the first."""
    if not start:
        return None
    [row] = _sifted(tx, "ledger.place_before", decision, mark, batch_id=batch_id, start=start, limit=limit)
    return row["place"]


def _sifted(tx: Reading, name: str, decision: Decision | None, mark: str | None, **params) -> list[dict[str, Any]]:
    if decision is None and mark is None:
        return tx.all(name, **params)
    statement = query(f"{name}_of").format(column=mark or "decision")
    return tx.all_of(statement, value=1 if mark else decision, **params)


def items_of_hash(tx: Reading, batch_id: int, start: str, *, limit: int = 50) -> list[dict[str, Any]]:
    """Up to `limit` items of a batch whose hash begins with `start` (hex digits), by type and hash."""
    found: list[dict] = []
    for asset_type in ASSET_TYPES:
        found += tx.all(
            "ledger.items_of_hash", batch_id=batch_id, asset_type=asset_type, pattern=f"{start}%",
            limit=limit - len(found),
        )
    return _items(found)


def item(tx: Reading, batch_id: int, item_id: int) -> dict[str, Any]:
    """One item of a batch. Raises NotFound."""
    rows = tx.all("ledger.item", batch_id=batch_id, item_id=item_id)
    if not rows:
        raise NotFound(f"The batch has no item {item_id}.")
    return _items(rows)[0]


def open_items(tx: Reading, batch_id: int) -> set[tuple[str, str]]:
    """(asset_type, asset_hash) of the items that failed, or that no job came to."""
    return {(row["asset_type"], row["asset_hash"]) for row in tx.all("ledger.open_items", batch_id=batch_id)}


def planned_items(tx: Reading, batch_id: int, keys: Iterable[tuple[str, str]]) -> dict[tuple[str, str], dict[str, Any]]:
    """(asset_type, asset_hash) -> id, `planned`, `decision` and `job_id` of those of the items that the batch has, less
    withdrawn ones."""
    return {
        (row["asset_type"], row["asset_hash"]): row
        for asset_type, hashes in grouped(keys)
        for row in tx.all("ledger.planned_items", batch_id=batch_id, asset_type=asset_type, hashes=hashes)
    }


def any_done(tx: Reading, batch_id: int) -> bool:
    """Whether a job has settled an item of the batch with success since it was planned."""
    return bool(tx.value("ledger.any_done", batch_id=batch_id))


def decision_counts(tx: Reading, batch_id: int) -> dict[str, int]:
    """decision -> how many items; withdrawn ones are not counted."""
    return {row["decision"]: row["items"] for row in tx.all("ledger.decision_counts", batch_id=batch_id)}


def bounded_counts(tx: Reading, batch_id: int, *, limit: int = BOUND + 1) -> dict[str, int]:
    """decision or mark -> how many items, withdrawn ones too, counted no further than `limit` each; those that have none
    are left out."""
    part = query("ledger.count_of").format
    parts = [part(column="decision", value=each, sought=f"'{each}'") for each in Decision]
    parts += [part(column=mark, value=mark, sought=1) for mark in MARKS]
    rows = tx.all_of("\nUNION ALL\n".join(parts), batch_id=batch_id, limit=limit)
    return {row["value"]: row["items"] for row in rows if row["items"]}


def events(tx: Reading, batch_id: int, *, limit: int = 50) -> list[dict[str, Any]]:
    """The latest events of a batch, newest first; `payload` is the text as it was written."""
    return tx.all("ledger.events", batch_id=batch_id, limit=limit)


def latest_event(tx: Reading, batch_id: int, event_type: str) -> dict[str, Any] | None:
    """The newest event of one kind, `payload` decoded."""
    row = tx.one("ledger.latest_event", batch_id=batch_id, event_type=event_type)
    return row and row | {"payload": json.loads(row["payload"])}


def _items(rows: list[dict]) -> list[dict[str, Any]]:
    return [row | {"changes": json.loads(row["changes"]) if row["changes"] else None} for row in rows]


def _decoded(row: dict | None, sync_id: str) -> dict[str, Any]:
    known = _known(row, sync_id)
    return known | {key: json.loads(known[key]) if known[key] else None for key in ("plan", "manifest_summary")}


def _known(row: dict | None, sync_id: str) -> dict[str, Any]:
    if row is None:
        raise NotFound(f"No batch {sync_id} is recorded.", "Scan the mount first, or check the id.")
    return row


# ------------------------------------------------------------------------------------------------ writing


def lock(tx: Transaction, sync_id: str) -> dict[str, Any]:
    """The row of a batch, held until the transaction ends. Raises NotFound."""
    return _decoded(tx.one("ledger.lock", sync_id=sync_id), sync_id)


def set_status(tx: Transaction, batch_id: int, status: BatchStatus) -> None:
    tx.run("ledger.set_status", batch_id=batch_id, status=status)


def append(tx: Transaction, batch_id: int, event_type: str, payload: dict | str, by: str) -> None:
    """Add an event; a dict is written canonically, a text as it stands."""
    text = payload if isinstance(payload, str) else canonical(payload)
    tx.insert("ledger.append_event", batch_id=batch_id, event_type=event_type, payload=text, actor=by)


def facts(manifest: Manifest | None, glimpsed: dict[str, Any], sha256: str | None) -> dict[str, Any]:
    """The columns of ingest_batch that the manifest fills; of a refused manifest, whatever of it could be read."""
    if manifest is None:
        known = {"sync_type": None, "action": None, "item_count": 0, "total_bytes": 0, "source_host": None}
        return known | glimpsed | {"manifest_sha256": sha256, "manifest_summary": None, "container_count": 0}
    return {
        "sync_type": manifest.sync_type, "action": manifest.action, "item_count": manifest.item_count,
        "total_bytes": manifest.total_bytes, "source_host": manifest.source_host,
        "manifest_sha256": manifest.sha256, "manifest_summary": json.dumps(manifest.summary),
        "container_count": len(manifest.containers),
    }


def plan_items(tx: Transaction, batch_id: int, plans: list[Plan]) -> None:
    """Write the plan for some items of a batch."""
    tx.run_many("ledger.plan_items", [_item_row(batch_id, plan) for plan in plans])


def settle_items(tx: Transaction, batch_id: int, job_id: int, done: list[Plan]) -> None:
    """Write what the job did with some items of a batch: their decisions are `created`, `failed` and so on. One without
    an `id` is found by its key, or is new."""
    tx.run_many("ledger.settle_items", [_item_row(batch_id, plan) | {"job_id": job_id} for plan in done])


def withdraw(tx: Transaction, batch_id: int, manifest: Manifest) -> int:
    """Mark the items that the manifest lists no longer; returns how many. Nothing is deleted (docs/CONTRACT.md, 5)."""
    listed = {(item.asset_type, item.asset_hash) for item in manifest.items}
    gone = [
        row["id"] for row in tx.all("ledger.listed_items", batch_id=batch_id)
        if (row["asset_type"], row["asset_hash"]) not in listed
    ]
    for ids in chunks(gone):
        tx.run("ledger.withdraw_items", ids=ids, reason="the manifest does not list this item any more")
    return len(gone)


def _item_row(batch_id: int, plan: Plan) -> dict[str, Any]:
    failed = plan.decision in (Decision.WILL_FAIL, Decision.FAILED)
    reason = plan.reason[:LONGEST_REASON]
    return plan._asdict() | {
        "batch_id": batch_id, "reason": reason, "last_error": reason if failed else None,
        "changes": json.dumps(plan.changes, ensure_ascii=False) if plan.changes else None,
        "empties": 1 if emptied(plan.decision, plan.changes) else None,
    }
