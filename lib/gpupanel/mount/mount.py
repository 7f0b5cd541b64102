"""Read bundles and item documents from the mount.

Only this room opens files there (docs/CONTRACT.md, 4. Mount and bundle).

A missing or unsafe file is a fact about a bundle or an item. An unavailable mount is never taken for a missing file:
it raises MountUnavailableError, since absence is no instruction (docs/CONTRACT.md, 2.8).
"""

import os
import stat
from collections.abc import Callable, Collection, Iterator
from contextlib import closing
from pathlib import Path
from typing import BinaryIO, NamedTuple

from ..config import MountSettings
from ..errors import (
    BundleIncompleteError, FileUnreadableError, ManifestError, MountUnavailableError, NotFoundError, PanelError,
    PermissionDeniedError, UnsafePathError,
)
from ..models import SYNC_ID
from ..text import escape_unprintable
from .safe_open import (
    ItemFolder, OSErrorTranslation, OpenDirectory, close_on_error, decode_name, open_checked, path_below, read_regular,
)

SENTINEL = ".ready"
DOCUMENT_LIMIT = 7 * 1024 * 1024  # bytes
# Folders that a file system has where no item is; a mount point may have them while the mount is away.
FILE_SYSTEM_FOLDERS = {b"lost+found", b".snapshot", b".snapshots", b".zfs"}
MAX_FIRST_FOLDERS = 100  # of a bundle, so that one with a folder for each item does not take long to check


class Sentinel(NamedTuple):
    """A `.ready` file; `sync_id` is None if its name is not a lowercase UUID."""

    name: str
    sync_id: str | None


class ManifestFile:
    """The open manifest of a bundle; `state` changes with its size and its time."""

    def __init__(self, root: Path, name: str, descriptor: int, limit: int) -> None:
        self._root, self._name, self._descriptor, self._limit = root, name, descriptor, limit
        with close_on_error(descriptor), OSErrorTranslation(root, name):
            found = os.fstat(descriptor)
        self.size, self.state = found.st_size, f"{found.st_size} {found.st_mtime_ns}"

    def read(self) -> bytes:
        """Read the manifest, unparsed. Raises ManifestError, MountUnavailableError."""
        with OSErrorTranslation(self._root, self._name):
            return read_regular(self._descriptor, self._name, self._limit, _manifest_too_big)

    def close(self) -> None:
        os.close(self._descriptor)


class Document(NamedTuple):
    """A JSON document of an item; `name` is its file name."""

    name: str
    content: bytes
    is_source: bool = False


