"""Search for batches, by filters and cursor, with counts."""

from ..models import COUNT_LIMIT
from .batches import (
    BoundedCount, PageRequest, STATUS_COUNT_LIMIT, count_batches, count_by_status, count_list_and_statuses,
    find_undone, list_batches, list_held_for_person, list_hosts, list_ids, list_titles, listed_batch,
)
from .access_path import MAX_ROWS_SCANNED, SORTS, Sort, choose_access_path

__all__ = [
    "COUNT_LIMIT", "MAX_ROWS_SCANNED", "SORTS", "STATUS_COUNT_LIMIT", "BoundedCount", "PageRequest", "Sort",
    "choose_access_path", "count_batches", "count_by_status", "count_list_and_statuses",
    "find_undone", "list_batches", "list_held_for_person", "list_hosts", "list_ids", "list_titles", "listed_batch",
]
