"""The read-only view of the sync mount; the only code that opens files there (DESIGN sections 3 and 4).

What is missing or unsafe is a fact about a bundle or an item. A mount that does not answer, or whose root is gone, is
never taken for that: it raises MountUnavailable, so that absence is no instruction (DESIGN section 2, promise 8).
"""

import os
import re
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from errno import ELOOP, ENAMETOOLONG, ENOENT, ENOTDIR, ENXIO
from pathlib import Path
from queue import Empty, Queue
from threading import Event, Thread
from time import monotonic
from typing import Any, BinaryIO, NamedTuple

from .config import MountSettings
from .errors import BundleIncomplete, ManifestError, MountTimeout, MountUnavailable, NotFound, PanelError, UnsafePath

DOCUMENT_LIMIT = 7 * 1024 * 1024
SYNC_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
READ_ONLY = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
KINDS = {
    stat.S_IFDIR: "a folder", stat.S_IFIFO: "a FIFO", stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a character device", stat.S_IFBLK: "a block device",
}
REFUSED = {
    ELOOP: "runs in circles through symbolic links", ENAMETOOLONG: "is longer than the file system allows",
    ENXIO: "is a socket or a device without a driver, expected a regular file",
}


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

    def sentinels(self) -> Iterator[Sentinel]:
        """Every sentinel of sync_dir in no order, by listing alone. Raises MountUnavailable."""
        with _translated(self.sync_dir, ""), os.scandir(self.sync_dir) as entries:
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
            with _translated(self.sync_dir, f"{sync_id}.ready"):
                os.lstat(self.sync_dir / f"{sync_id}.ready")
            return _content(self.sync_dir, f"{sync_id}.json", self.manifest_limit, _manifest_too_big)
        except NotFound as missing:
            raise BundleIncomplete(str(missing)) from None

    def check_item(self, path: str) -> str | None:
        """Why the documents of the item in folder `path` cannot be read, in a sentence; None when they can.

        Raises MountUnavailable.
        """
        try:
            self.open(f"{path}/source/source.json").close()
        except NotFound as missing:
            return str(missing) if self._has_folder(path) else f"The folder {path} is not on the mount."
        except UnsafePath as unsafe:
            return str(unsafe)
        return None

    def documents(self, path: str) -> Iterator[Document]:
        """The documents of the item in folder `path`: source/source.json, then source/data/*.json by name.

        Raises NotFound without a source.json, PanelError for one over DOCUMENT_LIMIT bytes, UnsafePath,
        MountUnavailable.
        """
        yield Document("source.json", self._document(f"{path}/source/source.json"), is_source=True)
        for name in self._names(f"{path}/source/data"):
            yield Document(name, self._document(f"{path}/source/data/{name}"))

    def open(self, relative_path: str) -> BinaryIO:
        """A regular file under assets_dir, opened for reading. Raises NotFound, UnsafePath, MountUnavailable."""
        return _open(self.assets_dir, relative_path)

    def _document(self, relative_path: str) -> bytes:
        return _content(self.assets_dir, relative_path, DOCUMENT_LIMIT, _document_too_big)

    def _has_folder(self, path: str) -> bool:
        try:
            os.close(_descriptor(self.assets_dir, path, stat.S_ISDIR))
        except (NotFound, UnsafePath):
            return False
        return True

    def _names(self, folder: str) -> list[str]:
        """The names of the *.json files in `folder`, sorted; hidden ones are left out, a missing folder has none."""
        try:
            descriptor = _descriptor(self.assets_dir, folder, stat.S_ISDIR)
        except NotFound:
            return []
        try:
            with _translated(self.assets_dir, folder):
                names = os.listdir(descriptor)
        finally:
            os.close(descriptor)
        return sorted(_utf8(folder, name) for name in names if name.endswith(".json") and not name.startswith("."))


def _sentinel(name: str) -> Sentinel:
    stem = name.removesuffix(".ready")
    return Sentinel(_printable(name), stem if SYNC_ID.fullmatch(stem) else None)


