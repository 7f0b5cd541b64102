"""The ledger: plans, results and events of bundles.

docs/CONTRACT.md, 6. Tables and 7. Events.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from .db import ReadTransaction, Transaction, chunk_by_first, chunked, fill
from .errors import NotFoundError
from .models import BatchStatus, COUNT_LIMIT, Decision, ItemPlan, cleared_fields
from .rows import BatchRow, EventRow, Facts, ItemRow, PlannedItem, SkippedBundle

if TYPE_CHECKING:
    from .manifest import Manifest

ASSET_TYPES = ("photo", "cover", "video")
ITEM_FLAGS = ("empties", "differs")  # items whose update clears a field; items whose result differs from the plan
MAX_REASON_LENGTH = 2000  # characters stored of a reason, which may contain any path or name of a bundle


def canonical_json(value: Any) -> str:
    """Encode JSON as Perl's canonical encoder does: sorted, no spaces."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def spaced_json(value: Mapping[str, str]) -> str:
    """Encode JSON as MariaDB's JSON_OBJECT does: unsorted, with spaces."""
    return json.dumps(value, ensure_ascii=False)


# ------------------------------------------------------------------------------------------------ reading


def known_sync_ids(tx: ReadTransaction, sync_ids: list[str]) -> set[str]:
    """Those of the bundles that a scan need not read again."""
    return {row["sync_id"] for chunk in chunked(sync_ids) for row in tx.fetch_all("ledger.recorded", sync_ids=chunk)}


def skipped_bundles(tx: ReadTransaction, sync_ids: list[str]) -> dict[str, SkippedBundle]:
    """sync_id -> those of these bundles whose costly manifests were refused before."""
    return {row["sync_id"]: row for chunk in chunked(sync_ids) for row in tx.fetch_all("ledger.skipped_states", sync_ids=chunk)}


def get_batch(tx: ReadTransaction, sync_id: str) -> BatchRow:
    """The row of a batch. Raises NotFoundError."""
    return _decoded(tx.fetch_one("ledger.batch", sync_id=sync_id), sync_id)


def change_token(tx: ReadTransaction, sync_id: str) -> dict[str, Any]:
    """A change token, with `now`, the database's time.

    It reads a few index entries. Raises NotFoundError.
    """
    token: dict[str, Any] | None = tx.fetch_one("ledger.stamp", sync_id=sync_id)
    if token is None:
        raise _not_found(sync_id)
    return token


def sort_by_upstream_order(tx: ReadTransaction, sync_ids: list[str]) -> list[str]:
    """Sort bundles by when upstream completed them, unknown times last."""
    rows = [row for chunk in chunked(sync_ids) for row in tx.fetch_all("ledger.handed_over", sync_ids=chunk)]
    completed = {row["sync_id"]: (row["handed_over"], row["id"]) for row in rows if row["handed_over"]}
    return sorted(completed, key=completed.__getitem__) + [sync_id for sync_id in sync_ids if sync_id not in completed]


def count_batches(tx: ReadTransaction, *, limit: int = COUNT_LIMIT + 1) -> int:
    """The number of batches, counted up to `limit`."""
    return int(tx.fetch_value("ledger.count", limit=limit))


def list_items(
    tx: ReadTransaction, batch_id: int, *, decision: Decision | None = None, mark: str | None = None, start: int = 0,
    limit: int = 50,
) -> list[ItemRow]:
    """Up to `limit` items from a position on, including withdrawn ones.

    Either all items, those with a decision, or those with one of MARKS.
    """
    names = ("ledger.items", "ledger.items_of")
    return _items(_filtered(tx, names, decision, mark, batch_id=batch_id, start=start, limit=limit))


def previous_page_start(
    tx: ReadTransaction, batch_id: int, start: int, *, decision: Decision | None = None, mark: str | None = None,
    limit: int = 50,
) -> int | None:
    """The position at which the previous page of items begins, or None.

    Items are paged by position rather than by row, since listed and withdrawn items may share one.
    """
    if not start:
        return None
    names = ("ledger.place_before", "ledger.place_before_of")
    [row] = _filtered(tx, names, decision, mark, batch_id=batch_id, start=start, limit=limit)
    return int(row["place"])


