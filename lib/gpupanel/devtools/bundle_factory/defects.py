"""Defects of one item.

Each function receives a valid item with its files and returns the defective ones.
"""

from .derivatives import GeneratedFile
from .generated_asset import Item, ItemFiles


def no_folder(item: Item, files: list[GeneratedFile]) -> ItemFiles:
    """The manifest names a folder that never arrived."""
    return item, []


def no_source(item: Item, files: list[GeneratedFile]) -> ItemFiles:
    """The folder lacks its source/source.json."""
    return item, [file for file in files if file.path != "source/source.json"]


def broken_source(item: Item, files: list[GeneratedFile]) -> ItemFiles:
    """source/source.json stops halfway."""
    return item, _halved(files, "source/source.json")


def broken_document(item: Item, files: list[GeneratedFile]) -> ItemFiles:
    """photo.analysis.json, which must be JSON, stops halfway.

    Only the import reads it.
    """
    return item, _halved(files, "source/data/photo.analysis.json")


def wrong_type(item: Item, files: list[GeneratedFile]) -> ItemFiles:
    """A width in words."""
    return item | {"width": "wide"}, files


def long_title(item: Item, files: list[GeneratedFile]) -> ItemFiles:
    """A title over 255 characters."""
    return item | {"title": "long " * 60}, files


def no_path(item: Item, files: list[GeneratedFile]) -> ItemFiles:
    """The item names no folder."""
    return item | {"path": None}, []


def outside(item: Item, files: list[GeneratedFile]) -> ItemFiles:
    """The folder named lies outside assets_dir."""
    return item | {"path": "../" + item["path"]}, []


def bad_hash(item: Item, files: list[GeneratedFile]) -> ItemFiles:
    """An invalid asset_hash, which is a problem of the whole bundle."""
    return item | {"asset_hash": "not-a-hash"}, files


def _halved(files: list[GeneratedFile], path: str) -> list[GeneratedFile]:
    at = [file.path for file in files].index(path)  # ValueError rather than an item without its defect
    return [*files[:at], GeneratedFile(path, files[at].data[: len(files[at].data) // 2]), *files[at + 1 :]]
