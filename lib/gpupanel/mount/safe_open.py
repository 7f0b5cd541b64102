"""Open files below a root, read-only, safe against symlinks and races.

Each name look-up is a round trip to the mount and may take long. A regular file or folder that a listing shows is
therefore opened in one step, relative to the open folder; any other path is opened in two steps, with all checks.

Names on the mount are UTF-8, whatever the locale of the process is: they are encoded and decoded here.
"""

import os
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from errno import EACCES, ELOOP, ENAMETOOLONG, ENOENT, ENOTDIR
from pathlib import Path

from ..errors import (
    FileUnreadableError, MountUnavailableError, NotFoundError, PanelError, PermissionDeniedError, UnsafePathError,
)
from ..text import escape_unprintable

IsKind = Callable[[int], bool]  # stat.S_ISREG or stat.S_ISDIR
TooBig = Callable[[str, int, int], PanelError]  # (name, size, limit) -> the error for a file that is too big
BLOCK = 1024 * 1024  # bytes of one read
ON_PATH = os.O_PATH | os.O_CLOEXEC
# The locale's encoding, in which Python returns the names of an open folder.
IS_UTF8 = sys.getfilesystemencoding().lower() in ("utf-8", "utf8")
READ_ONLY = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
KINDS = {
    stat.S_IFDIR: "a folder", stat.S_IFIFO: "a FIFO", stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a character device", stat.S_IFBLK: "a block device",
}
REFUSED = {
    ELOOP: "runs in circles through symbolic links", ENAMETOOLONG: "is longer than the file system allows",
}


def open_checked(root: Path, relative: str, wanted: IsKind) -> int:
    """Open `relative` under `root` for reading; return its descriptor.

    The checks apply to an O_PATH descriptor rather than to the path, so nothing can be swapped between check and open.
    O_PATH does not open the file: a FIFO would wait for its writer, and a device may act on being opened.
    """
    _require_inside(relative)
    with OSErrorTranslation(root, relative):
        located = os.open(path_below(root, relative), ON_PATH)
        try:
            _check(located, root, relative, wanted)
            return os.open(f"/proc/self/fd/{located}", READ_ONLY)
        finally:
            os.close(located)


def path_below(root: Path, relative: str) -> bytes:
    """The path of a file below `root`, as bytes."""
    return b"%b/%b" % (os.fsencode(root), encode_name(relative))


def encode_name(name: str) -> bytes:
    """Encode a name of the mount; a surrogate stands for a byte that is not UTF-8."""
    return name.encode("utf-8", "surrogateescape")


def decode_name(name: str) -> str:
    """Return a name of the mount, which Python decoded by the locale, decoded as UTF-8."""
    return name if IS_UTF8 else os.fsencode(name).decode("utf-8", "surrogateescape")


class OpenDirectory:
    """An open folder; `names` maps entries to "file", "folder" or "other".

    Its methods raise NotFoundError, UnsafePathError and MountUnavailableError.
    """

    def __init__(self, root: Path, relative: str, descriptor: int) -> None:
        self._root, self._relative, self._descriptor = root, relative, descriptor
        with close_on_error(descriptor):
            self.names = self._listed()

    def __enter__(self) -> "OpenDirectory":
        return self

    def __exit__(self, *exc: object) -> None:
        os.close(self._descriptor)

    def relative_path(self, name: str) -> str:
        """The path of an entry, relative to the root."""
        return f"{self._relative}/{name}"

    def open_directory(self, name: str) -> "OpenDirectory":
        """Open a folder in it."""
        path = self.relative_path(name)
        with OSErrorTranslation(self._root, path):
            is_listed = self.names.get(name) == "folder"
            descriptor = (
                _open_in(self._descriptor, name, os.O_DIRECTORY) if is_listed
                else open_checked(self._root, path, stat.S_ISDIR)
            )
        return OpenDirectory(self._root, path, descriptor)

    def read(self, name: str, limit: int, too_big: TooBig) -> bytes:
        """Read a regular file in it, of at most `limit` bytes."""
        path = self.relative_path(name)
        with OSErrorTranslation(self._root, path):
            is_listed = self.names.get(name) == "file"
            descriptor = (
                _open_in(self._descriptor, name, 0) if is_listed else open_checked(self._root, path, stat.S_ISREG)
            )
            try:
                return read_regular(descriptor, path, limit, too_big)
            finally:
                os.close(descriptor)

    def _listed(self) -> dict[str, str]:
        with OSErrorTranslation(self._root, self._relative), os.scandir(self._descriptor) as entries:
            return {decode_name(entry.name): _kind(entry) for entry in entries}


