"""The read-only sync mount, and thread pools, since it may hang."""

from ..models import SYNC_ID
from .mount import DOCUMENT_LIMIT, Document, ManifestFile, Mount, Sentinel
from .safe_open import ItemFolder
from .threads import call_with_timeout, iterate_unordered, iterate_with_timeout, map_in_threads, seconds_left

__all__ = [
    "DOCUMENT_LIMIT", "SYNC_ID", "Document", "ItemFolder", "ManifestFile", "Mount", "Sentinel", "call_with_timeout",
    "iterate_unordered", "iterate_with_timeout", "map_in_threads", "seconds_left",
]
