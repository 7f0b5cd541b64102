"""The description of one asset to generate, and what is generated of it."""

from collections.abc import Callable
from typing import Any, NamedTuple

from .derivatives import GeneratedFile
from .deterministic import derive_hash

Item = dict[str, Any]
ItemFiles = tuple[Item, list[GeneratedFile]]
Defect = Callable[[Item, list[GeneratedFile]], ItemFiles]


class GeneratedAsset(NamedTuple):
    """An asset; `form` is photo, cover, video or video_simple.

    Images derive from `picture`, other values from `key`. `derivatives` names kinds, `documents` files under
    source/data/. Another `revision` has another folder and other analyses. `title` replaces the derived title. `broken`
    receives the item and its files, and returns the defective ones (see defects.py).
    """

    key: str
    form: str
    picture: str
    derivatives: tuple[str, ...]
    documents: tuple[str, ...]
    cover_hash: str | None = None
    title: str | None = None
    revision: int = 1
    broken: Defect | None = None

    @property
    def asset_hash(self) -> str:
        return derive_hash(self.key)

    @property
    def asset_type(self) -> str:
        return "video" if self.form == "video_simple" else self.form

    @property
    def path(self) -> str:
        """Return the folder of the item, relative to assets_dir."""
        return f"{self.asset_type}/{self.asset_hash[:2]}/{self.asset_hash[:24]}-r{self.revision}"