def _kind(entry: "os.DirEntry[str]") -> str:
    if entry.is_file(follow_symlinks=False):
        return "file"
    return "folder" if entry.is_dir(follow_symlinks=False) else "other"


def read_regular(descriptor: int, relative: str, limit: int, too_big: TooBig) -> bytes:
    """Read an open file of at most `limit` bytes; raise UnsafePathError if it is no regular file.

    A file that ends before its size is not taken for a shorter one: the mount fails, or the file is being replaced.
    """
    found = os.fstat(descriptor)
    _require(found.st_mode, relative, stat.S_ISREG)
    size = found.st_size
    content = _read(descriptor, size, limit) if size <= limit else b""
    if max(size, len(content)) > limit:
        raise too_big(relative, max(size, len(content)), limit)
    if len(content) < size:
        raise FileUnreadableError(f"{escape_unprintable(relative)} ended after {len(content)} of its {size} bytes.")
    return content


def _read(descriptor: int, size: int, limit: int) -> bytes:
    """Read up to `limit` + 1 bytes, nearly always in one call."""
    content = os.read(descriptor, size + 1)
    if len(content) == size:
        return content
    parts, left = [content], limit + 1 - len(content)
    while left and (part := os.read(descriptor, min(left, BLOCK))):
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


def _open_in(folder: int, name: str, flags: int) -> int:
    """Open an entry of an open folder, following no symlink."""
    return os.open(encode_name(name), READ_ONLY | os.O_NOFOLLOW | flags, dir_fd=folder)


def _open_folder(root: Path, relative: str) -> int:
    """Open a folder in one step, since that has no side effect, then check where it is."""
    _require_inside(relative)
    with OSErrorTranslation(root, relative):
        descriptor = os.open(path_below(root, relative), READ_ONLY | os.O_DIRECTORY)
        with close_on_error(descriptor):
            _require_below(descriptor, root, relative)
    return descriptor


