"""Documents of an asset: provenance and analyses, all invented."""

import json
from collections.abc import Callable, Iterable
from typing import Any

from .derivatives import GeneratedFile
from .deterministic import choose, derive_hash, derive_number, derive_uuid, timestamp
from .generated_asset import GeneratedAsset

Document = dict[str, Any] | bytes

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


def derive_title(key: str) -> str:
    """Return the title that upstream gave to the asset `key`."""
    return f"{choose(LIGHT, key, 'light')} over {choose(PLACES, key, 'place')}"


def source_file(asset: GeneratedAsset) -> GeneratedFile:
    """Return source/source.json; no later bundle changes the provenance."""
    return _file("source/source.json", _provenance(asset))


def document_files(asset: GeneratedAsset, derivatives: list[dict[str, Any]]) -> Iterable[GeneratedFile]:
    """Yield the files under source/data/ that `asset.documents` names.

    Raises KeyError for a name not in DOCUMENTS.
    """
    for name in asset.documents:
        content = DOCUMENTS[name](asset, derivatives)
        path = f"source/data/{name}"
        yield GeneratedFile(path, content) if isinstance(content, bytes) else _file(path, content)


def _file(path: str, document: dict[str, Any]) -> GeneratedFile:
    return GeneratedFile(path, json.dumps(document).encode() + b"\n")


def _provenance(asset: GeneratedAsset) -> dict[str, Any]:
    key = asset.key
    maker, model, lens = choose(CAMERAS, key, "camera")
    return {
        "asset_hash": asset.asset_hash,
        "title": derive_title(key),
        "captured_at": _when(key, "captured"),
        "place": choose(PLACES, key, "place"),
        "camera": {"maker": maker, "model": model, "lens": lens, "serial": derive_hash(maker)[:8].upper()},
        "iso": choose((100, 200, 400), key, "iso"),
        "shutter": choose(("1/60", "1/250", "1/1000"), key, "shutter"),
        "original_name": f"{maker[:3].upper()}_{int(derive_number(1, 9999, key, 'name')):04}",
        "rights": "Generated for demonstration; free to use.",
    }


def _inventory(asset: GeneratedAsset, derivatives: list[dict[str, Any]]) -> dict[str, Any]:
    return {"schema": 1, "asset_hash": asset.asset_hash, "revision": asset.revision, "derivatives": derivatives}


def _analysis(asset: GeneratedAsset, _: list[dict[str, Any]]) -> dict[str, Any]:
    run = f"{asset.key}/{asset.revision}"
    tags = sorted({choose(TAGS, run, "tag", n) for n in range(4)})
    return {
        "schema": 2,
        "model": "shape-reader 1.4",
        "run_id": derive_uuid(run, "analysis"),
        "run_at": _when(run, "analysis"),
        "caption": f"{derive_title(asset.key)}; layered shapes under a two-tone sky.",
        "tags": [{"name": tag, "confidence": round(derive_number(0.6, 0.99, run, tag), 2)} for tag in tags],
        "sharpness": round(derive_number(0.4, 1, run, "sharpness"), 3),
        "people": 0,
    }


def _meaning(asset: GeneratedAsset, _: list[dict[str, Any]]) -> dict[str, Any]:
    run = f"{asset.key}/{asset.revision}"
    theme, mood = choose(THEMES, run, "theme"), choose(MOODS, run, "mood")
    reading = f"A {mood} picture about {theme}: {derive_title(asset.key).lower()}."
    return {"mood": mood, "theme": theme, "reading": reading}


def _family(asset: GeneratedAsset, _: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "family_id": derive_uuid(asset.key, "family"),
        "relation": choose(("bracket", "burst", "panorama"), asset.key, "relation"),
        "members": [asset.asset_hash, *(derive_hash(asset.key, "sibling", n) for n in range(2))],
        "lead": asset.asset_hash,
    }


def _palette(asset: GeneratedAsset, _: list[dict[str, Any]]) -> dict[str, Any]:
    return {"space": "sRGB", "dominant": [f"#{derive_hash(asset.key, 'colour', n)[:6]}" for n in range(4)]}


def _notes(asset: GeneratedAsset, _: list[dict[str, Any]]) -> Document:
    return f"# field notes, kept as they were typed\nlight: {choose(LIGHT, asset.key, 'light').lower()}\n".encode()


def _probe(asset: GeneratedAsset, _: list[dict[str, Any]]) -> dict[str, Any]:
    return {"container": "mpegts", "codec": "h264", "width": 1280, "height": 720, "tag": derive_hash(asset.key)[:16]}


def _when(*parts: object) -> str:
    return timestamp(-derive_number(0, 500_000, *parts))


KNOWN: dict[str, Callable[[GeneratedAsset, list[dict[str, Any]]], Document]] = {
    "photo.manifest.json": _inventory,
    "photo.analysis.json": _analysis,
    "photo.meaning.json": _meaning,
    "photo.family.json": _family,
}
# The importer stores these as `source_data:<file>`, the notes too, although they are not JSON.
UNKNOWN: dict[str, Callable[[GeneratedAsset, list[dict[str, Any]]], Document]] = {
    "color.palette.json": _palette, "field.notes.json": _notes, "video.probe.json": _probe,
}
DOCUMENTS = {**KNOWN, **UNKNOWN}
