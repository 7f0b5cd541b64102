"""Generated images: a two-colour sky with one motif."""

import math
from functools import lru_cache
from io import BytesIO
from typing import TYPE_CHECKING, Any, NamedTuple

from ...errors import PanelError
from .deterministic import choose, derive_hash, derive_number

if TYPE_CHECKING:
    from PIL import Image, ImageDraw

FORMATS = {"JPEG": ("jpg", "image/jpeg"), "PNG": ("png", "image/png"), "WEBP": ("webp", "image/webp")}
SIZES = ((1440, 960), (960, 1440), (1280, 1280))  # pixels; drawn at twice the size and halved, for smooth edges
PALETTES = (  # sky above, sky below, then three inks from far to near
    ("#22335c", "#f2a07b", "#8c6a8f", "#4f4773", "#232642"),
    ("#0f4c5c", "#f6e7cb", "#7fb7a6", "#3f8582", "#173f4a"),
    ("#f3d9b1", "#e07a5f", "#c25b56", "#81415b", "#3d2645"),
    ("#a9d6e5", "#fdfcdc", "#89b0ae", "#5c8374", "#304d47"),
    ("#1b1b3a", "#693668", "#a74482", "#f5487f", "#ffb3a7"),
    ("#cfe1b9", "#fefae0", "#a3b18a", "#588157", "#344e41"),
)


class ImageKind(NamedTuple):
    """How to make a derivative; `side` is its longest side in pixels."""

    side: int
    format: str
    filter: str = "none"


IMAGE_KINDS = {
    "icon": ImageKind(96, "PNG"),
    "thumb": ImageKind(256, "JPEG"),
    "medium": ImageKind(1024, "WEBP"),
    "original": ImageKind(1440, "JPEG"),
    "library_cover": ImageKind(640, "JPEG"),
    "frosted": ImageKind(192, "PNG", "frosted"),
    "blurred": ImageKind(320, "JPEG", "blurred"),
    "vivid_blurred": ImageKind(320, "WEBP", "vivid"),
}


def encode_image(picture: str, kind: str) -> tuple[bytes, int, int]:
    """Return file, width and height of `picture` (any name) as `kind`.

    Raises PanelError without Pillow.
    """
    side, format_, filter_name = IMAGE_KINDS[kind]
    image = paint(picture).copy()
    image.thumbnail((side, side))
    image = _filtered(image, filter_name)
    out = BytesIO()
    image.save(out, format_, **({} if format_ == "PNG" else {"quality": 80}))
    return out.getvalue(), *image.size


@lru_cache(maxsize=2)  # one item needs its kinds one after the other; an image has several megabytes
def paint(picture: str) -> "Image.Image":
    """Return the full-size image of the name `picture`.

    Raises PanelError without Pillow.
    """
    width, height = choose(SIZES, picture, "size")
    palette = choose(PALETTES, picture, "palette")
    image = _sky((2 * width, 2 * height), *palette[:2])
    motif = choose((_hills, _discs, _ribbons), picture, "motif")
    motif(_pillow("ImageDraw").Draw(image, "RGBA"), image.size, palette[2:], derive_hash(picture))
    return image.reduce(2)


def _pillow(module: str) -> Any:
    try:
        return getattr(__import__("PIL", fromlist=[module]), module)
    except ImportError as missing:
        raise PanelError(
            "The images of a bundle need the package Pillow, which is not installed.",
            "Install it: `apt install python3-pil`, or `pip install pillow`.",
        ) from missing


def _sky(size: tuple[int, int], above: str, below: str) -> "Image.Image":
    image = _pillow("Image")
    slope = image.linear_gradient("L").resize(size)
    return image.composite(image.new("RGB", size, below), image.new("RGB", size, above), slope)


def _ink(colour: str, alpha: int) -> tuple[int, int, int, int]:
    return (*bytes.fromhex(colour[1:]), alpha)


def _hills(draw: "ImageDraw.ImageDraw", size: tuple[int, int], inks: tuple[str, ...], key: str) -> None:
    width, height = size
    _disc(draw, width * derive_number(0.2, 0.8, key, "sun"), height * 0.32, min(size) * 0.11, _ink("#fff3d6", 220))
    for layer, ink in enumerate(inks):
        crest = _wave(width, height * (0.48 + 0.16 * layer), height * 0.07, f"{key}/{layer}")
        draw.polygon([*crest, (width, height), (0, height)], fill=_ink(ink, 235))


def _discs(draw: "ImageDraw.ImageDraw", size: tuple[int, int], inks: tuple[str, ...], key: str) -> None:
    for n in range(18):
        x, y = (side * derive_number(-0.05, 1.05, key, n, axis) for axis, side in enumerate(size))
        _disc(draw, x, y, min(size) * derive_number(0.04, 0.24, key, n), _ink(choose(inks, key, n, "ink"), 120))


def _ribbons(draw: "ImageDraw.ImageDraw", size: tuple[int, int], inks: tuple[str, ...], key: str) -> None:
    width, height = size
    for n in range(7):
        middle, thickness = height * (0.2 + 0.1 * n), height * derive_number(0.03, 0.09, key, n)
        edge = _wave(width, middle, height * 0.1, f"{key}/{n}")
        draw.polygon([*edge, *((x, y + thickness) for x, y in reversed(edge))], fill=_ink(inks[n % len(inks)], 170))


def _disc(draw: "ImageDraw.ImageDraw", x: float, y: float, radius: float, fill: tuple[int, ...]) -> None:
    draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=fill)


def _wave(width: int, middle: float, swing: float, key: str) -> list[tuple[float, float]]:
    turns, phase = derive_number(4, 9, key, "turns"), derive_number(0, 6, key, "phase")
    return [
        (width * n / 120, middle + swing * (math.sin(turns * n / 120 + phase) + math.sin(2.3 * turns * n / 120) / 3))
        for n in range(121)
    ]


def _filtered(image: "Image.Image", name: str) -> "Image.Image":
    if name == "none":
        return image
    soft = image.filter(_pillow("ImageFilter").GaussianBlur(image.width / 14))
    if name == "vivid":
        return _pillow("ImageEnhance").Color(soft).enhance(1.8)
    white = _pillow("Image").new("RGB", soft.size, "white")
    return _pillow("Image").blend(soft, white, 0.35) if name == "frosted" else soft