class Mount:
    """The bundles in `sync_dir`, and their items in `assets_dir`."""

    def __init__(self, settings: MountSettings) -> None:
        self.sync_dir, self.assets_dir = settings.sync_dir, settings.assets_dir
        self.settings = settings

    def check_available(self, first_folders: Collection[str] = ()) -> None:
        """Check that both folders are mounted: present and not empty.

        With the first folders of a bundle's items: one of them must hold a folder, or another file system that is
        mounted below assets_dir is away. Raises MountUnavailableError.
        """
        self._check_roots()
        looked_at = sorted(first_folders)[:MAX_FIRST_FOLDERS]
        if looked_at and not any(map(self._holds_folder, looked_at)):
            names = ", ".join(escape_unprintable(name) for name in looked_at[:3])
            more = f" and {len(first_folders) - 3} more" if len(first_folders) > 3 else ""
            found = f"{self.assets_dir} has no folder with items in {names}{more}"
            raise MountUnavailableError(f"The mount is away: {found}.")

    def _check_roots(self) -> None:
        for folder, other in ((self.sync_dir, self.assets_dir), (self.assets_dir, self.sync_dir)):
            with OSErrorTranslation(folder, ""), os.scandir(folder) as entries:
                if all(folder / entry.name == other for entry in entries):
                    raise MountUnavailableError(f"{folder} is empty, or not mounted.")

    def _holds_folder(self, name: str) -> bool:
        try:
            with os.scandir(path_below(self.assets_dir, name)) as entries:
                return any(entry.is_dir() for entry in entries if os.fsencode(entry.name) not in FILE_SYSTEM_FOLDERS)
        except OSError:
            return False

    def list_sentinels(self) -> Iterator[Sentinel]:
        """List all sentinels of sync_dir, in no order. Raises MountUnavailableError."""
        with OSErrorTranslation(self.sync_dir, ""), os.scandir(self.sync_dir) as entries:
            for entry in entries:
                if entry.name.endswith(SENTINEL):
                    yield _sentinel(decode_name(entry.name))

    def has_bundle(self, sync_id: str) -> bool:
        """Return whether the sentinel and the manifest of a bundle exist.

        Raises MountUnavailableError.
        """
        try:
            for name in (f"{sync_id}.ready", f"{sync_id}.json"):
                with OSErrorTranslation(self.sync_dir, name):
                    os.lstat(self.sync_dir / name)
        except (NotFoundError, PermissionDeniedError):
            return False
        return True

    def read_manifest(self, sync_id: str) -> bytes:
        """Read the manifest of a bundle, unparsed.

        Raises:
            ManifestError: the manifest exceeds the limit.
            BundleIncompleteError, UnsafePathError, MountUnavailableError
        """
        with closing(self.open_manifest(sync_id)) as manifest:
            return manifest.read()

    def open_manifest(self, sync_id: str) -> ManifestFile:
        """Open the manifest of a bundle.

        Raises:
            BundleIncompleteError: a file is missing or may not be read; the message names it.
            UnsafePathError, MountUnavailableError
        """
        if not SYNC_ID.fullmatch(sync_id):
            raise UnsafePathError(f"{sync_id!r} is not a lowercase UUID, so no bundle has that name.")
        try:
            with OSErrorTranslation(self.sync_dir, f"{sync_id}.ready"):
                os.lstat(path_below(self.sync_dir, f"{sync_id}.ready"))
            name = f"{sync_id}.json"
            opened = open_checked(self.sync_dir, name, stat.S_ISREG)
            return ManifestFile(self.sync_dir, name, opened, self.settings.manifest_limit)
        except (NotFoundError, PermissionDeniedError) as missing:
            raise BundleIncompleteError(str(missing)) from None

    def check_item(self, path: str, check_files: Callable[[ItemFolder], object] = lambda folder: None) -> str | None:
        """Return why an item's documents cannot be read; if they can, call `check_files` and return None.

        Raises MountUnavailableError.
        """
        try:
            folder = self.open_item(path)
        except (NotFoundError, UnsafePathError) as problem:
            return str(problem)
        with folder:
            try:
                folder.check_document("source/source.json")
            except UnsafePathError as unsafe:
                return str(unsafe)
            except NotFoundError as missing:
                self.check_available()
                return str(missing)
            check_files(folder)
        return None

    def open_item(self, path: str) -> ItemFolder:
        """Open the folder of an item. Raises NotFoundError, UnsafePathError, MountUnavailableError."""
        try:
            return ItemFolder(self.assets_dir, path)
        except NotFoundError:
            self.check_available()
            raise NotFoundError(f"The folder {escape_unprintable(path)} is not on the mount.") from None

    def read_documents(self, item: ItemFolder) -> Iterator[Document]:
        """Read source/source.json of an item, then source/data/*.json by name.

        Raises:
            NotFoundError: there is no source.json.
            PanelError: a document exceeds DOCUMENT_LIMIT bytes.
            UnsafePathError, MountUnavailableError
        """
        try:
            with _open_source(item) as source:
                yield Document("source.json", _document(source, "source.json"), is_source=True)
                if "data" not in source.names:
                    return
                with _listed_folder(source, "data") as data:
                    for name in _json_files(data):
                        yield Document(name, _document(data, name))
        except NotFoundError:
            self.check_available()
            raise

    def open(self, relative_path: str) -> BinaryIO:
        """Open a regular file under assets_dir for reading.

        Raises NotFoundError, UnsafePathError, MountUnavailableError.
        """
        return os.fdopen(open_checked(self.assets_dir, relative_path, stat.S_ISREG), "rb")


def _open_source(item: ItemFolder) -> OpenDirectory:
    """Open the source/ of an item; what is missing is named as `check_item` names it."""
    try:
        return item.open_directory("source")
    except NotFoundError:
        name = escape_unprintable(f"{item.relative}/source/source.json")
        raise NotFoundError(f"{name} is not on the mount.") from None


def _document(folder: OpenDirectory, name: str) -> bytes:
    return folder.read(name, DOCUMENT_LIMIT, _document_too_big)


def _listed_folder(folder: OpenDirectory, name: str) -> OpenDirectory:
    """Open a listed folder; if it is not found, its content is unknown."""
    try:
        return folder.open_directory(name)
    except NotFoundError:
        path = escape_unprintable(folder.relative_path(name))
        raise FileUnreadableError(f"{path} is listed, but cannot be found.") from None


def _json_files(folder: OpenDirectory) -> list[str]:
    """The names of its *.json files, sorted, without hidden ones."""
    return sorted(
        _utf8(folder, name) for name in folder.names if name.endswith(".json") and not name.startswith(".")
    )


def _sentinel(name: str) -> Sentinel:
    stem = name.removesuffix(SENTINEL)
    return Sentinel(name, stem) if SYNC_ID.fullmatch(stem) else Sentinel(escape_unprintable(name), None)


def _utf8(folder: OpenDirectory, name: str) -> str:
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        path = escape_unprintable(folder.relative_path(name))
        raise UnsafePathError(f"{path} has a name that is not UTF-8.") from None
    return name


def _manifest_too_big(name: str, size: int, limit: int) -> PanelError:
    problem = f"manifest: found {size} bytes, expected at most {limit}"
    return ManifestError(f"{name} is too big to be read", [problem])


def _document_too_big(name: str, size: int, limit: int) -> PanelError:
    return PanelError(f"{escape_unprintable(name)} has {size} bytes, more than the {limit} that a document may have.")
