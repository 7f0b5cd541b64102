"""Opening what lies under a root, and nothing else: checked after it was opened, read only (docs/CONTRACT.md, 4).

Each look-up of a name is a question to the mount, and may take long. What a listing calls a regular file or a folder is
therefore opened in one step, by its name in the folder that is open already; anything else goes the careful way.
"""

import os
import stat
from errno import EACCES, ELOOP, ENAMETOOLONG, ENOENT, ENOTDIR
from pathlib import Path

from ..errors import FileUnreadable, MountUnavailable, NotFound, NotPermitted, PanelError, UnsafePath

READ_ONLY = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
KINDS = {
    stat.S_IFDIR: "a folder", stat.S_IFIFO: "a FIFO", stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a character device", stat.S_IFBLK: "a block device",
}
REFUSED = {
    ELOOP: "runs in circles through symbolic links", ENAMETOOLONG: "is longer than the file system allows",
}


def open_checked(root: Path, relative: str, wanted) -> int:
    """A descriptor of the file or folder `relative` under `root`, checked before it is opened for reading.

    The checks look at what was found, not at the path, so that nothing can be exchanged in between. Finding opens
    nothing: a FIFO would wait for its writer, and a device may act on being opened.
    """
    _require_inside(relative)
    with translated(root, relative):
        found = os.open(root / relative, os.O_PATH | os.O_CLOEXEC)
        try:
            _check(found, root, relative, wanted)
            return os.open(f"/proc/self/fd/{found}", READ_ONLY)
        finally:
            os.close(found)


class Folder:
    """A folder under `root` that is held open by `descriptor`; `names` maps what it lists to "file", "folder" or "other".

    Its methods raise NotFound, UnsafePath and MountUnavailable.
    """

    def __init__(self, root: Path, relative: str, descriptor: int):
        self._root, self._relative, self._descriptor = root, relative, descriptor
        with _closed_on_error(descriptor):
            self.names = self._listed()

    def __enter__(self) -> "Folder":
        return self

    def __exit__(self, *exc) -> None:
        os.close(self._descriptor)

    def place(self, name: str) -> str:
        """The path of a member, relative to the root."""
        return f"{self._relative}/{name}"

    def folder(self, name: str) -> "Folder":
        """A folder in it."""
        if self.names.get(name) == "folder":
            return Folder(self._root, self.place(name), self._open(name, os.O_DIRECTORY))
        return Folder(self._root, self.place(name), open_checked(self._root, self.place(name), stat.S_ISDIR))

    def open(self, name: str) -> int:
        """A descriptor of a regular file in it."""
        if self.names.get(name) != "file":
            return open_checked(self._root, self.place(name), stat.S_ISREG)
        descriptor = self._open(name, 0)
        with _closed_on_error(descriptor):
            _require(os.fstat(descriptor).st_mode, self.place(name), stat.S_ISREG)
        return descriptor

    def _open(self, name: str, flags: int) -> int:
        """What was listed under this name; a link that took its place meanwhile is not followed."""
        with translated(self._root, self.place(name)):
            return os.open(name, READ_ONLY | os.O_NOFOLLOW | flags, dir_fd=self._descriptor)

    def _listed(self) -> dict[str, str]:
        with translated(self._root, self._relative), os.scandir(self._descriptor) as entries:
            return {entry.name: _kind(entry) for entry in entries}


def _kind(entry: os.DirEntry) -> str:
    if entry.is_file(follow_symlinks=False):
        return "file"
    return "folder" if entry.is_dir(follow_symlinks=False) else "other"


def open_folder(root: Path, relative: str) -> Folder:
    """A folder under `root`. It is opened at once: nothing but a folder would be, and to a folder it does nothing.

    Raises NotFound, UnsafePath, MountUnavailable.
    """
    _require_inside(relative)
    with translated(root, relative):
        descriptor = os.open(f"{root}/{relative}", READ_ONLY | os.O_DIRECTORY)
        with _closed_on_error(descriptor):
            _check(descriptor, root, relative, stat.S_ISDIR)
    return Folder(root, relative, descriptor)


class _closed_on_error:
    """What was opened does not stay open when its check fails."""

    __slots__ = ("_descriptor",)

    def __init__(self, descriptor: int):
        self._descriptor = descriptor

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind, error, trace) -> None:
        if error is not None:
            os.close(self._descriptor)


def _require_inside(relative: str) -> None:
    if relative.startswith("/") or ".." in relative.split("/"):
        raise UnsafePath(f"{printable(relative)} leads out of the mount.")


def _check(descriptor: int, root: Path, relative: str, wanted) -> None:
    opened = os.readlink(f"/proc/self/fd/{descriptor}")
    # What the kernel tells has no links in it, so that a root in its own words needs no look where it really is.
    if not opened.startswith(f"{root}/") and not opened.startswith(_resolved(root).rstrip("/") + "/"):
        raise UnsafePath(f"{printable(relative)} leads out of the mount, to {printable(opened)}.")
    _require(os.fstat(descriptor).st_mode, relative, wanted)


def _require(mode: int, relative: str, wanted) -> None:
    if not wanted(mode):
        kind = KINDS.get(stat.S_IFMT(mode), "a regular file")
        expected = "a folder" if wanted is stat.S_ISDIR else "a regular file"
        raise UnsafePath(f"{printable(relative)} is {kind}, expected {expected}.")


def _resolved(root: Path) -> str:
    """Where `root` really is, asked of the kernel, which is many times quicker than walking its links ourselves.

    A root that is not there says nothing about what lies under it. Raises MountUnavailable.
    """
    with translated(root, ""):
        descriptor = os.open(root, os.O_PATH | os.O_CLOEXEC)
        try:
            return os.readlink(f"/proc/self/fd/{descriptor}")
        finally:
            os.close(descriptor)


class translated:
    """Tell apart what is a fact about `relative` from a mount that cannot be read; "" is the root itself."""

    __slots__ = ("_root", "_relative")

    def __init__(self, root: Path, relative: str):
        self._root, self._relative = root, relative

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind, error, trace) -> None:
        if isinstance(error, OSError):
            raise _meaning(self._root, self._relative, error) from None
        if isinstance(error, ValueError):
            raise UnsafePath(f"{printable(self._relative)} cannot be the path of a file.") from None


def _meaning(root: Path, relative: str, error: OSError) -> PanelError:
    if relative and error.errno in REFUSED:
        return UnsafePath(f"{printable(relative)} {REFUSED[error.errno]}.")
    if relative and error.errno in (ENOENT, ENOTDIR) and _present(root):
        return NotFound(f"{printable(relative)} is not on the mount.")
    if relative and error.errno == EACCES and _present(root):
        return NotPermitted(f"{printable(relative)} may not be read by this account: {error.strerror}.")
    kind = FileUnreadable if relative and _present(root) else MountUnavailable
    return kind(f"{printable(str(root / relative))} cannot be read: {error.strerror}.")


def _present(root: Path) -> bool:
    """Whether the mount is there: an unmounted one leaves no folder, or an empty one."""
    try:
        with os.scandir(root) as entries:
            return next(entries, None) is not None
    except OSError:
        return False


def printable(name: str) -> str:
    """A file's name as text that can be stored and shown: what is invisible or not UTF-8 is spelled out."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in name)
