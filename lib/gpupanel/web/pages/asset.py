"""One asset: the library's state, what belongs to it, and its history."""

import re
from datetime import datetime
from typing import Any

from ... import asset_history
from ...config import Settings
from ...db import Database, ReadTransaction
from ...errors import InvalidInputError
from ...text import parse_moment
from ..request import Request

HASH = re.compile(r"[0-9a-f]{64}")


def view(db: Database, request: Request, settings: Settings) -> dict[str, Any]:
    """Return the values of the page. Raises InvalidInputError, NotFoundError."""
    asset_type = request.choice("type", asset_history.TYPES)
    asset_hash = request.query.get("hash", "")
    if asset_type is None or not HASH.fullmatch(asset_hash):
        raise InvalidInputError("type, hash: expected photo, cover or video, and 64 hexadecimal digits")
    return db.run_read(_read, asset_type, asset_hash, request.number("before"), _moment(request)) | {
        "asset_type": asset_type, "asset_hash": asset_hash,
    }


def _read(
    tx: ReadTransaction, asset_type: str, asset_hash: str, before: int | None, at: datetime | None
) -> dict[str, Any]:
    details = asset_history.load(tx, asset_type, asset_hash, before)
    past = None
    if at and details["asset"]:
        past = asset_history.fields_of(tx, details["asset"], at)
    return details | {"at": at, "past": past, "fields": asset_history.FIELDS}


def _moment(request: Request) -> datetime | None:
    """Return the parameter `at` as UTC without a zone, as the database's times. Raises InvalidInputError."""
    text = request.query.get("at") or ""
    try:
        return parse_moment(text) if text else None
    except (ValueError, OverflowError):
        raise InvalidInputError(f"at: found {text[:80]!r}, expected a time such as 2026-04-30T12:00:00") from None
