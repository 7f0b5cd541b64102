"""Read a bundle on the mount: its manifest, and what is wrong with the files of its items. Nothing is written."""

from collections.abc import Callable, Iterator
from contextlib import closing
from typing import NamedTuple

from . import file_check
from .db import chunked
from .errors import BundleIncompleteError, ManifestError, PreflightTooLongError, UnsafePathError
from .library_reader import AssetKey
from .manifest import (
    InvalidItem, Item, Manifest, parse_manifest, reasons_not_consumable, sha256_hex,
)
from .mount import Mount, map_in_threads

CHECKERS = 16  # threads that check the files of items
CHECKED_AT_ONCE = 8  # items that a thread checks at a time: small bundles need several threads, too


class BundleInspection(NamedTuple):
    """A bundle as read from the mount.

    `problems` are those of the bundle, `missing` maps the position of an item to what is wrong with its files;
    `manifest` is None if it was refused. `only` are the items to plan, None for all. `gone`: manifest or sentinel is
    missing or unreadable for this account, which says nothing about the batch. `although_older`: an operator asked to
    write the bundle although a newer one was imported. `files_listed` is how many derivatives the manifest names, None
    if they were not counted.
    """

    sync_id: str
    sha256: str | None
    manifest: Manifest | None
    problems: list[str]
    missing: dict[int, str]
    only: set[AssetKey] | None = None
    gone: bool = False
    although_older: bool = False
    files_listed: int | None = None

    def entries(self, manifest: Manifest) -> Iterator[tuple[int, Item | InvalidItem]]:
        """Position and item of those that are to be planned."""
        for position, item in enumerate(manifest.items):
            if self.only is None or (item.asset_type, item.asset_hash) in self.only:
                yield position, item


def inspect_bundle(
    mount: Mount, sync_id: str, only: set[AssetKey] | None = None,
    *, progress: Callable[[int, int], None] = lambda done, total: None,
) -> BundleInspection:
    """Read the manifest, and check the files of (`only` some) items; `progress` is called with (done, total) items.

    Faults of the bundle are in the result. Raises MountUnavailableError.
    """
    return check_files(mount, read_bundle(mount, sync_id, only), progress=progress)


def read_bundle(
    mount: Mount, sync_id: str, only: set[AssetKey] | None = None, checkpoint: Callable[[], None] = lambda: None,
    *, most_bytes: int | None = None,
) -> BundleInspection:
    """Read the manifest alone.

    Raises MountUnavailableError, and PreflightTooLongError if the manifest has more than `most_bytes`.
    """
    raw = None
    try:
        with closing(mount.open_manifest(sync_id)) as file:
            if most_bytes is not None and file.size > most_bytes:
                raise PreflightTooLongError
            raw = file.read()
        manifest = parse_manifest(raw, sync_id, mount.settings, checkpoint)
    except ManifestError as error:
        sha256 = None if raw is None else sha256_hex(raw)
        return BundleInspection(sync_id, sha256, None, error.problems or [str(error)], {})
    except (BundleIncompleteError, UnsafePathError) as error:
        problems = [str(error).rstrip(".")]
        return BundleInspection(sync_id, None, None, problems, {}, gone=isinstance(error, BundleIncompleteError))
    return BundleInspection(sync_id, manifest.sha256, manifest, reasons_not_consumable(manifest), {}, only)


def check_files(
    mount: Mount, examined: BundleInspection, checkpoint: Callable[[], None] = lambda: None,
    *, progress: Callable[[int, int], None] = lambda done, total: None,
) -> BundleInspection:
    """Check the files of the items that are to be planned, in several threads; a `remove` needs none.

    Raises MountUnavailableError.
    """
    manifest = examined.manifest
    if manifest is None or examined.problems or manifest.action == "remove":
        return examined
    check = FileChecks(mount)
    chunks = chunked(examined.entries(manifest), CHECKED_AT_ONCE)
    total = manifest.item_count if examined.only is None else len(examined.only)
    for number, _ in enumerate(map_in_threads(check.check, map(check.count, chunks), CHECKERS), 1):
        checkpoint()
        progress(min(number * CHECKED_AT_ONCE, total), total)
    check.confirm_absences()
    return examined._replace(missing=check.missing, files_listed=check.files if examined.only is None else None)


class FileChecks:
    """Collects what is wrong with the files of items, by their positions in `missing`."""

    def __init__(self, mount: Mount) -> None:
        self._mount = mount
        self.missing: dict[int, str] = {}
        self.files = 0
        self._first_folders: set[str] = set()
        self._is_any_sound = False

    def count(self, entries: list[tuple[int, Item | InvalidItem]]) -> list[tuple[int, Item]]:
        """Count the files of some items; return the valid items."""
        valid = [(position, item) for position, item in entries if isinstance(item, Item)]
        self.files += sum(len(item.derivatives) for _, item in valid)
        return valid

    def check(self, entries: list[tuple[int, Item]]) -> None:
        """Check some items; called by several threads."""
        for position, item in entries:
            if problems := file_check.check_item(self._mount, item):
                self.missing[position] = "; ".join(f"items[{position}].{problem}" for problem in problems)
                self._first_folders.add(first_folder(item))
            else:
                self._is_any_sound = True

    def confirm_absences(self) -> None:
        """If no item is sound, check that the mount is there. Raises MountUnavailableError."""
        if self.missing and not self._is_any_sound:
            self._mount.check_available(self._first_folders)


def first_folder(item: Item) -> str:
    """The first folder of an item's path."""
    return (item.path or "").partition("/")[0]
