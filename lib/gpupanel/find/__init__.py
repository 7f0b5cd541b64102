"""Search for batches, by filters and cursor, with counts."""

from ..model import BOUND
from .batches import MANY, Count, count, count_by_status, counts, hosts, ids, page
from .roads import SCAN, Road, road

__all__ = [
    "BOUND", "MANY", "SCAN", "Count", "Road", "count", "count_by_status", "counts", "hosts", "ids", "page", "road",
]
