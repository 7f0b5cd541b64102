"""Search for batches: by filters, from a cursor on, with counts (docs/DECISIONS.md, "Finding batches")."""

from ..model import BOUND
from .batches import MANY, Count, count, count_by_status, counts, hosts, ids, page
from .roads import SCAN, Road, road

__all__ = [
    "BOUND", "MANY", "SCAN", "Count", "Road", "count", "count_by_status", "counts", "hosts", "ids", "page", "road",
]
