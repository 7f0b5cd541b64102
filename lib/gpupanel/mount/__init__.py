"""The read-only view of the sync mount; the only code that opens files there (DESIGN sections 3 and 4).

What is missing or unsafe is a fact about a bundle or an item. A mount that does not answer, or whose root is gone, is
never taken for that: it raises MountUnavailable, so that absence is no instruction (DESIGN section 2, promise 8).
"""

import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple

from ..config import MountSettings
from ..errors import (
    BundleIncomplete, FileUnreadable, ManifestError, MountUnavailable, NotFound, PanelError, UnsafePath,
)
from .files import open_checked, open_file, printable, translated
from .patience import at_once, bounded, elsewhere

__all__ = ["DOCUMENT_LIMIT", "SYNC_ID", "Document", "Mount", "Sentinel", "at_once", "bounded", "elsewhere"]

DOCUMENT_LIMIT = 7 * 1024 * 1024
SYNC_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


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
                if entry.name.endswith(".ready"):
                    yield _sentinel(entry.name)

    def manifest(self, sync_id: str) -> bytes:
        """The manifest of a bundle as it stands.

        Raises BundleIncomplete naming the file that is missing, ManifestError when it is over the limit, UnsafePath
        and MountUnavailable.
        """
        if not SYNC_ID.fullmatch(sync_id):
            raise UnsafePath(f"{sync_id!r} is not a lowercase UUID, so no bundle has that name.")
        try:
            with translated(self.sync_dir, f"{sync_id}.ready"):
                os.lstat(self.sync_dir / f"{sync_id}.ready")
            return _content(self.sync_dir, f"{sync_id}.json", self.manifest_limit, _manifest_too_big)
        except NotFound as missing:
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
        with self._absences():
            yield Document("source.json", self._document(f"{path}/source/source.json"), is_source=True)
            for name in self._names(f"{path}/source/data"):
                yield Document(name, self._document(f"{path}/source/data/{name}"))

    def open(self, relative_path: str) -> BinaryIO:
        """A regular file under assets_dir, opened for reading. Raises NotFound, UnsafePath, MountUnavailable."""
        return open_file(self.assets_dir, relative_path)

    @contextmanager
    def _absences(self) -> Iterator[None]:
        """What is not found is absent only while both folders are there (DESIGN section 2, promise 8)."""
        try:
            yield
        except NotFound:
            self.require()
            raise

    def _document(self, relative_path: str) -> bytes:
        return _content(self.assets_dir, relative_path, DOCUMENT_LIMIT, _document_too_big)

    def _has_folder(self, path: str) -> bool:
        try:
            os.close(open_checked(self.assets_dir, path, stat.S_ISDIR))
        except (NotFound, UnsafePath):
            return False
        return True

    def _names(self, folder: str) -> list[str]:
        """The names of the *.json files in `folder`, sorted; hidden ones are left out, a missing folder has none."""
        try:
            names = self._listed(folder)
        except NotFound:
            parent, _, name = folder.rpartition("/")
            if name in self._listed(parent):
                raise FileUnreadable(f"{printable(folder)} is listed, and cannot be found.") from None
            return []
        return sorted(_utf8(folder, name) for name in names if name.endswith(".json") and not name.startswith("."))

    def _listed(self, folder: str) -> list[str]:
        descriptor = open_checked(self.assets_dir, folder, stat.S_ISDIR)
        try:
            with translated(self.assets_dir, folder):
                return os.listdir(descriptor)
        finally:
            os.close(descriptor)


def _sentinel(name: str) -> Sentinel:
    stem = name.removesuffix(".ready")
    return Sentinel(printable(name), stem if SYNC_ID.fullmatch(stem) else None)


def _utf8(folder: str, name: str) -> str:
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        raise UnsafePath(f"{printable(folder)}/{printable(name)} has a name that is not UTF-8.") from None
    return name


def _manifest_too_big(name: str, size: int, limit: int) -> PanelError:
    problem = f"manifest: found {size} bytes, expected at most {limit}"
    return ManifestError(f"{name} is too big to be read", [problem])


def _document_too_big(name: str, size: int, limit: int) -> PanelError:
    return PanelError(f"{printable(name)} has {size} bytes, more than the {limit} that a document may have.")


def _content(root: Path, relative: str, limit: int, too_big) -> bytes:
    """The bytes of a regular file under `root`; `too_big(relative, size, limit)` makes the error of a bigger one.

    A file that ends before its size is no shorter file: either the mount fails, or it is being replaced just now.
    """
    with open_file(root, relative) as file, translated(root, relative):
        size = os.fstat(file.fileno()).st_size
        content = file.read(limit + 1) if size <= limit else b""
    if max(size, len(content)) > limit:
        raise too_big(relative, max(size, len(content)), limit)
    if len(content) < size:
        raise FileUnreadable(f"{printable(relative)} ended after {len(content)} of its {size} bytes.")
    return content
