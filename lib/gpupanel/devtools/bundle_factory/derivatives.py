"""Derivatives as files with their facts: pictures of every kind, and what a video_simple delivers."""

import zipfile
from functools import lru_cache
from hashlib import sha256
from io import BytesIO
from typing import Any, NamedTuple

from .chance import between, moment
from .pictures import FORMATS, KINDS, encoded

SEGMENTS, SEGMENT_SECONDS = 3, 4
LINES = ("The tide is still far out.", "Wind comes up from the west.", "The light changes, and the birds with it.")


class File(NamedTuple):
    """`path` is relative to the item's folder."""

    path: str
    data: bytes


class Rendition(NamedTuple):
    """One derivative: its facts as the manifest states them, and its files; the first is the one the facts name."""

    fact: dict[str, Any]
    files: tuple[File, ...]


@lru_cache(maxsize=512)
def rendition(picture: str, kind: str) -> Rendition:
    """The derivative of `kind` of the picture or film named `picture`; made once, then reused.

    Facts (docs/CONTRACT.md, 4): kind, path, bytes, sha256, mime_type, and width and height in pixels or None.
    KeyError for a kind that nobody makes.
    """
    if kind in KINDS:
        data, width, height = encoded(picture, kind)
        extension, mime_type = FORMATS[KINDS[kind].format]
        return _rendition(kind, mime_type, (File(f"{kind}.{extension}", data),), width, height)
    mime_type, make = DELIVERABLES[kind]
    return _rendition(kind, mime_type, make(picture))


def duration(picture: str) -> float:
    """Seconds that the film named `picture` lasts; playlist and transcript agree with it."""
    return round((SEGMENTS - 1) * SEGMENT_SECONDS + between(1, SEGMENT_SECONDS, picture, "length"), 1)


def _rendition(kind, mime_type, files, width=None, height=None) -> Rendition:
    path, data = files[0]
    facts = {"kind": kind, "path": path, "bytes": len(data), "sha256": sha256(data).hexdigest()}
    return Rendition(facts | {"mime_type": mime_type, "width": width, "height": height}, files)


def _stream(film: str) -> tuple[File, ...]:
    names = [f"segment-{n:03}.ts" for n in range(SEGMENTS)]
    seconds = [float(SEGMENT_SECONDS)] * (SEGMENTS - 1)
    seconds.append(duration(film) - sum(seconds))
    lines = ["#EXTM3U", "#EXT-X-VERSION:3", f"#EXT-X-TARGETDURATION:{SEGMENT_SECONDS}", "#EXT-X-PLAYLIST-TYPE:VOD"]
    for name, length in zip(names, seconds, strict=True):
        lines += [f"#EXTINF:{length:.1f},", name]
    playlist = "\n".join([*lines, "#EXT-X-ENDLIST", ""]).encode()
    return File("hls/stream.m3u8", playlist), *(File(f"hls/{name}", _transport_stream()) for name in names)


def _transport_stream(packets: int = 32) -> bytes:
    """MPEG transport stream packets that carry nothing: sync byte, null packet id, stuffing."""
    return b"".join(b"\x47\x1f\xff" + bytes([0x10 | n % 16]) + b"\xff" * 184 for n in range(packets))


def _transcript(film: str) -> tuple[File, ...]:
    step = duration(film) / len(LINES)
    cues = [f"{_cue(n * step)} --> {_cue((n + 1) * step)}\n{line}\n" for n, line in enumerate(LINES)]
    return (File("transcript.vtt", "\n".join(["WEBVTT\n", *cues]).encode()),)


def _cue(seconds: float) -> str:
    return f"{int(seconds) // 60:02}:{seconds % 60:06.3f}"


def _package(film: str) -> tuple[File, ...]:
    out = BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, data in (*_stream(film), *_transcript(film), File("README.txt", _label(film))):
            archive.writestr(zipfile.ZipInfo(path), data, zipfile.ZIP_DEFLATED)  # ZipInfo: a fixed date, not today's
    return (File("cloud_package.zip", out.getvalue()),)


def _label(film: str) -> bytes:
    return f"Stream and transcript of {film}, {duration(film)} s, packed {moment(duration(film))}.\n".encode()


DELIVERABLES = {
    "hls": ("application/vnd.apple.mpegurl", _stream),
    "transcript": ("text/vtt", _transcript),
    "cloud_package": ("application/zip", _package),
}
