"""Open files below a root, read-only, safe against symlinks and races.

Each name look-up is a round trip to the mount and may take long. A regular file or folder that a listing shows is
therefore opened in one step, relative to the open folder; any other path is opened in two steps, with all checks.
"""

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from errno import EACCES, ELOOP, ENAMETOOLONG, ENOENT, ENOTDIR
from pathlib import Path

from ..errors import (
    FileUnreadableError, MountUnavailableError, NotFoundError, PanelError, PermissionDeniedError, UnsafePathError,
)
from ..text import escape_unprintable

IsKind = Callable[[int], bool]  # stat.S_ISREG or stat.S_ISDIR
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
    with translate_os_errors(root, relative):
        located = os.open(root / relative, os.O_PATH | os.O_CLOEXEC)
        try:
            _check(located, root, relative, wanted)
            return os.open(f"/proc/self/fd/{located}", READ_ONLY)
        finally:
            os.close(located)


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
        if self.names.get(name) == "folder":
            return OpenDirectory(self._root, self.relative_path(name), self._open(name, os.O_DIRECTORY))
        return OpenDirectory(self._root, self.relative_path(name), open_checked(self._root, self.relative_path(name), stat.S_ISDIR))

    def open(self, name: str) -> int:
        """Open a regular file in it; return its descriptor."""
        if self.names.get(name) != "file":
            return open_checked(self._root, self.relative_path(name), stat.S_ISREG)
        descriptor = self._open(name, 0)
        with close_on_error(descriptor):
            _require(os.fstat(descriptor).st_mode, self.relative_path(name), stat.S_ISREG)
        return descriptor

    def _open(self, name: str, flags: int) -> int:
        """Open a listed entry, following no symlink that has replaced it."""
        with translate_os_errors(self._root, self.relative_path(name)):
            return os.open(name, READ_ONLY | os.O_NOFOLLOW | flags, dir_fd=self._descriptor)

    def _listed(self) -> dict[str, str]:
        with translate_os_errors(self._root, self._relative), os.scandir(self._descriptor) as entries:
            return {entry.name: _kind(entry) for entry in entries}


def _kind(entry: "os.DirEntry[str]") -> str:
    if entry.is_file(follow_symlinks=False):
        return "file"
    return "folder" if entry.is_dir(follow_symlinks=False) else "other"


def open_directory(root: Path, relative: str) -> OpenDirectory:
    """Open a folder under `root` in one step, since that has no side effect.

    Raises NotFoundError, UnsafePathError, MountUnavailableError.
    """
    _require_inside(relative)
    with translate_os_errors(root, relative):
        descriptor = os.open(f"{root}/{relative}", READ_ONLY | os.O_DIRECTORY)
        with close_on_error(descriptor):
            _check(descriptor, root, relative, stat.S_ISDIR)
    return OpenDirectory(root, relative, descriptor)


@contextmanager
def close_on_error(descriptor: int) -> Iterator[None]:
    """Close the descriptor if the block fails."""
    try:
        yield
    except BaseException:
        os.close(descriptor)
        raise


def _require_inside(relative: str) -> None:
    if relative.startswith("/") or ".." in relative.split("/"):
        raise UnsafePathError(f"{escape_unprintable(relative)} leads out of the mount.")


def _check(descriptor: int, root: Path, relative: str, wanted: IsKind) -> None:
    opened = os.readlink(f"/proc/self/fd/{descriptor}")
    # The kernel reports a path without symlinks; only a root with symlinks needs to be resolved for the comparison.
    if not opened.startswith(f"{root}/") and not opened.startswith(_resolved(root).rstrip("/") + "/"):
        raise UnsafePathError(f"{escape_unprintable(relative)} leads out of the mount, to {escape_unprintable(opened)}.")
    _require(os.fstat(descriptor).st_mode, relative, wanted)


def _require(mode: int, relative: str, wanted: IsKind) -> None:
    if not wanted(mode):
        kind = KINDS.get(stat.S_IFMT(mode), "a regular file")
        expected = "a folder" if wanted is stat.S_ISDIR else "a regular file"
        raise UnsafePathError(f"{escape_unprintable(relative)} is {kind}, expected {expected}.")


def _resolved(root: Path) -> str:
    """Resolve the symlinks of `root` in the kernel, faster than realpath.

    Raises MountUnavailableError if the root is missing, since that says nothing about the files below it.
    """
    with translate_os_errors(root, ""):
        descriptor = os.open(root, os.O_PATH | os.O_CLOEXEC)
        try:
            return os.readlink(f"/proc/self/fd/{descriptor}")
        finally:
            os.close(descriptor)


@contextmanager
def translate_os_errors(root: Path, relative: str) -> Iterator[None]:
    """Translate OSError to a fact about `relative`, or MountUnavailableError."""
    try:
        yield
    except OSError as error:
        raise _meaning(root, relative, error) from None
    except ValueError:
        raise UnsafePathError(f"{escape_unprintable(relative)} cannot be the path of a file.") from None


def _meaning(root: Path, relative: str, error: OSError) -> PanelError:
    if relative and error.errno in REFUSED:
        return UnsafePathError(f"{escape_unprintable(relative)} {REFUSED[error.errno]}.")
    if relative and error.errno in (ENOENT, ENOTDIR) and _present(root):
        return NotFoundError(f"{escape_unprintable(relative)} is not on the mount.")
    if relative and error.errno == EACCES and _present(root):
        return PermissionDeniedError(f"{escape_unprintable(relative)} may not be read by this account: {error.strerror}.")
    kind = FileUnreadableError if relative and _present(root) else MountUnavailableError
    return kind(f"{escape_unprintable(str(root / relative))} cannot be read: {error.strerror}.")


def _present(root: Path) -> bool:
    """Whether the mount is mounted: otherwise its folder is missing or empty."""
    try:
        with os.scandir(root) as entries:
            return next(entries, None) is not None
    except OSError:
        return False