def _filtered(
    tx: ReadTransaction, names: tuple[str, str], decision: Decision | None, mark: str | None, **params: int
) -> list[Any]:
    """Run the first query for all items, the second for a filter."""
    if decision is None and mark is None:
        return tx.fetch_all(names[0], **params)
    return tx.fetch_all_sql(fill(names[1], column=mark or "decision"), value=1 if mark else decision, **params)


def list_items_by_hash(tx: ReadTransaction, batch_id: int, start: str, *, limit: int = 50) -> list[ItemRow]:
    """Up to `limit` items whose hash begins with `start` (hex digits)."""
    rows: list[Any] = []
    for asset_type in ASSET_TYPES:
        rows += tx.fetch_all(
            "ledger.items_of_hash", batch_id=batch_id, asset_type=asset_type, pattern=f"{start}%",
            limit=limit - len(rows),
        )
    return _items(rows)


def get_item(tx: ReadTransaction, batch_id: int, item_id: int) -> ItemRow:
    """One item of a batch. Raises NotFoundError."""
    rows = tx.fetch_all("ledger.item", batch_id=batch_id, item_id=item_id)
    if not rows:
        raise NotFoundError(f"The batch has no item {item_id}.")
    return _items(rows)[0]


def open_items(tx: ReadTransaction, batch_id: int) -> set[tuple[str, str]]:
    """Keys of the items that failed or that no job has processed."""
    return {(row["asset_type"], row["asset_hash"]) for row in tx.fetch_all("ledger.open_items", batch_id=batch_id)}


def planned_items(
    tx: ReadTransaction, batch_id: int, keys: Iterable[tuple[str, str]]
) -> dict[tuple[str, str], PlannedItem]:
    """(asset_type, asset_hash) -> row of these items, if not withdrawn."""
    return {
        (row["asset_type"], row["asset_hash"]): row
        for asset_type, hashes in chunk_by_first(keys)
        for row in tx.fetch_all("ledger.planned_items", batch_id=batch_id, asset_type=asset_type, hashes=hashes)
    }


def has_done_items(tx: ReadTransaction, batch_id: int) -> bool:
    """Whether a job has processed an item since the plan, successfully."""
    return bool(tx.fetch_value("ledger.any_done", batch_id=batch_id))


def decision_counts(tx: ReadTransaction, batch_id: int) -> dict[str, int]:
    """decision -> number of items, without withdrawn ones."""
    return {row["decision"]: row["items"] for row in tx.fetch_all("ledger.decision_counts", batch_id=batch_id)}


def bounded_decision_counts(tx: ReadTransaction, batch_id: int, *, limit: int = COUNT_LIMIT + 1) -> dict[str, int]:
    """decision or mark -> number of items, counted up to `limit`; no zeros."""
    parts = [
        fill("ledger.count_of", column="decision", value=str(decision), sought=f"'{decision}'")
        for decision in Decision
    ]
    parts += [fill("ledger.count_of", column=mark, value=mark, sought="1") for mark in ITEM_FLAGS]
    rows = tx.fetch_all_sql("\nUNION ALL\n".join(parts), batch_id=batch_id, limit=limit)
    return {row["value"]: row["items"] for row in rows if row["items"]}


def list_events(tx: ReadTransaction, batch_id: int, *, limit: int = 50) -> list[EventRow]:
    """The latest events of a batch, newest first, with payloads as text."""
    return tx.fetch_all("ledger.events", batch_id=batch_id, limit=limit)


def latest_event(tx: ReadTransaction, batch_id: int, event_type: str) -> EventRow | None:
    """The newest event of one type, with `payload` decoded."""
    row: EventRow | None = tx.fetch_one("ledger.latest_event", batch_id=batch_id, event_type=event_type)
    if row:
        row["payload"] = json.loads(row["payload"])
    return row


