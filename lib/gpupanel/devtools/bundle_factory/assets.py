"""One asset as upstream hands it over: the item of the manifest, and the files of its folder (docs/CONTRACT.md, 4)."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from . import documents as papers
from .chance import digest
from .renditions import File, duration, rendition

Item = dict[str, Any]
Handed = tuple[Item, list[File]]
Break = Callable[[Item, list[File]], Handed]

DERIVATIVES = {
    "photo": ("icon", "thumb", "medium", "original", "frosted", "blurred", "vivid_blurred"),
    "cover": ("icon", "thumb", "medium"),
    "video": ("thumb", "medium"),
    "video_simple": ("hls", "transcript", "cloud_package", "library_cover"),
}
PAPERS = {
    "photo": tuple(papers.KNOWN),
    "cover": ("photo.manifest.json",),
    "video": ("video.probe.json",),
    "video_simple": ("video.probe.json",),
}


class Asset(NamedTuple):
    """`form` is photo, cover, video or video_simple; what is arbitrary derives from `key`, the pictures from `picture`.

    `derivatives` names kinds, `documents` files under source/data/. Another `revision` has another folder and other
    analyses. `title` replaces the derived one. `broken` gets the finished item and its files, and returns what is
    handed over instead (see `breaks`).
    """

    key: str
    form: str
    picture: str
    derivatives: tuple[str, ...]
    documents: tuple[str, ...]
    cover_hash: str | None = None
    title: str | None = None
    revision: int = 1
    broken: Break | None = None

    @property
    def asset_hash(self) -> str:
        return digest(self.key)

    @property
    def asset_type(self) -> str:
        return "video" if self.form == "video_simple" else self.form

    @property
    def path(self) -> str:
        """The item's folder, relative to assets_dir."""
        return f"{self.asset_type}/{self.asset_hash[:2]}/{self.asset_hash[:24]}-r{self.revision}"


def assets(
    key: str,
    count: int,
    mix: tuple[str, ...] = ("photo",),
    *,
    pictures: tuple[str, int] = ("picture", 6),
    derivatives: tuple[str, ...] | None = None,
    documents: tuple[str, ...] | None = None,
    broken: Mapping[int, Break] | None = None,
) -> Iterator[Asset]:
    """`count` assets that go through the forms of `mix` in turn; a cover belongs to the asset just before it.

    `pictures` is a prefix and how many pictures of each form share it; `broken` maps a position to what is wrong there.
    """
    prefix, pool = pictures
    for n in range(count):
        form = mix[n % len(mix)]
        yield Asset(
            key=f"{key}/{n}",
            form=form,
            picture=f"{prefix}/{form}/{n // len(mix) % pool}",
            derivatives=DERIVATIVES[form] if derivatives is None else derivatives,
            documents=PAPERS[form] if documents is None else documents,
            cover_hash=digest(f"{key}/{n + 1}") if _covered(mix, n, count) else None,
            broken=(broken or {}).get(n),
        )


def _covered(mix: tuple[str, ...], n: int, count: int) -> bool:
    here, following = mix[n % len(mix)], mix[(n + 1) % len(mix)]
    return here != "cover" and following == "cover" and n + 1 < count


def hand_over(asset: Asset) -> Handed:
    """The item for the manifest, whose `bytes` are those of its largest derivative, and every file of its folder."""
    made = [rendition(asset.picture, kind) for kind in asset.derivatives]
    facts = [dict(one.fact) for one in made]
    files = [file for one in made for file in one.files]
    files += [papers.source(asset), *papers.documents(asset, facts)]
    item = _item(asset, facts)
    return asset.broken(item, files) if asset.broken else (item, files)


def removal(asset: Asset) -> Item:
    """The item of a `remove` bundle: what identifies the asset, and no folder."""
    simple = "video_simple" if asset.form == "video_simple" else None
    return {"asset_type": asset.asset_type, "asset_subtype": simple, "asset_hash": asset.asset_hash}


def _item(asset: Asset, derivatives: list[dict[str, Any]]) -> Item:
    largest = max(derivatives, key=lambda one: one["bytes"], default={})
    film = asset.asset_type == "video"
    return removal(asset) | {
        "cover_hash": asset.cover_hash,
        "path": asset.path,
        "title": asset.title or papers.title(asset.key),
        "mime_type": "video/mp2t" if film else largest.get("mime_type", "image/jpeg"),
        "width": 1280 if film else largest.get("width"),
        "height": 720 if film else largest.get("height"),
        "bytes": largest.get("bytes", 0),
        "duration_seconds": duration(asset.picture) if film else None,
        "derivatives": derivatives,
    }
