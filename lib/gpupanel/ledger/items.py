"""The items of a batch: their plans and results, and the pages that list them.

docs/CONTRACT.md, 6. Tables.
"""

import json
from collections.abc import Iterable
from typing import Any

from ..db import ReadTransaction, Transaction, chunk_by_first, chunked, fill
from ..errors import NotFoundError
from ..models import COUNT_LIMIT, ContainerPlan, Decision, ItemPlan, MAX_REASON_LENGTH, cleared_fields
from ..rows import ItemRow, PlannedItem
from ..text import json_changes

ASSET_TYPES = ("photo", "cover", "video")
ITEM_FLAGS = ("empties", "differs")  # items whose update clears a field; items whose result differs from the plan


def plan_items(tx: Transaction, batch_id: int, plans: list[ItemPlan]) -> None:
    """Write the plans of some items of a batch."""
    tx.insert_many("ledger.plan_items", [_item_row(plan, batch_id=batch_id) for plan in plans])


def record_results(tx: Transaction, batch_id: int, job_id: int, done: list[ItemPlan]) -> None:
    """Write the results of a job (`created`, `failed`, ...) for some items.

    An item without `id` is found by its key, or inserted.
    """
    tx.insert_many("ledger.settle_items", [_item_row(plan, batch_id=batch_id, job_id=job_id) for plan in done])


def withdraw_items(tx: Transaction, batch_id: int, listed: Iterable[tuple[str, str]], reason: str) -> None:
    """Mark the items of a plan that are not listed any more."""
    rows = tx.fetch_all("ledger.listed_items", batch_id=batch_id)
    kept = set(listed) if rows else set()
    for ids in chunked(row["id"] for row in rows if (row["asset_type"], row["asset_hash"]) not in kept):
        tx.execute("ledger.withdraw_items", ids=ids, reason=reason)


def list_items(
    tx: ReadTransaction, batch_id: int, group: str | None = None, *, start: int = 0, limit: int = 50
) -> list[ItemRow]:
    """Up to `limit` items from a position on, including withdrawn ones: all, or those of a decision or an item flag."""
    names = ("ledger.items", "ledger.items_of")
    return _items(_filtered(tx, names, group, batch_id=batch_id, start=start, limit=limit))


def previous_page_start(
    tx: ReadTransaction, batch_id: int, group: str | None = None, *, start: int, limit: int = 50
) -> int | None:
    """The position at which the page of items before position `start` begins, or None.

    Items are paged by position rather than by row, since listed and withdrawn items may share one.
    """
    if not start:
        return None
    names = ("ledger.place_before", "ledger.place_before_of")
    [row] = _filtered(tx, names, group, batch_id=batch_id, start=start, limit=limit)
    return int(row["place"])


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


def plan_of_small_batch(
    tx: ReadTransaction, batch_id: int, *, limit: int
) -> dict[tuple[str, str], PlannedItem] | None:
    """(asset_type, asset_hash) -> row of all items that are not withdrawn; None if they are `limit` or more."""
    rows = tx.fetch_all("ledger.plan_of_batch", batch_id=batch_id, limit=limit)
    return {(row["asset_type"], row["asset_hash"]): row for row in rows} if len(rows) < limit else None


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


def _filtered(tx: ReadTransaction, names: tuple[str, str], group: str | None, **params: int) -> list[Any]:
    """Run the first query for all items, the second for those of a decision or an item flag."""
    if group is None:
        return tx.fetch_all(names[0], **params)
    column, value = (group, 1) if group in ITEM_FLAGS else ("decision", group)
    return tx.fetch_all_sql(fill(names[1], column=column), value=value, **params)


def add_library_titles(tx: ReadTransaction, items: list[ItemRow]) -> list[ItemRow]:
    """The items, with the library's title where the plan has none, as for those that another program planned."""
    ids = [item["asset_id"] for item in items if item["item_title"] is None and item["asset_id"] is not None]
    rows = (row for chunk in chunked(ids) for row in tx.fetch_all("titles.of_assets", ids=chunk))
    titles: dict[int | None, str] = {row["id"]: row["title"] for row in rows}
    return [item | {"item_title": item["item_title"] or titles.get(item["asset_id"])} for item in items]


def _items(rows: list[Any]) -> list[ItemRow]:
    return [row | {"changes": json_changes(row["changes"])} for row in rows]


def _item_row(plan: ItemPlan, **of_batch: int) -> dict[str, Any]:
    return plan_row(plan, **of_batch) | {"empties": 1 if cleared_fields(plan.decision, plan.changes) else None}


def plan_row(plan: ItemPlan | ContainerPlan, **of_batch: int) -> dict[str, Any]:
    """The columns of an item or container that come from its plan."""
    failed = plan.decision in (Decision.WILL_FAIL, Decision.FAILED)
    reason = plan.reason[:MAX_REASON_LENGTH]
    return {
        **plan._asdict(), **of_batch, "reason": reason, "last_error": reason if failed else None,
        "changes": json.dumps(plan.changes, ensure_ascii=False) if plan.changes else None,
    }
