"""The ledger: plans, results and events of bundles.

docs/CONTRACT.md, 6. Tables and 7. Events.
"""

from ..models import MAX_REASON_LENGTH
from .batches import (
    checked_token, count_batches, get_batch, has_archived_results, has_unapproved_plan,
    imported_since_plan, is_archived, known_sync_ids, lock_batch, manifest_columns, progress, set_status,
    skipped_bundles, sort_by_upstream_order, undone_by, undos_of, was_planned,
)
from .containers import (
    ContainerStep, advance_container, container_counts, container_result, list_containers, plan_containers,
    planned_containers, settle_containers, settled_containers, withdraw_containers,
)
from .failures import failure_reasons
from .events import append_event, append_events, canonical_json, latest_event, list_events, spaced_json
from .items import (
    ASSET_TYPES, ITEM_FLAGS, add_library_titles, bounded_decision_counts, decision_counts, get_item, has_done_items,
    list_items, list_items_by_hash, open_items, plan_items, plan_of_small_batch, planned_items, previous_page_start,
    record_results, withdraw_items,
)

__all__ = [
    "ASSET_TYPES", "ITEM_FLAGS", "MAX_REASON_LENGTH", "ContainerStep", "add_library_titles", "advance_container",
    "append_event", "append_events", "bounded_decision_counts", "canonical_json", "checked_token",
    "container_counts", "container_result", "count_batches", "decision_counts", "failure_reasons", "get_batch",
    "get_item", "has_archived_results", "has_done_items", "has_unapproved_plan", "imported_since_plan",
    "is_archived", "known_sync_ids", "latest_event", "list_containers", "list_events", "list_items",
    "list_items_by_hash", "lock_batch", "manifest_columns", "open_items", "plan_containers", "plan_items",
    "plan_of_small_batch", "planned_containers", "planned_items", "previous_page_start", "progress",
    "record_results", "set_status", "settle_containers", "settled_containers", "skipped_bundles",
    "sort_by_upstream_order", "spaced_json", "undone_by", "undos_of", "was_planned",
    "withdraw_containers", "withdraw_items",
]
