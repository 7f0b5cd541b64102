"""One asset, gallery or collection: the library's state, what belongs to it, and its history."""

import re
from datetime import datetime
from typing import Any, NamedTuple

from ... import asset_history
from ...config import Settings
from ...db import Database, ReadTransaction
from ...errors import InvalidInputError
from ...models import CONTAINER_FIELDS
from ...text import parse_moment
from ..request import Request

HASH = re.compile(r"[0-9a-f]{64}")


class Key(NamedTuple):
    """Type and hash, the result before which the history begins, and the position of the first member."""

    asset_type: str
    asset_hash: str
    before: int | None
    start: int


def view(db: Database, request: Request, settings: Settings) -> dict[str, Any]:
    """Return the values of the page. Raises InvalidInputError, NotFoundError."""
    asset_type = request.choice("type", (*asset_history.TYPES, *asset_history.CONTAINER_TYPES))
    asset_hash = request.query.get("hash", "")
    if asset_type is None or not HASH.fullmatch(asset_hash):
        kinds = "photo, cover, video, gallery or collection"
        raise InvalidInputError(f"type, hash: expected {kinds}, and 64 hexadecimal digits")
    key = Key(asset_type, asset_hash, request.number("before"), request.number("start") or 0)
    return db.run_read(_read, key, _moment(request)) | {
        "asset_type": asset_type, "asset_hash": asset_hash, "start": key.start,
    }


def _read(tx: ReadTransaction, key: Key, at: datetime | None) -> dict[str, Any]:
    asset_type, asset_hash, before, start = key
    is_container = asset_type in asset_history.CONTAINER_TYPES
    if is_container:
        details = asset_history.load_container(tx, asset_type, asset_hash, before, start)
    else:
        details = asset_history.load(tx, asset_type, asset_hash, before) | {"members": [], "next_member": None}
    fields = CONTAINER_FIELDS if is_container else asset_history.FIELDS
    past = None
    if at and details["asset"]:
        past = asset_history.fields_of(tx, details["asset"], at, asset_type, asset_hash)
    return details | {"at": at, "past": past, "fields": fields, "limit": asset_history.LIMIT}


def _moment(request: Request) -> datetime | None:
    """Return the parameter `at` as UTC without a zone, as the database's times. Raises InvalidInputError."""
    text = request.query.get("at") or ""
    try:
        return parse_moment(text) if text else None
    except (ValueError, OverflowError):
        raise InvalidInputError(f"at: found {text[:80]!r}, expected a time such as 2026-04-30T12:00:00") from None
