"""The picture of one item, from its bundle on the mount: an image or nothing (docs/CONTRACT.md, 2.2)."""

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
from ..files import File
from ..visit import Visit

SECONDS = 5  # a page full of pictures must not wait for a mount that hangs
WEEK = 7 * 24 * 3600


class Picture(NamedTuple):
    """`content` is None when the browser has it already."""

    tag: str
    modified: str
    content: bytes | None


def show(db: Database, visit: Visit, settings: Settings) -> File:
    """`sync_id` and `item` (an id) choose it; `v`, which changes with the manifest, is for the browser's cache alone.

    Raises InvalidInput, MountUnavailable, and NotFound for everything that is no picture on the mount.
    """
    sync_id, item_id = parameters.sync_id(visit.query.get("sync_id")), visit.number("item") or 0
    path = db.read(_path, sync_id, item_id)
    known = visit.environ.get("HTTP_IF_NONE_MATCH", "")
    try:
        (picture,) = bounded(_look(Mount(settings.mount), path, known), SECONDS)
    except UnsafePath:
        raise NotFound(f"Item {item_id} has no picture on the mount.") from None
    headers = {"ETag": picture.tag, "Last-Modified": picture.modified, "Cache-Control": f"private, max-age={WEEK}"}
    if picture.content is None:
        return File(b"", headers, 304)
    kind = pictures.mime_type(picture.content)
    if kind is None or len(picture.content) > pictures.LIMIT:
        raise NotFound(f"The file that should show item {item_id} is no picture that can be shown.")
    return File(picture.content, headers | {"Content-Type": kind, "Content-Disposition": "inline"})


def _path(tx: Reading, sync_id: str, item_id: int) -> str:
    item = ledger.item(tx, ledger.batch(tx, sync_id)["id"], item_id)
    if not item["path"] or not item["picture"]:
        raise NotFound(f"Item {item_id} has no picture.")
    return f"{item['path']}/{item['picture']}"


def _look(mount: Mount, path: str, known: str) -> Iterator[Picture]:
    try:
        with mount.open(path) as file:
            facts = os.fstat(file.fileno())
            tag = f'"{facts.st_mtime_ns:x}-{facts.st_size:x}"'
            content = None if tag in known else file.read(pictures.LIMIT + 1)
    except OSError as error:
        raise MountUnavailable(f"The picture cannot be read: {error.strerror}.") from None
    yield Picture(tag, formatdate(facts.st_mtime, usegmt=True), content)
