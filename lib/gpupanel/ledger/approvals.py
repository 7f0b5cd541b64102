"""What was approved of a batch: docs/decisions/0110-plan-approval-result.md."""

from typing import NamedTuple

from ..db import ReadTransaction


class Approved(NamedTuple):
    """The action of an approved plan, and the digest of each of its items and containers."""

    action: str | None
    items: dict[tuple[str, str], str | None]
    containers: dict[tuple[str, str], str | None]


def approved(tx: ReadTransaction, batch_id: int) -> Approved:
    """What an approval of a batch binds, without withdrawn entries."""
    items = tx.fetch_all("approvals.items", batch_id=batch_id)
    containers = tx.fetch_all("approvals.containers", batch_id=batch_id)
    return Approved(
        tx.fetch_value("approvals.action", batch_id=batch_id),
        {(row["asset_type"], row["asset_hash"]): row["item_digest"] for row in items},
        {(row["type"], row["container_hash"]): row["container_digest"] for row in containers},
    )
