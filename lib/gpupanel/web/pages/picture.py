"""Thumbnail of an item, read from its bundle; only images are served."""

import os
from collections.abc import Iterator
from email.utils import formatdate
from typing import NamedTuple

from ... import ledger, pictures
from ...config import Settings
from ...database import Database, Reading
from ...errors import MountUnavailable, NotFound, UnsafePath
from ...mount import Mount, bounded
from .. import visit as parameters
from ..answers import File
from ..visit import Visit

SECONDS = 5  # timeout of the mount, so that a page with many thumbnails does not hang with it
WEEK_SECONDS = 7 * 24 * 3600


class Picture(NamedTuple):
    """A thumbnail file; `content` is None if the browser has it cached."""

    tag: str
    modified: str
    content: bytes | None


def show(db: Database, visit: Visit, settings: Settings) -> File:
    """Return the thumbnail of an item of a batch; `v` only varies the URL.

    Raises InvalidInput, NotFound, MountUnavailable.
    """
    sync_id, item_id = parameters.sync_id(visit.query.get("sync_id")), visit.number("item") or 0
    path = db.read(_path, sync_id, item_id)
    cached = visit.environ.get("HTTP_IF_NONE_MATCH", "")
    try:
        (picture,) = bounded(_read(Mount(settings.mount), path, cached), SECONDS)
    except UnsafePath:
        raise NotFound(f"Item {item_id} has no thumbnail on the mount.") from None
    headers = {
        "ETag": picture.tag, "Last-Modified": picture.modified, "Cache-Control": f"private, max-age={WEEK_SECONDS}",
    }
    if picture.content is None:
        return File(b"", headers, 304)
    kind = pictures.mime_type(picture.content)
    if kind is None or len(picture.content) > pictures.LIMIT:
        raise NotFound(f"The thumbnail of item {item_id} is not an image of a supported type and size.")
    return File(picture.content, headers | {"Content-Type": kind, "Content-Disposition": "inline"})


def _path(tx: Reading, sync_id: str, item_id: int) -> str:
    item = ledger.item(tx, ledger.batch(tx, sync_id)["id"], item_id)
    if not item["path"] or not item["picture"]:
        raise NotFound(f"Item {item_id} has no thumbnail.")
    return f"{item['path']}/{item['picture']}"


def _read(mount: Mount, path: str, cached: str) -> Iterator[Picture]:
    try:
        with mount.open(path) as file:
            stat = os.fstat(file.fileno())
            tag = f'"{stat.st_mtime_ns:x}-{stat.st_size:x}"'
            content = None if tag in cached else file.read(pictures.LIMIT + 1)
    except OSError as error:
        raise MountUnavailable(f"Cannot read the thumbnail: {error.strerror}.") from None
    yield Picture(tag, formatdate(stat.st_mtime, usegmt=True), content)
