"""ETag source of the pages that show the queue or all batches.

Every change writes an event: docs/decisions/0031-every-change-writes-an-event.md.
"""

from ..config import Settings
from ..db import Database
from . import status_bar
from .request import Request
from .status_bar import QueueSummary


def etag_source(db: Database, request: Request, settings: Settings) -> tuple[str, QueueSummary]:
    """Return a change token and the summary, by one statement."""
    summary = status_bar.load_single(db)
    return repr(summary.etag_source(moves=summary.moves)), summary
