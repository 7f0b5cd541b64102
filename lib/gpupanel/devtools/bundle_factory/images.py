"""Generated pictures: a sky of two colours and one motif over it, sized and treated as derivatives are."""

import math
from functools import lru_cache
from io import BytesIO
from typing import TYPE_CHECKING, NamedTuple

from ...errors import PanelError
from .chance import between, digest, pick

if TYPE_CHECKING:
    from PIL import Image, ImageDraw

FORMATS = {"JPEG": ("jpg", "image/jpeg"), "PNG": ("png", "image/png"), "WEBP": ("webp", "image/webp")}
SIZES = ((1440, 960), (960, 1440), (1280, 1280))  # pixels; drawn at twice that and halved, for smooth edges
PALETTES = (  # sky above, sky below, then three inks from far to near
    ("#22335c", "#f2a07b", "#8c6a8f", "#4f4773", "#232642"),
    ("#0f4c5c", "#f6e7cb", "#7fb7a6", "#3f8582", "#173f4a"),
    ("#f3d9b1", "#e07a5f", "#c25b56", "#81415b", "#3d2645"),
    ("#a9d6e5", "#fdfcdc", "#89b0ae", "#5c8374", "#304d47"),
    ("#1b1b3a", "#693668", "#a74482", "#f5487f", "#ffb3a7"),
    ("#cfe1b9", "#fefae0", "#a3b18a", "#588157", "#344e41"),
)


class Kind(NamedTuple):
    """How a derivative is made: its longest side in pixels, its format, and what is done to the picture."""

    side: int
    format: str
    treatment: str = "plain"


KINDS = {
    "icon": Kind(96, "PNG"),
    "thumb": Kind(256, "JPEG"),
    "medium": Kind(1024, "WEBP"),
    "original": Kind(1440, "JPEG"),
    "library_cover": Kind(640, "JPEG"),
    "frosted": Kind(192, "PNG", "frosted"),
    "blurred": Kind(320, "JPEG", "blurred"),
    "vivid_blurred": Kind(320, "WEBP", "vivid"),
}


def encoded(picture: str, kind: str) -> tuple[bytes, int, int]:
    """The file, width and height of `picture` (any name) as `kind` (a key of KINDS). PanelError without Pillow."""
    side, format_, treatment = KINDS[kind]
    image = painting(picture).copy()
    image.thumbnail((side, side))
    image = _treated(image, treatment)
    out = BytesIO()
    image.save(out, format_, **({} if format_ == "PNG" else {"quality": 80}))
    return out.getvalue(), *image.size


@lru_cache(maxsize=2)  # an item asks for all its kinds in a row; a painting is several megabytes
def painting(picture: str) -> "Image.Image":
    """The full-size painting that belongs to the name `picture`. PanelError without Pillow."""
    width, height = pick(SIZES, picture, "size")
    palette = pick(PALETTES, picture, "palette")
    image = _sky((2 * width, 2 * height), *palette[:2])
    motif = pick((_hills, _discs, _ribbons), picture, "motif")
    motif(_pillow("ImageDraw").Draw(image, "RGBA"), image.size, palette[2:], digest(picture))
    return image.reduce(2)


def _pillow(module: str):
    try:
        return getattr(__import__("PIL", fromlist=[module]), module)
    except ImportError as missing:
        raise PanelError(
            "Drawing the pictures of a bundle needs the package Pillow, which is not installed.",
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
    _disc(draw, width * between(0.2, 0.8, key, "sun"), height * 0.32, min(size) * 0.11, _ink("#fff3d6", 220))
    for layer, ink in enumerate(inks):
        crest = _wave(width, height * (0.48 + 0.16 * layer), height * 0.07, f"{key}/{layer}")
        draw.polygon([*crest, (width, height), (0, height)], fill=_ink(ink, 235))


def _discs(draw: "ImageDraw.ImageDraw", size: tuple[int, int], inks: tuple[str, ...], key: str) -> None:
    for n in range(18):
        x, y = (side * between(-0.05, 1.05, key, n, axis) for axis, side in enumerate(size))
        _disc(draw, x, y, min(size) * between(0.04, 0.24, key, n), _ink(pick(inks, key, n, "ink"), 120))


def _ribbons(draw: "ImageDraw.ImageDraw", size: tuple[int, int], inks: tuple[str, ...], key: str) -> None:
    width, height = size
    for n in range(7):
        middle, thickness = height * (0.2 + 0.1 * n), height * between(0.03, 0.09, key, n)
        edge = _wave(width, middle, height * 0.1, f"{key}/{n}")
        draw.polygon([*edge, *((x, y + thickness) for x, y in reversed(edge))], fill=_ink(inks[n % len(inks)], 170))


def _disc(draw: "ImageDraw.ImageDraw", x: float, y: float, radius: float, fill: tuple[int, ...]) -> None:
    draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=fill)


def _wave(width: int, middle: float, swing: float, key: str) -> list[tuple[float, float]]:
    turns, phase = between(4, 9, key, "turns"), between(0, 6, key, "phase")
    return [
        (width * n / 120, middle + swing * (math.sin(turns * n / 120 + phase) + math.sin(2.3 * turns * n / 120) / 3))
        for n in range(121)
    ]


def _treated(image: "Image.Image", treatment: str) -> "Image.Image":
    if treatment == "plain":
        return image
    soft = image.filter(_pillow("ImageFilter").GaussianBlur(image.width / 14))
    if treatment == "vivid":
        return _pillow("ImageEnhance").Color(soft).enhance(1.8)
    white = _pillow("Image").new("RGB", soft.size, "white")
    return _pillow("Image").blend(soft, white, 0.35) if treatment == "frosted" else soft