class ItemFolder:
    """The open folder of an item, whose files are looked up one by one.

    It is not listed, since an item has few files and its folder may have many. The constructor and the methods raise
    NotFoundError, UnsafePathError and MountUnavailableError.
    """

    def __init__(self, root: Path, relative: str) -> None:
        self._root, self.relative = root, relative
        self._descriptor = _open_folder(root, relative)

    def __enter__(self) -> "ItemFolder":
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the folder."""
        os.close(self._descriptor)

    def open_directory(self, name: str) -> OpenDirectory:
        """Open a folder in it; a symlink, which may lead anywhere on the mount, takes a second step."""
        path = self._path(name)
        try:
            descriptor = _open_in(self._descriptor, name, os.O_DIRECTORY)
        except OSError:
            descriptor = _open_folder(self._root, path)
        return OpenDirectory(self._root, path, descriptor)

    def size(self, name: str) -> int:
        """The size of a regular file in it, in nearly all cases by one look-up."""
        with self._errors_of(name):
            if "/" not in name:
                found = os.stat(encode_name(name), dir_fd=self._descriptor, follow_symlinks=False)
                if not stat.S_ISLNK(found.st_mode):
                    _require(found.st_mode, self._path(name), stat.S_ISREG)
                    return found.st_size
            with self._located(name) as located:
                return os.fstat(located).st_size

    def open(self, name: str) -> int:
        """Open a regular file in it for reading; return its descriptor."""
        with self._errors_of(name), self._located(name) as located:
            return os.open(f"/proc/self/fd/{located}", READ_ONLY)

    def read(self, descriptor: int, name: str, most: int) -> bytes:
        """Read the next bytes of an open file in it, at most so many."""
        with self._errors_of(name):
            return os.read(descriptor, most)

    def check_document(self, name: str) -> None:
        """Check that a document can be opened; as for all documents, a symlink may lead anywhere on the mount."""
        with self._errors_of(name), self._located(name, anywhere=True) as located:
            os.close(os.open(f"/proc/self/fd/{located}", READ_ONLY))

    @contextmanager
    def _located(self, name: str, *, anywhere: bool = False) -> Iterator[int]:
        """Yield an O_PATH descriptor of a regular file in the folder, or `anywhere` on the mount."""
        _require_inside(name)
        located = os.open(encode_name(name), ON_PATH, dir_fd=self._descriptor)
        try:
            if not anywhere and not _location(located).startswith(_location(self._descriptor) + b"/"):
                raise UnsafePathError(f"{escape_unprintable(self._path(name))} leads out of the folder of its item.")
            _check(located, self._root, self._path(name), stat.S_ISREG)
            yield located
        finally:
            os.close(located)

    def _path(self, name: str) -> str:
        return f"{self.relative}/{name}"

    def _errors_of(self, name: str) -> "OSErrorTranslation":
        return OSErrorTranslation(self._root, self._path(name))


class close_on_error:  # noqa: N801  # named as a context
    """Context that closes the descriptor if its block fails; a class, since an import enters three an item."""

    __slots__ = ("_descriptor",)

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is not None:
            os.close(self._descriptor)


def _require_inside(relative: str) -> None:
    if relative.startswith("/") or ".." in relative.split("/"):
        raise UnsafePathError(f"{escape_unprintable(relative)} leads out of the mount.")


def _check(descriptor: int, root: Path, relative: str, wanted: IsKind) -> None:
    _require_below(descriptor, root, relative)
    _require(os.fstat(descriptor).st_mode, relative, wanted)


def _require_below(descriptor: int, root: Path, relative: str) -> None:
    opened = _location(descriptor)
    # The kernel reports a path without symlinks; only a root with symlinks needs to be resolved for the comparison.
    if not opened.startswith(os.fsencode(root) + b"/") and not opened.startswith(_resolved(root).rstrip(b"/") + b"/"):
        path = opened.decode("utf-8", "surrogateescape")
        raise UnsafePathError(f"{escape_unprintable(relative)} leads out of the mount, to {escape_unprintable(path)}.")


def _require(mode: int, relative: str, wanted: IsKind) -> None:
    if not wanted(mode):
        kind = KINDS.get(stat.S_IFMT(mode), "a regular file")
        expected = "a folder" if wanted is stat.S_ISDIR else "a regular file"
        raise UnsafePathError(f"{escape_unprintable(relative)} is {kind}, expected {expected}.")


def _resolved(root: Path) -> bytes:
    """Resolve the symlinks of `root` in the kernel, faster than realpath.

    Raises MountUnavailableError if the root is missing, since that says nothing about the files below it.
    """
    with OSErrorTranslation(root, ""):
        descriptor = os.open(root, ON_PATH)
        try:
            return _location(descriptor)
        finally:
            os.close(descriptor)


def _location(descriptor: int) -> bytes:
    """The path of an open file without symlinks, as the kernel reports it."""
    return os.readlink(b"/proc/self/fd/%d" % descriptor)


class OSErrorTranslation:
    """Context in which an OSError becomes a fact about `relative`, or MountUnavailableError.

    A class, since an import enters some ten of these contexts an item and a generator takes three times as long.
    """

    __slots__ = ("_relative", "_root")

    def __init__(self, root: Path, relative: str) -> None:
        self._root, self._relative = root, relative

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is None:
            return
        if isinstance(error, OSError):
            raise _meaning(self._root, self._relative, error) from None
        if isinstance(error, ValueError):
            path = escape_unprintable(self._relative)
            raise UnsafePathError(f"{path} cannot be the path of a file.") from None


def _meaning(root: Path, relative: str, error: OSError) -> PanelError:
    if relative and error.errno in REFUSED:
        return UnsafePathError(f"{escape_unprintable(relative)} {REFUSED[error.errno]}.")
    if relative and error.errno in (ENOENT, ENOTDIR) and _present(root):
        return NotFoundError(f"{escape_unprintable(relative)} is not on the mount.")
    if relative and error.errno == EACCES and _present(root):
        path = escape_unprintable(relative)
        return PermissionDeniedError(f"{path} may not be read by this account: {error.strerror}.")
    kind = FileUnreadableError if relative and _present(root) else MountUnavailableError
    path = escape_unprintable(f"{root}/{relative}" if relative else str(root))
    return kind(f"{path} cannot be read: {error.strerror}.")


def _present(root: Path) -> bool:
    """Whether the mount is mounted: otherwise its folder is missing or empty."""
    try:
        with os.scandir(root) as entries:
            return next(entries, None) is not None
    except OSError:
        return False
