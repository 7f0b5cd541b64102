"""Thumbnail of an item, read from its bundle; only images are served."""

import os
from collections.abc import Iterator
from email.utils import formatdate
from typing import NamedTuple

from ... import ledger, thumbnails
from ...config import Settings
from ...db import Database, ReadTransaction
from ...errors import MountUnavailableError, NotFoundError, UnsafePathError
from ...mount import Mount, iterate_with_timeout
from .. import request as parameters
from ..responses import FileResponse
from ..request import Request

FIRST = "first"  # names the first item where the batch was not preflighted yet
SECONDS = 5  # timeout of the mount, so that a page with many thumbnails does not hang with it
WEEK_SECONDS = 7 * 24 * 3600
# One transparent pixel: a browser reports each 404 of an image on the console, and a bundle may lack any file.
BLANK = bytes.fromhex("47494638396101000100800000000000ffffff21f90401000000002c000000000100010000020144003b")
BLANK_HEADERS = {
    "Content-Type": "image/gif", "Content-Disposition": "inline", "Cache-Control": "private, max-age=60",
}


class Thumbnail(NamedTuple):
    """A thumbnail file; `content` is None if the browser has it cached."""

    tag: str
    modified: str
    content: bytes | None


def view(db: Database, request: Request, settings: Settings) -> FileResponse:
    """Return the thumbnail of an item of a batch; `v` only varies the URL.

    Raises InvalidInputError, MountUnavailableError, and NotFoundError unless the request has `missing=blank`.
    """
    shows_blank = request.choice("missing", ["blank"]) is not None
    try:
        return _thumbnail(db, request, settings)
    except NotFoundError:
        if not shows_blank:
            raise
        return FileResponse(BLANK, BLANK_HEADERS)


def _thumbnail(db: Database, request: Request, settings: Settings) -> FileResponse:
    sync_id, item_id = parameters.sync_id(request.query.get("sync_id")), _item_id(request)
    path = db.run_read(_path, sync_id, item_id)
    cached = request.environ.get("HTTP_IF_NONE_MATCH", "")
    try:
        (picture,) = iterate_with_timeout(_read(Mount(settings.mount), path, cached), SECONDS)
    except UnsafePathError:
        raise NotFoundError(f"Item {item_id} has no thumbnail on the mount.") from None
    headers = {
        "ETag": picture.tag, "Last-Modified": picture.modified, "Cache-Control": f"private, max-age={WEEK_SECONDS}",
    }
    if picture.content is None:
        return FileResponse(b"", headers, 304)
    kind = thumbnails.sniff_mime_type(picture.content)
    if kind is None or len(picture.content) > thumbnails.MAX_FILE_BYTES:
        raise NotFoundError(f"The thumbnail of item {item_id} is not an image of a supported type and size.")
    return FileResponse(picture.content, headers | {"Content-Type": kind, "Content-Disposition": "inline"})


def _item_id(request: Request) -> int | None:
    return None if request.query.get("item") == FIRST else request.number("item") or 0


def _path(tx: ReadTransaction, sync_id: str, item_id: int | None) -> str:
    """Return the path of an item's thumbnail; without id of the first one as the scan read it, before any preflight."""
    batch = ledger.get_batch(tx, sync_id)
    if item_id is not None:
        item = ledger.get_item(tx, batch["id"], item_id)
        folder, picture = item["path"], item["picture"]
    else:
        folder, picture = batch["scan_path"], batch["scan_picture"]
    if not folder or not picture:
        raise NotFoundError(f"Item {item_id} has no thumbnail.")
    return f"{folder}/{picture}"


def _read(mount: Mount, path: str, cached: str) -> Iterator[Thumbnail]:
    try:
        with mount.open(path) as file:
            stat = os.fstat(file.fileno())
            tag = f'"{stat.st_mtime_ns:x}-{stat.st_size:x}"'
            content = None if tag in cached else file.read(thumbnails.MAX_FILE_BYTES + 1)
    except OSError as error:
        raise MountUnavailableError(f"Cannot read the thumbnail: {error.strerror}.") from None
    yield Thumbnail(tag, formatdate(stat.st_mtime, usegmt=True), content)
