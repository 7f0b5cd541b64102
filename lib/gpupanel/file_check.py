"""Check the files of an item against its manifest: present, regular, of the right size, of the right SHA-256.

The preflight checks sizes with the item's documents. The importer checks again before it writes an item
(docs/decisions/0115-files-are-checked.md).
"""

import os
from collections.abc import Callable, Iterator
from hashlib import sha256
from time import sleep
from typing import TypeVar

from .errors import FileUnreadableError, NotFoundError, PermissionDeniedError, UnsafePathError
from .manifest import Derivative, Item
from .manifest.schema import NEVER_PERSISTED
from .models import SHA256, SIZE
from .mount import ItemFolder, Mount
from .text import escape_unprintable, short_hash

MAX_PROBLEMS = 10  # of one item, so that its reason stays readable
BLOCK = 1024 * 1024  # bytes that are hashed between two checkpoints
READS = 3  # of a file that cannot be read, before its item fails
PAUSE_SECONDS = 0.5  # between two reads of a file that cannot be read

T = TypeVar("T")
Checkpoint = Callable[[], None]


def read_again(read: Callable[[], T], pause: Callable[[float], object] = sleep) -> T:
    """Read; repeat it twice after an I/O error of one file. Raises what the last read raised."""
    for _ in range(READS - 1):
        try:
            return read()
        except FileUnreadableError:
            pause(PAUSE_SECONDS)
    return read()


def check_item(mount: Mount, item: Item) -> list[str]:
    """Return what is wrong with an item's folder, source document and files, by their sizes.

    Raises MountUnavailableError; a file that cannot be read is a problem of the item.
    """
    def look() -> list[str]:
        files: list[str] = []
        problem = mount.check_item(item.path or "", lambda folder: files.extend(find_problems(folder, item, SIZE)))
        return [f"path: {problem.rstrip('.')}"] if problem else files

    try:
        return read_again(look)
    except FileUnreadableError as error:
        return [f"path: {str(error).rstrip('.')}"]


def checked_how(derivative: Derivative, how: str) -> str:
    """Return what a check compared of a file: its SHA-256 only if the manifest has one."""
    return SHA256 if how == SHA256 and derivative.sha256 else SIZE


def find_problems(folder: ItemFolder, item: Item, how: str, checkpoint: Checkpoint = lambda: None) -> list[str]:
    """Return what is wrong with the persisted files of an item: at most ten problems.

    `checkpoint` is called after each block that is hashed. Raises UnsafePathError, MountUnavailableError.
    """
    problems: list[str] = []
    for position, file in enumerate(item.derivatives):
        if file.kind in NEVER_PERSISTED or len(problems) == MAX_PROBLEMS:
            continue
        if wrong := _difference(folder, file, how, checkpoint):
            name = escape_unprintable(f"{item.path}/{file.path}")
            problems.append(f"derivatives[{position}].path: {file.kind} file {name}: {wrong}")
    return problems


def _difference(folder: ItemFolder, file: Derivative, how: str, checkpoint: Checkpoint) -> str | None:
    """Return how a file differs from the manifest, None if it does not."""
    expected = "a regular file" if file.bytes is None else f"{file.bytes} bytes"
    try:
        if checked_how(file, how) == SIZE:
            size, digest = folder.size(file.path), None
        else:
            size, digest = _measured(folder, file.path, checkpoint)
    except NotFoundError:
        return f"found no file, expected {expected}"
    except PermissionDeniedError:
        return f"found a file that this account may not read, expected {expected}"
    except UnsafePathError as unsafe:
        return str(unsafe).rstrip(".")
    if file.bytes is not None and size != file.bytes:
        return f"found {size} bytes, expected {expected.removesuffix(' bytes')}"
    if digest is not None and digest != file.sha256:
        return f"found SHA-256 {short_hash(digest)}, expected {short_hash(file.sha256 or '')}"
    return None


def _measured(folder: ItemFolder, path: str, checkpoint: Checkpoint) -> tuple[int, str]:
    """Return the number of bytes of a file, and their SHA-256."""
    size, digest = 0, sha256()
    for block in _blocks(folder, path):
        size += len(block)
        digest.update(block)
        checkpoint()
    return size, digest.hexdigest()


def _blocks(folder: ItemFolder, path: str) -> Iterator[bytes]:
    descriptor = folder.open(path)
    try:
        while block := folder.read(descriptor, path, BLOCK):
            yield block
    finally:
        os.close(descriptor)
