"""A temporary file of manifest entries, sorted by what they name, so that folds need bounded memory.

SQLite keeps it: it is created without a name, deleted when it is closed, and holds what its cache does not
(docs/decisions/0160-fold-by-entry.md). Bundles stay in memory, about 500 bytes each.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple

import msgspec

from ..errors import PanelError
from ..manifest import Container, InvalidItem, Item, Manifest
from ..reference_fold import BundleImport, Key, Order

CACHE_KIB = 16 * 1024

SCHEMA = f"""
PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA temp_store = FILE; PRAGMA cache_size = -{CACHE_KIB};
CREATE TABLE item (kind TEXT, hash TEXT, bundle INTEGER, content BLOB);
CREATE TABLE container (kind TEXT, hash TEXT, bundle INTEGER, members INTEGER, content BLOB);
CREATE TABLE mark (variant INTEGER, hash TEXT, kind TEXT, step INTEGER, removed_by TEXT,
                   PRIMARY KEY (variant, hash, kind, step)) WITHOUT ROWID;
"""


class StoredBundle(NamedTuple):
    """A bundle of a fold; `number` is its key in the store."""

    number: int
    sync_id: str
    action: str
    order: Order
    batch_id: int = 0
    although_older: bool = False

    def as_import(self, *, overrides: bool = False) -> BundleImport:
        return BundleImport(self.action, self.order, overrides)


class StoredItem(NamedTuple):
    """An item, and the number of its bundle."""

    number: int
    item: Item


class StoredContainer(NamedTuple):
    """A container, which is read when it is needed, and the number of its bundle."""

    number: int
    members: int
    row: int
    store: "EntryStore"

    @property
    def container(self) -> Container:
        return self.store.container(self.row)


def members_of(entries: list[StoredContainer]) -> int:
    """The number of members that versions of a container list."""
    return sum(entry.members for entry in entries)


class Mark(NamedTuple):
    """An asset after a step of a fold; `removed_by` is the say that removed it, None while it is live."""

    variant: int
    hash: str
    kind: str
    step: int
    removed_by: str | None


class TemporaryFileError(PanelError):
    """The temporary file of a fold cannot be written."""

    message = "The temporary file cannot be written."
    hint = "Free space in the folder for temporary files, or name another with TMPDIR, then repeat this."


class EntryStore:
    """Items and containers of many bundles, and when assets are live."""

    def __init__(self) -> None:
        self._encode = msgspec.msgpack.Encoder().encode
        self._decode_item = msgspec.msgpack.Decoder(Item).decode
        self._decode_container = msgspec.msgpack.Decoder(Container).decode
        with _translate_errors():
            # Threads: a request reads the mount in a thread of its own, one at a time.
            self._db = sqlite3.connect("", isolation_level=None, check_same_thread=False)
            self._db.executescript(SCHEMA)

    def close(self) -> None:
        """Delete the file."""
        self._db.close()

    def add(self, number: int, manifest: Manifest, missing: dict[int, str]) -> int:
        """Store the entries of a bundle, without items that would fail; return how many items would."""
        failing = 0

        def sound() -> Iterator[tuple[str, str, int, bytes]]:
            nonlocal failing
            for position, item in enumerate(manifest.items):
                if isinstance(item, InvalidItem) or position in missing:
                    failing += 1
                else:
                    yield item.asset_type, item.asset_hash, number, self._encode(item)

        with _translate_errors():
            self._db.execute("BEGIN")
            self._db.executemany("INSERT INTO item VALUES (?, ?, ?, ?)", sound())
            self._db.executemany("INSERT INTO container VALUES (?, ?, ?, ?, ?)", (
                (each.type, each.container_hash, number, len(each.items), self._encode(each))
                for each in manifest.containers
            ))
            self._db.execute("COMMIT")
        return failing

    def drop(self, number: int) -> None:
        """Remove the entries of the bundle that was added last."""
        with _translate_errors():
            for table in ("item", "container"):
                self._db.execute(f"DELETE FROM {table} WHERE bundle = ?", (number,))

    def counts(self) -> tuple[int, int]:
        """The number of items and of containers."""
        with _translate_errors():
            items, containers = (
                self._db.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0] for table in ("item", "container")
            )
        return items, containers

    def items(self, kind: str) -> Iterator[tuple[Key, list[StoredItem]]]:
        """Yield the items of one asset type by hash, those of one asset together."""
        rows = self._sorted("SELECT hash, bundle, content FROM item WHERE kind = ? ORDER BY hash, bundle", kind)
        for asset_hash, group in groupby(rows, itemgetter(0)):
            yield (kind, asset_hash), [StoredItem(number, self._decode_item(content)) for _, number, content in group]

    def containers(self, kind: str) -> Iterator[tuple[Key, list[StoredContainer]]]:
        """Yield the galleries or the collections by hash, those of one container together, without their content."""
        rows = self._sorted(
            "SELECT hash, bundle, members, rowid FROM container WHERE kind = ? ORDER BY hash, bundle", kind
        )
        for container_hash, group in groupby(rows, itemgetter(0)):
            yield (kind, container_hash), [
                StoredContainer(number, members, row, self) for _, number, members, row in group
            ]

    def container(self, row: int) -> Container:
        """Read one container."""
        with _translate_errors():
            content = self._db.execute("SELECT content FROM container WHERE rowid = ?", (row,)).fetchone()[0]
        return self._decode_container(content)

    def _sorted(self, statement: str, kind: str) -> Iterator[tuple]:
        with _translate_errors():
            yield from self._db.execute(statement, (kind,))

    # ---------------------------------------------------------------------------------- marks of assets

    def add_marks(self, marks: Iterable[Mark]) -> None:
        """Store when assets become live or removed."""
        with _translate_errors():
            self._db.execute("BEGIN")
            self._db.executemany("INSERT OR REPLACE INTO mark VALUES (?, ?, ?, ?, ?)", marks)
            self._db.execute("COMMIT")

    def marks(self, variant: int, hashes: Iterable[str], step: int) -> dict[Key, str | None]:
        """(type, hash) -> the say that removed it, None while it is live, of the assets with a mark by a step."""
        marks: dict[Key, str | None] = {}
        with _translate_errors():
            for asset_hash in hashes:
                for kind, removed_by, _ in self._db.execute(
                    "SELECT kind, removed_by, MAX(step) FROM mark WHERE variant = ? AND hash = ? AND step <= ? "
                    "GROUP BY kind", (variant, asset_hash, step),
                ):
                    marks[kind, asset_hash] = removed_by
        return marks


@contextmanager
def _translate_errors() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise TemporaryFileError(f"The temporary file of the fold cannot be used: {error}.") from error

