"""Assets, and the manifest item and files of one (docs/CONTRACT.md, 4)."""

from collections.abc import Iterator, Mapping
from typing import Any

from . import documents as asset_documents
from .derivatives import film_seconds, make_derivative
from .deterministic import derive_hash
from .generated_asset import Defect, GeneratedAsset, Item, ItemFiles

DERIVATIVES = {
    "photo": ("icon", "thumb", "medium", "original", "frosted", "blurred", "vivid_blurred"),
    "cover": ("icon", "thumb", "medium"),
    "video": ("thumb", "medium"),
    "video_simple": ("hls", "transcript", "cloud_package", "library_cover"),
}
DOCUMENT_NAMES = {
    "photo": tuple(asset_documents.KNOWN),
    "cover": ("photo.manifest.json",),
    "video": ("video.probe.json",),
    "video_simple": ("video.probe.json",),
}


def generate_assets(
    key: str,
    count: int,
    mix: tuple[str, ...] = ("photo",),
    *,
    pictures: tuple[str, int] = ("picture", 6),
    derivatives: tuple[str, ...] | None = None,
    documents: tuple[str, ...] | None = None,
    broken: Mapping[int, Defect] | None = None,
) -> Iterator[GeneratedAsset]:
    """Yield `count` assets whose forms alternate as in `mix`.

    A cover belongs to the asset before it. `pictures` is a prefix, and the number of pictures of
    each form; `broken` maps positions to defects.
    """
    prefix, pool = pictures
    for n in range(count):
        form = mix[n % len(mix)]
        yield GeneratedAsset(
            key=f"{key}/{n}",
            form=form,
            picture=f"{prefix}/{form}/{n // len(mix) % pool}",
            derivatives=DERIVATIVES[form] if derivatives is None else derivatives,
            documents=DOCUMENT_NAMES[form] if documents is None else documents,
            cover_hash=derive_hash(f"{key}/{n + 1}") if _covered(mix, n, count) else None,
            broken=(broken or {}).get(n),
        )


def _covered(mix: tuple[str, ...], n: int, count: int) -> bool:
    here, following = mix[n % len(mix)], mix[(n + 1) % len(mix)]
    return here != "cover" and following == "cover" and n + 1 < count


def build_item(asset: GeneratedAsset) -> ItemFiles:
    """Return the manifest item and every file of its folder.

    `bytes` is the size of the largest derivative.
    """
    made = [make_derivative(asset.picture, kind) for kind in asset.derivatives]
    facts = [dict(derivative.fact) for derivative in made]
    files = [file for derivative in made for file in derivative.files]
    files += [asset_documents.source_file(asset), *asset_documents.document_files(asset, facts)]
    item = _item(asset, facts)
    return asset.broken(item, files) if asset.broken else (item, files)


def removal_item(asset: GeneratedAsset) -> Item:
    """Return the item of a `remove` bundle, which has no folder."""
    simple = "video_simple" if asset.form == "video_simple" else None
    return {"asset_type": asset.asset_type, "asset_subtype": simple, "asset_hash": asset.asset_hash}


def _item(asset: GeneratedAsset, derivatives: list[dict[str, Any]]) -> Item:
    largest = max(derivatives, key=lambda derivative: derivative["bytes"], default={})
    film = asset.asset_type == "video"
    return removal_item(asset) | {
        "cover_hash": asset.cover_hash,
        "path": asset.path,
        "title": asset.title or asset_documents.derive_title(asset.key),
        "mime_type": "video/mp2t" if film else largest.get("mime_type", "image/jpeg"),
        "width": 1280 if film else largest.get("width"),
        "height": 720 if film else largest.get("height"),
        "bytes": largest.get("bytes", 0),
        "duration_seconds": film_seconds(asset.picture) if film else None,
        "derivatives": derivatives,
    }
