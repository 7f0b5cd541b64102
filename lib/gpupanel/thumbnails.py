"""Choose thumbnail files, and detect image types by content."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .manifest import Derivative, Item

MIN_SIDE_PIXELS = 240  # pixels of the longer side; a thumbnail with fewer is blurred on a high-density screen
MAX_FILE_BYTES = 4 * 1024 * 1024  # bytes; a larger file takes too long to load as a thumbnail
TYPES = ("image/jpeg", "image/png", "image/webp", "image/gif")


def choose_thumbnail(item: Item) -> str | None:
    """Path in the item's folder of the smallest sharp image, else the largest.

    None for an item without a folder or an image, as in a `remove` bundle.
    """
    images = [file for file in item.persisted if file.mime_type in TYPES and (file.bytes or 0) <= MAX_FILE_BYTES]
    return min(images, key=_rank).path if images and item.path else None


def sniff_mime_type(content: bytes) -> str | None:
    """The image type that these bytes start as, or None."""
    if content.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if content.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if content.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    return "image/webp" if content[:4] == b"RIFF" and content[8:12] == b"WEBP" else None


def _rank(image: Derivative) -> tuple[bool, int]:
    side = max(image.width or 0, image.height or 0)
    return (side < MIN_SIDE_PIXELS, side if side >= MIN_SIDE_PIXELS else -side)
