"""Ways in which one item can be wrong; each gets the finished item and its files, and returns what is handed over."""

from .assets import Handed, Item
from .renditions import File


def no_folder(item: Item, files: list[File]) -> Handed:
    """The manifest names a folder that never arrived."""
    return item, []


def no_source(item: Item, files: list[File]) -> Handed:
    """The folder is there, its source/source.json is not."""
    return item, [file for file in files if file.path != "source/source.json"]


def broken_source(item: Item, files: list[File]) -> Handed:
    """source/source.json stops halfway."""
    return item, _halved(files, "source/source.json")


def broken_document(item: Item, files: list[File]) -> Handed:
    """A document that must be JSON, photo.analysis.json, stops halfway; seen only when it is read, at import."""
    return item, _halved(files, "source/data/photo.analysis.json")


def wrong_type(item: Item, files: list[File]) -> Handed:
    """A width in words."""
    return item | {"width": "wide"}, files


def long_title(item: Item, files: list[File]) -> Handed:
    """A title over 255 characters."""
    return item | {"title": "long " * 60}, files


def no_path(item: Item, files: list[File]) -> Handed:
    """No folder is named at all."""
    return item | {"path": None}, []


def outside(item: Item, files: list[File]) -> Handed:
    """The folder named lies outside assets_dir."""
    return item | {"path": "../" + item["path"]}, []


def bad_hash(item: Item, files: list[File]) -> Handed:
    """An asset_hash that is none: the item cannot be told apart, which is a problem of the whole bundle."""
    return item | {"asset_hash": "not-a-hash"}, files


def _halved(files: list[File], path: str) -> list[File]:
    at = [file.path for file in files].index(path)  # ValueError rather than a sound item taken for a broken one
    return [*files[:at], File(path, files[at].data[: len(files[at].data) // 2]), *files[at + 1 :]]
