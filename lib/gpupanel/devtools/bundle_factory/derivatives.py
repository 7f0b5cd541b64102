"""Derivatives as files with their facts."""

import zipfile
from functools import lru_cache
from hashlib import sha256
from io import BytesIO
from typing import Any, NamedTuple

from .deterministic import derive_number, timestamp
from .images import FORMATS, IMAGE_KINDS, encode_image

SEGMENTS, SEGMENT_SECONDS = 3, 4
LINES = ("The tide is still far out.", "Wind comes up from the west.", "The light changes, and the birds with it.")


class GeneratedFile(NamedTuple):
    """A file; `path` is relative to the folder of the item."""

    path: str
    data: bytes


class DerivativeFiles(NamedTuple):
    """One derivative: its facts as in the manifest, and its files.

    The facts name the first file.
    """

    fact: dict[str, Any]
    files: tuple[GeneratedFile, ...]


@lru_cache(maxsize=512)
def make_derivative(picture: str, kind: str) -> DerivativeFiles:
    """Return the derivative of `kind` of the picture or film named `picture`.

    Cached. Facts (docs/CONTRACT.md, 4): kind, path, bytes, sha256, mime_type, and width and height
    in pixels or None. Raises KeyError for an unknown kind.
    """
    if kind in IMAGE_KINDS:
        data, width, height = encode_image(picture, kind)
        extension, mime_type = FORMATS[IMAGE_KINDS[kind].format]
        return _with_facts(kind, mime_type, (GeneratedFile(f"{kind}.{extension}", data),), width, height)
    mime_type, make = DELIVERABLES[kind]
    return _with_facts(kind, mime_type, make(picture))


def film_seconds(picture: str) -> float:
    """Return the length in seconds of the film named `picture`.

    Playlist and transcript agree with it.
    """
    return round((SEGMENTS - 1) * SEGMENT_SECONDS + derive_number(1, SEGMENT_SECONDS, picture, "length"), 1)


def _with_facts(
    kind: str, mime_type: str, files: tuple[GeneratedFile, ...], width: int | None = None, height: int | None = None
) -> DerivativeFiles:
    path, data = files[0]
    facts = {"kind": kind, "path": path, "bytes": len(data), "sha256": sha256(data).hexdigest()}
    return DerivativeFiles(facts | {"mime_type": mime_type, "width": width, "height": height}, files)


def _stream(film: str) -> tuple[GeneratedFile, ...]:
    names = [f"segment-{n:03}.ts" for n in range(SEGMENTS)]
    seconds = [float(SEGMENT_SECONDS)] * (SEGMENTS - 1)
    seconds.append(film_seconds(film) - sum(seconds))
    lines = ["#EXTM3U", "#EXT-X-VERSION:3", f"#EXT-X-TARGETDURATION:{SEGMENT_SECONDS}", "#EXT-X-PLAYLIST-TYPE:VOD"]
    for name, length in zip(names, seconds, strict=True):
        lines += [f"#EXTINF:{length:.1f},", name]
    playlist = "\n".join([*lines, "#EXT-X-ENDLIST", ""]).encode()
    segments = (GeneratedFile(f"hls/{name}", _transport_stream()) for name in names)
    return GeneratedFile("hls/stream.m3u8", playlist), *segments


def _transport_stream(packets: int = 32) -> bytes:
    """Return empty MPEG packets: sync byte, null packet id, stuffing."""
    return b"".join(b"\x47\x1f\xff" + bytes([0x10 | n % 16]) + b"\xff" * 184 for n in range(packets))


def _transcript(film: str) -> tuple[GeneratedFile, ...]:
    step = film_seconds(film) / len(LINES)
    cues = [f"{_cue(n * step)} --> {_cue((n + 1) * step)}\n{line}\n" for n, line in enumerate(LINES)]
    return (GeneratedFile("transcript.vtt", "\n".join(["WEBVTT\n", *cues]).encode()),)


def _cue(seconds: float) -> str:
    return f"{int(seconds) // 60:02}:{seconds % 60:06.3f}"


def _package(film: str) -> tuple[GeneratedFile, ...]:
    out = BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, data in (*_stream(film), *_transcript(film), GeneratedFile("README.txt", _label(film))):
            archive.writestr(zipfile.ZipInfo(path), data, zipfile.ZIP_DEFLATED)  # ZipInfo has a fixed date
    return (GeneratedFile("cloud_package.zip", out.getvalue()),)


def _label(film: str) -> bytes:
    seconds = film_seconds(film)
    return f"Stream and transcript of {film}, {seconds} s, packed {timestamp(seconds)}.\n".encode()


DELIVERABLES = {
    "hls": ("application/vnd.apple.mpegurl", _stream),
    "transcript": ("text/vtt", _transcript),
    "cloud_package": ("application/zip", _package),
}