def _items(rows: list[Any]) -> list[ItemRow]:
    return [row | {"changes": json.loads(row["changes"]) if row["changes"] else None} for row in rows]


def _decoded(row: BatchRow | None, sync_id: str) -> BatchRow:
    if row is None:
        raise _not_found(sync_id)
    row["plan"] = json.loads(row["plan"]) if row["plan"] else None
    row["manifest_summary"] = json.loads(row["manifest_summary"]) if row["manifest_summary"] else None
    return row


def _not_found(sync_id: str) -> NotFoundError:
    return NotFoundError(f"Batch {sync_id} is not recorded.", "Scan the mount first, or check the id.")


# ------------------------------------------------------------------------------------------------ writing


def lock_batch(tx: Transaction, sync_id: str) -> BatchRow:
    """Lock and return the row of a batch. Raises NotFoundError."""
    return _decoded(tx.fetch_one("ledger.lock", sync_id=sync_id), sync_id)


def set_status(tx: Transaction, batch_id: int, status: BatchStatus) -> None:
    """Write the status of a batch."""
    tx.execute("ledger.set_status", batch_id=batch_id, status=status)


def append_event(tx: Transaction, batch_id: int, event_type: str, payload: Mapping[str, Any] | str, actor: str) -> None:
    """Append an event; a dict is encoded canonically."""
    text = payload if isinstance(payload, str) else canonical_json(payload)
    tx.insert("ledger.append_event", batch_id=batch_id, event_type=event_type, payload=text, actor=actor)


def manifest_columns(manifest: Manifest | None, glimpsed: Mapping[str, Any], sha256: str | None) -> Facts:
    """The manifest's columns, or those salvaged from a refused manifest."""
    if manifest is None:
        columns: Any = {"sync_type": None, "action": None, "item_count": 0, "total_bytes": 0, "source_host": None}
        columns |= glimpsed
        columns |= {"manifest_sha256": sha256, "manifest_summary": None, "container_count": 0}
        return columns  # type: ignore[no-any-return]
    return {
        "sync_type": manifest.sync_type, "action": manifest.action, "item_count": manifest.item_count,
        "total_bytes": manifest.total_bytes, "source_host": manifest.source_host,
        "manifest_sha256": manifest.sha256, "manifest_summary": json.dumps(manifest.summary),
        "container_count": len(manifest.containers),
    }


def plan_items(tx: Transaction, batch_id: int, plans: list[ItemPlan]) -> None:
    """Write the plans of some items of a batch."""
    tx.insert_many("ledger.plan_items", [_item_row(batch_id, plan) for plan in plans])


def record_results(tx: Transaction, batch_id: int, job_id: int, done: list[ItemPlan]) -> None:
    """Write the results of a job (`created`, `failed`, ...) for some items.

    An item without `id` is found by its key, or inserted.
    """
    tx.insert_many("ledger.settle_items", [_item_row(batch_id, plan) | {"job_id": job_id} for plan in done])


def withdraw_missing(tx: Transaction, batch_id: int, manifest: Manifest) -> int:
    """Mark items that the manifest no longer lists; return their number."""
    listed = {(item.asset_type, item.asset_hash) for item in manifest.items}
    withdrawn = [
        row["id"] for row in tx.fetch_all("ledger.listed_items", batch_id=batch_id)
        if (row["asset_type"], row["asset_hash"]) not in listed
    ]
    for ids in chunked(withdrawn):
        tx.execute("ledger.withdraw_items", ids=ids, reason="the manifest does not list this item any more")
    return len(withdrawn)


def _item_row(batch_id: int, plan: ItemPlan) -> dict[str, Any]:
    failed = plan.decision in (Decision.WILL_FAIL, Decision.FAILED)
    reason = plan.reason[:MAX_REASON_LENGTH]
    return plan._asdict() | {
        "batch_id": batch_id, "reason": reason, "last_error": reason if failed else None,
        "changes": json.dumps(plan.changes, ensure_ascii=False) if plan.changes else None,
        "empties": 1 if cleared_fields(plan.decision, plan.changes) else None,
    }
