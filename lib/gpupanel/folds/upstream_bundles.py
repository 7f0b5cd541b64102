"""Read all completed manifests of the mount into an entry store, and place them in upstream's order."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from .. import order
from ..bundle_inspection import read_bundle
from ..db import Database, ReadTransaction, chunked
from ..errors import FileUnreadableError, MountUnavailableError, PanelError, PreflightTooLongError
from ..manifest import Manifest, reasons_not_consumable
from ..mount import Mount, iterate_unordered
from ..reference_fold import Order, orders_of_times
from .entry_store import EntryStore, StoredBundle

READERS = 8  # threads that read small manifests
SMALL_BYTES = 1024 * 1024  # larger manifests are read one at a time, after the others
NO_FILES: dict[int, str] = {}

Progress = Callable[[int, int], None]


class KnownBundle(NamedTuple):
    """A bundle in the ledger."""

    status: str
    source_at: datetime | None
    was_imported: bool
    undone: bool


@dataclass
class UpstreamBundles:
    """The completed bundles of the mount, by their numbers in the store.

    `unreadable` maps a bundle to why it is left out; `incomplete` are those that upstream has not completed. `known`
    has those in the ledger.
    """

    bundles: dict[int, StoredBundle] = field(default_factory=dict)
    unreadable: dict[str, str] = field(default_factory=dict)
    incomplete: list[str] = field(default_factory=list)
    invalid_items: int = 0
    known: dict[str, KnownBundle] = field(default_factory=dict)


def read_bundles(db: Database, mount: Mount, store: EntryStore, progress: Progress) -> UpstreamBundles:
    """Read each manifest once; only its entries are stored.

    Raises MountUnavailableError, also if there is no bundle at all: an empty mount is no instruction.
    """
    mount.check_available()
    sync_ids = sorted(each.sync_id for each in mount.list_sentinels() if each.sync_id)
    if not sync_ids:
        raise MountUnavailableError(f"The mount {mount.sync_dir} has no bundles: it is empty, or not mounted.")
    return _Reader(db, mount, store).read(sync_ids, progress)


class _Reader:
    def __init__(self, db: Database, mount: Mount, store: EntryStore) -> None:
        self._db, self._mount, self._store = db, mount, store
        self._found = UpstreamBundles()
        self._times: dict[str, tuple[datetime, str | None]] = {}
        self._actions: dict[str, tuple[int, str]] = {}

    def read(self, sync_ids: list[str], progress: Progress) -> UpstreamBundles:
        for chunk in chunked(sync_ids):
            self._found.known |= self._db.run_read(_known, chunk)
        now: datetime = self._db.run_read(lambda tx: tx.fetch_value("order.now"))
        for done, (sync_id, found) in enumerate(self._read_all(sync_ids), 1):
            self._add(sync_id, found, now)
            progress(done, len(sync_ids))
        self._place()
        return self._found

    def _read_all(self, sync_ids: list[str]) -> Iterator[tuple[str, Manifest | str | None]]:
        """Yield the manifest of each bundle, or why it is left out; None for one that is not completed."""
        large: list[str] = []
        for group in iterate_unordered(lambda each: self._read(each, SMALL_BYTES), sync_ids, READERS, None):
            for sync_id, future in group:
                try:
                    yield sync_id, future.result()
                except PreflightTooLongError:
                    large.append(sync_id)
        for sync_id in sorted(large):
            yield sync_id, self._read(sync_id, None)

    def _read(self, sync_id: str, most_bytes: int | None) -> Manifest | str | None:
        """Raises MountUnavailableError, PreflightTooLongError."""
        try:
            found = read_bundle(self._mount, sync_id, most_bytes=most_bytes)
        except FileUnreadableError as error:
            return str(error)
        except (MountUnavailableError, PreflightTooLongError):
            raise
        except PanelError as error:
            return str(error)
        if found.manifest is None:
            return "; ".join(found.problems)
        return None if reasons_not_consumable(found.manifest) else found.manifest

    def _add(self, sync_id: str, found: Manifest | str | None, now: datetime) -> None:
        if found is None:
            self._found.incomplete.append(sync_id)
            return
        problems = [found] if isinstance(found, str) else order.future_problems(found, now, "the database's time")
        if problems or isinstance(found, str):
            self._found.unreadable[sync_id] = "; ".join(problems)
            return
        number = len(self._actions)
        own, known = order.manifest_time(found), self._found.known.get(sync_id)
        if known and known.source_at:  # a prior that is not on the mount any more counted then
            own = max(own, known.source_at)
        self._times[sync_id] = own, found.prior_sync_id
        self._actions[sync_id] = number, found.action
        self._found.invalid_items += self._store.add(number, found, NO_FILES)

    def _place(self) -> None:
        order_of, ringed = orders_of_times(self._times)
        for sync_id in sorted(ringed):
            self._found.unreadable[sync_id] = "prior_sync_id: the bundle is its own prior, directly or through others"
        for sync_id, place in sorted(order_of.items(), key=lambda pair: pair[1]):
            number, action = self._actions[sync_id]
            self._found.bundles[number] = StoredBundle(number, sync_id, action, Order(*place))


def _known(tx: ReadTransaction, sync_ids: list[str]) -> dict[str, KnownBundle]:
    return {
        row["sync_id"]: KnownBundle(
            row["status"], row["source_at"], bool(row["was_imported"]), bool(row["undone"])
        )
        for row in tx.fetch_all("folds.known_bundles", sync_ids=sync_ids)
    }
