"""What upstream knows about an asset: its provenance, and what its analyses found. Invented, and plausible."""

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from .chance import between, digest, identifier, moment, pick
from .renditions import File

if TYPE_CHECKING:
    from .assets import Asset

CAMERAS = (
    ("Halden", "H35", "35 mm f/2"),
    ("Norrvik", "Field 6", "24-70 mm f/4"),
    ("Ossel", "Pocket II", "28 mm f/2.8"),
)
LIGHT = ("First light", "Low sun", "Morning haze", "Clear noon", "Long shadows", "Blue hour", "After the rain")
PLACES = (
    "the salt marsh", "the north pier", "the upper pasture", "the old quarry", "the harbour wall", "the birch wood",
)
TAGS = ("coast", "horizon", "water", "grass", "stone", "cloud", "reflection", "path", "silhouette", "still")
MOODS = ("calm", "expectant", "bright", "solitary", "playful")
THEMES = ("arrival", "distance", "work and rest", "the turn of the season", "edges")


def title(key: str) -> str:
    """The title that upstream gave to the asset `key`."""
    return f"{pick(LIGHT, key, 'light')} over {pick(PLACES, key, 'place')}"


def source(asset: "Asset") -> File:
    """source/source.json: the cold provenance; it never changes, whatever later bundles say of the asset."""
    return _file("source/source.json", _provenance(asset))


def documents(asset: "Asset", derivatives: list[dict[str, Any]]) -> Iterable[File]:
    """The files under source/data/ that `asset.documents` names. KeyError for a name that is not in DOCUMENTS."""
    for name in asset.documents:
        found = DOCUMENTS[name](asset, derivatives)
        path = f"source/data/{name}"
        yield File(path, found) if isinstance(found, bytes) else _file(path, found)


def _file(path: str, document: dict[str, Any]) -> File:
    return File(path, json.dumps(document).encode() + b"\n")


def _provenance(asset: "Asset") -> dict[str, Any]:
    key = asset.key
    maker, model, lens = pick(CAMERAS, key, "camera")
    return {
        "asset_hash": asset.asset_hash,
        "title": title(key),
        "captured_at": _when(key, "captured"),
        "place": pick(PLACES, key, "place"),
        "camera": {"maker": maker, "model": model, "lens": lens, "serial": digest(maker)[:8].upper()},
        "iso": pick((100, 200, 400), key, "iso"),
        "shutter": pick(("1/60", "1/250", "1/1000"), key, "shutter"),
        "original_name": f"{maker[:3].upper()}_{int(between(1, 9999, key, 'name')):04}",
        "rights": "Generated for demonstration; free to use.",
    }


def _inventory(asset: "Asset", derivatives: list[dict[str, Any]]) -> dict[str, Any]:
    return {"schema": 1, "asset_hash": asset.asset_hash, "revision": asset.revision, "derivatives": derivatives}


def _analysis(asset: "Asset", _: list[dict[str, Any]]) -> dict[str, Any]:
    run = f"{asset.key}/{asset.revision}"
    tags = sorted({pick(TAGS, run, "tag", n) for n in range(4)})
    return {
        "schema": 2,
        "model": "shape-reader 1.4",
        "run_id": identifier(run, "analysis"),
        "run_at": _when(run, "analysis"),
        "caption": f"{title(asset.key)}; layered shapes under a two-tone sky.",
        "tags": [{"name": tag, "confidence": round(between(0.6, 0.99, run, tag), 2)} for tag in tags],
        "sharpness": round(between(0.4, 1, run, "sharpness"), 3),
        "people": 0,
    }


def _meaning(asset: "Asset", _: list[dict[str, Any]]) -> dict[str, Any]:
    run = f"{asset.key}/{asset.revision}"
    theme, mood = pick(THEMES, run, "theme"), pick(MOODS, run, "mood")
    return {"mood": mood, "theme": theme, "reading": f"A {mood} picture about {theme}: {title(asset.key).lower()}."}


def _family(asset: "Asset", _: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "family_id": identifier(asset.key, "family"),
        "relation": pick(("bracket", "burst", "panorama"), asset.key, "relation"),
        "members": [asset.asset_hash, *(digest(asset.key, "sibling", n) for n in range(2))],
        "lead": asset.asset_hash,
    }


def _palette(asset: "Asset", _: list[dict[str, Any]]) -> dict[str, Any]:
    return {"space": "sRGB", "dominant": [f"#{digest(asset.key, 'colour', n)[:6]}" for n in range(4)]}


def _notes(asset: "Asset", _: list[dict[str, Any]]) -> bytes:
    return f"# field notes, kept as they were typed\nlight: {pick(LIGHT, asset.key, 'light').lower()}\n".encode()


def _probe(asset: "Asset", _: list[dict[str, Any]]) -> dict[str, Any]:
    return {"container": "mpegts", "codec": "h264", "width": 1280, "height": 720, "tag": digest(asset.key)[:16]}


def _when(*parts: object) -> str:
    return moment(-between(0, 500_000, *parts))


KNOWN = {
    "photo.manifest.json": _inventory,
    "photo.analysis.json": _analysis,
    "photo.meaning.json": _meaning,
    "photo.family.json": _family,
}
# The importer keeps these as `source_data:<file>`; the notes are not JSON, and are captured all the same.
UNKNOWN = {"color.palette.json": _palette, "field.notes.json": _notes, "video.probe.json": _probe}
DOCUMENTS = KNOWN | UNKNOWN
