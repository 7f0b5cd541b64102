"""The ETag of a page, and whether a browser has the page already (304 Not Modified).

The version of a page comes from its `etag_source`, by one statement. Every change writes an event
(docs/decisions/0031-every-change-writes-an-event.md), so that the latest event is the version of many pages.
"""

from hashlib import sha256

from ..config import Settings
from ..db import Database
from . import status_bar
from .request import Request
from .status_bar import QueueSummary


def etag_source(db: Database, request: Request, settings: Settings) -> tuple[str, QueueSummary]:
    """The `etag_source` of pages that show the queue or all batches: a change token and the summary."""
    summary = status_bar.load_single(db)
    return repr(summary.etag_source(moves=summary.moves)), summary


def headers(request: Request, version: str, summary: QueueSummary, csrf_token: str | None) -> dict[str, str]:
    """Return a page's ETag, beside the age of the last heartbeat in seconds.

    The ETag covers the page's version, reader and address. The version is read before the page, so the page can only be
    newer than its ETag. It is weak, since ages may differ by seconds.
    """
    seen = {} if summary.seen is None else {"X-Worker-Seen": str(int(summary.seen.total_seconds()))}
    reader = request.user, csrf_token, request.wants_json
    address = request.links.base, request.path, sorted(request.query.items())
    digest = sha256(repr((version, reader, address)).encode()).hexdigest()
    return {"ETag": f'W/"{digest[:32]}"', **seen}


def is_current(request: Request, tag: dict[str, str]) -> bool:
    """Whether the browser has the page of this ETag; a server may have added a suffix such as -gzip to it."""
    return bool(tag) and tag["ETag"][3:-1] in request.environ.get("HTTP_IF_NONE_MATCH", "")
