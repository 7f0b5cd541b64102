"""The read-only sync mount, and thread pools, since it may hang."""

from ..model import SYNC_ID
from .mount import DOCUMENT_LIMIT, Document, Mount, Sentinel
from .patience import at_once, bounded, elsewhere

__all__ = ["DOCUMENT_LIMIT", "SYNC_ID", "Document", "Mount", "Sentinel", "at_once", "bounded", "elsewhere"]
