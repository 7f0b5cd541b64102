"""Which file of an item shows it, and whether bytes are a picture; whatever its name or the manifest says."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .manifest import Derivative, Item

SHARP = 240  # pixels; the longer side that a thumbnail needs on a dense screen
LIMIT = 4 * 1024 * 1024  # bytes; a bigger file is no thumbnail
TYPES = ("image/jpeg", "image/png", "image/webp", "image/gif")


def best(item: Item) -> str | None:
    """The path, in the item's folder, of the smallest of its pictures that is sharp enough, or else of the largest.

    None for an item without a folder or a picture, as in a `remove` bundle.
    """
    pictures = [each for each in item.persisted if each.mime_type in TYPES and (each.bytes or 0) <= LIMIT]
    return min(pictures, key=_rank).path if pictures and item.path else None


def mime_type(content: bytes) -> str | None:
    """What picture these bytes begin as; None for anything that is none of TYPES."""
    if content.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if content.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if content.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    return "image/webp" if content[:4] == b"RIFF" and content[8:12] == b"WEBP" else None


def _rank(picture: Derivative) -> tuple[bool, int]:
    side = max(picture.width or 0, picture.height or 0)
    return (side < SHARP, side if side >= SHARP else -side)
