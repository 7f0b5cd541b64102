"""The read-only view of the sync mount; the only code that opens files there (docs/CONTRACT.md, 3 and 4).

What is missing or unsafe is a fact about a bundle or an item. A mount that does not answer, or whose root is gone, is
never taken for that: it raises MountUnavailable, so that absence is no instruction (docs/CONTRACT.md, 2.8).
"""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple

from ..config import MountSettings
from ..errors import (
    BundleIncomplete, FileUnreadable, ManifestError, MountUnavailable, NotFound, NotPermitted, PanelError, UnsafePath,
)
from ..model import SYNC_ID
from .files import Folder, open_checked, open_folder, printable, translated
from .patience import at_once, bounded, elsewhere

__all__ = ["DOCUMENT_LIMIT", "SYNC_ID", "Document", "Mount", "Sentinel", "at_once", "bounded", "elsewhere"]

SENTINEL = ".ready"
DOCUMENT_LIMIT = 7 * 1024 * 1024
BLOCK = 1024 * 1024


class Sentinel(NamedTuple):
    """A `.ready` file; `sync_id` is None when its name is not a lowercase UUID."""

    name: str
    sync_id: str | None


class Document(NamedTuple):
    """A JSON document of an item, as bytes; `name` is the file's name without its folder."""

    name: str
    content: bytes
    is_source: bool = False


class Mount:
    """The bundles in `settings.sync_dir`, and the folders of their items in `settings.assets_dir`."""

    def __init__(self, settings: MountSettings):
        self.sync_dir, self.assets_dir = settings.sync_dir, settings.assets_dir
        self.manifest_limit = settings.manifest_limit

    def require(self) -> None:
        """Raises MountUnavailable unless both folders are there: an unmounted one is gone, or empty but for the other."""
        for folder, other in ((self.sync_dir, self.assets_dir), (self.assets_dir, self.sync_dir)):
            with translated(folder, ""), os.scandir(folder) as entries:
                if all(folder / entry.name == other for entry in entries):
                    raise MountUnavailable(f"{folder} is empty, or not mounted.")

    def sentinels(self) -> Iterator[Sentinel]:
        """Every sentinel of sync_dir in no order, by listing alone. Raises MountUnavailable."""
        with translated(self.sync_dir, ""), os.scandir(self.sync_dir) as entries:
            for entry in entries:
                if entry.name.endswith(SENTINEL):
                    yield _sentinel(entry.name)

    def manifest(self, sync_id: str) -> bytes:
        """The manifest of a bundle as it stands.

        Raises BundleIncomplete naming the file that is missing or may not be read, ManifestError when it is over the limit,
        UnsafePath and MountUnavailable.
        """
        if not SYNC_ID.fullmatch(sync_id):
            raise UnsafePath(f"{sync_id!r} is not a lowercase UUID, so no bundle has that name.")
        try:
            with translated(self.sync_dir, f"{sync_id}.ready"):
                os.lstat(self.sync_dir / f"{sync_id}.ready")
            name = f"{sync_id}.json"
            opened = open_checked(self.sync_dir, name, stat.S_ISREG)
            return _content(opened, self.sync_dir, name, self.manifest_limit, _manifest_too_big)
        except (NotFound, NotPermitted) as missing:
            raise BundleIncomplete(str(missing)) from None

    def check_item(self, path: str) -> str | None:
        """Why the documents of the item in folder `path` cannot be read, in a sentence; None when they can.

        Raises MountUnavailable.
        """
        try:
            with self._absences():
                self.open(f"{path}/source/source.json").close()
        except NotFound as missing:
            return str(missing) if self._has_folder(path) else f"The folder {printable(path)} is not on the mount."
        except UnsafePath as unsafe:
            return str(unsafe)
        return None

    def documents(self, path: str) -> Iterator[Document]:
        """The documents of the item in folder `path`: source/source.json, then source/data/*.json by name.

        Raises NotFound without a source.json, PanelError for one over DOCUMENT_LIMIT bytes, UnsafePath,
        MountUnavailable.
        """
        with self._absences(), open_folder(self.assets_dir, f"{path}/source") as source:
            yield Document("source.json", self._document(source, "source.json"), is_source=True)
            if "data" not in source.names:
                return
            with _listed_folder(source, "data") as data:
                for name in _json_files(data):
                    yield Document(name, self._document(data, name))

    def open(self, relative_path: str) -> BinaryIO:
        """A regular file under assets_dir, opened for reading. Raises NotFound, UnsafePath, MountUnavailable."""
        return os.fdopen(open_checked(self.assets_dir, relative_path, stat.S_ISREG), "rb")

    @contextmanager
    def _absences(self) -> Iterator[None]:
        """What is not found is absent only while both folders are there (docs/CONTRACT.md, 2.8)."""
        try:
            yield
        except NotFound:
            self.require()
            raise

    def _document(self, folder: Folder, name: str) -> bytes:
        return _content(folder.open(name), self.assets_dir, folder.place(name), DOCUMENT_LIMIT, _document_too_big)

    def _has_folder(self, path: str) -> bool:
        try:
            os.close(open_checked(self.assets_dir, path, stat.S_ISDIR))
        except (NotFound, UnsafePath):
            return False
        return True


def _listed_folder(folder: Folder, name: str) -> Folder:
    """A folder that is listed. That it cannot be found says nothing about what is in it."""
    try:
        return folder.folder(name)
    except NotFound:
        raise FileUnreadable(f"{printable(folder.place(name))} is listed, and cannot be found.") from None


def _json_files(folder: Folder) -> list[str]:
    """The names of its *.json files, sorted; hidden ones are left out."""
    return sorted(
        _utf8(folder, name) for name in folder.names if name.endswith(".json") and not name.startswith(".")
    )


def _sentinel(name: str) -> Sentinel:
    stem = name.removesuffix(SENTINEL)
    return Sentinel(name, stem) if SYNC_ID.fullmatch(stem) else Sentinel(printable(name), None)


def _utf8(folder: Folder, name: str) -> str:
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        raise UnsafePath(f"{printable(folder.place(name))} has a name that is not UTF-8.") from None
    return name


def _manifest_too_big(name: str, size: int, limit: int) -> PanelError:
    problem = f"manifest: found {size} bytes, expected at most {limit}"
    return ManifestError(f"{name} is too big to be read", [problem])


def _document_too_big(name: str, size: int, limit: int) -> PanelError:
    return PanelError(f"{printable(name)} has {size} bytes, more than the {limit} that a document may have.")


def _content(descriptor: int, root: Path, relative: str, limit: int, too_big) -> bytes:
    """The bytes of an open file, which is closed; `too_big(relative, size, limit)` makes the error of a bigger one.

    A file that ends before its size is no shorter file: either the mount fails, or it is being replaced just now.
    """
    try:
        with translated(root, relative):
            size = os.fstat(descriptor).st_size
            content = _read(descriptor, size, limit) if size <= limit else b""
    finally:
        os.close(descriptor)
    if max(size, len(content)) > limit:
        raise too_big(relative, max(size, len(content)), limit)
    if len(content) < size:
        raise FileUnreadable(f"{printable(relative)} ended after {len(content)} of its {size} bytes.")
    return content


def _read(descriptor: int, size: int, limit: int) -> bytes:
    """Up to one byte more than `limit`. A file has its size nearly always, and the first read tells that it has no more."""
    content = os.read(descriptor, size + 1)
    if len(content) == size:
        return content
    parts, left = [content], limit + 1 - len(content)
    while left and (part := os.read(descriptor, min(left, BLOCK))):
        parts.append(part)
        left -= len(part)
    return b"".join(parts)