def _printable(name: str) -> str:
    """A file's name as text that can be stored, even when its bytes are not UTF-8."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def _utf8(folder: str, name: str) -> str:
    if name != _printable(name):
        raise UnsafePath(f"{folder}/{_printable(name)} has a name that is not UTF-8.")
    return name


def _manifest_too_big(name: str, size: int, limit: int) -> PanelError:
    problem = f"manifest: found {size} bytes, expected at most {limit}"
    return ManifestError(f"{name} is too big to be read", [problem])


def _document_too_big(name: str, size: int, limit: int) -> PanelError:
    return PanelError(f"{name} has {size} bytes, more than the {limit} that a document may have.")


def _content(root: Path, relative: str, limit: int, too_big) -> bytes:
    """The bytes of a regular file under `root`; `too_big(relative, size, limit)` makes the error of a bigger one."""
    with _open(root, relative) as file, _translated(root, relative):
        size = os.fstat(file.fileno()).st_size
        content = file.read(limit + 1) if size <= limit else b""
    if max(size, len(content)) > limit:
        raise too_big(relative, max(size, len(content)), limit)
    return content


def _open(root: Path, relative: str) -> BinaryIO:
    return os.fdopen(_descriptor(root, relative, stat.S_ISREG), "rb")


def _descriptor(root: Path, relative: str, wanted) -> int:
    """A descriptor of the file or folder `relative` under `root`, checked after it was opened.

    The checks look at what was opened, not at the path, so that nothing can be exchanged in between. Opening must not
    block: a FIFO would wait for its writer.
    """
    if relative.startswith("/") or ".." in relative.split("/"):
        raise UnsafePath(f"{_printable(relative)} leads out of the mount.")
    with _translated(root, relative):
        descriptor = os.open(root / relative, READ_ONLY)
        try:
            _check(descriptor, root, relative, wanted)
        except BaseException:
            os.close(descriptor)
            raise
    return descriptor


def _check(descriptor: int, root: Path, relative: str, wanted) -> None:
    opened = os.readlink(f"/proc/self/fd/{descriptor}")
    if not opened.startswith(os.path.realpath(root, strict=True).rstrip("/") + "/"):
        raise UnsafePath(f"{relative} leads out of the mount, to {_printable(opened)}.")
    mode = os.fstat(descriptor).st_mode
    if not wanted(mode):
        kind = KINDS.get(stat.S_IFMT(mode), "a regular file")
        raise UnsafePath(f"{relative} is {kind}, expected {'a folder' if wanted is stat.S_ISDIR else 'a regular file'}.")


@contextmanager
def _translated(root: Path, relative: str) -> Iterator[None]:
    """Tell apart what is a fact about `relative` from a mount that cannot be read; "" is the root itself."""
    try:
        yield
    except OSError as error:
        if relative and error.errno in REFUSED:
            raise UnsafePath(f"{relative} {REFUSED[error.errno]}.") from None
        if relative and error.errno in (ENOENT, ENOTDIR) and _present(root):
            raise NotFound(f"{relative} is not on the mount.") from None
        raise MountUnavailable(f"{root / relative} cannot be read: {error.strerror}.") from None
    except ValueError:
        raise UnsafePath(f"{ascii(relative)} cannot be the path of a file.") from None


def _present(root: Path) -> bool:
    """Whether the mount is there: an unmounted one leaves no folder, or an empty one."""
    try:
        with os.scandir(root) as entries:
            return next(entries, None) is not None
    except OSError:
        return False


def bounded(iterable: Iterable[Any], seconds: float | None) -> Iterator[Any]:
    """The items of `iterable`, which reads the mount, for at most `seconds`; then MountTimeout. None sets no bound.

    A daemon thread reads ahead by a few items. When the time is over while it hangs in a system call, it is abandoned;
    otherwise it stops at its next item. What it raises is raised here.
    """
    if seconds is None:
        yield from iterable
        return
    deadline, handed, given_up = monotonic() + seconds, Queue(maxsize=16), Event()
    Thread(target=_hand_over, args=(iterable, handed, given_up), name="mount reader", daemon=True).start()
    try:
        while (outcome := _next(handed, deadline, seconds)) is not None:
            yield outcome[0]
    finally:
        given_up.set()
        _drain(handed)


def _hand_over(iterable: Iterable[Any], handed: Queue, given_up: Event) -> None:
    try:
        for item in iterable:
            handed.put(((item,), None))
            if given_up.is_set():
                return
        handed.put((None, None))
    except BaseException as error:
        handed.put((None, error))


def _next(handed: Queue, deadline: float, seconds: float) -> tuple[Any] | None:
    try:
        left = deadline - monotonic()
        item, error = handed.get(timeout=left) if left > 0 else _expired()
    except Empty:
        raise MountTimeout(f"The mount did not answer within {seconds:g} seconds.") from None
    if error is not None:
        raise error
    return item


def _expired():
    raise Empty


def _drain(handed: Queue) -> None:
    """Make room, so that a producer that waits to hand something over wakes up and sees that nobody wants it."""
    while not handed.empty():
        handed.get_nowait()
