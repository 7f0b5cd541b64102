"""Forecast what the import of several batches, one after the other, would make of the library. Nothing is written.

The reference fold imports the entries of the manifests over the library as it is, in the order of the queue. Documents
are not read. docs/decisions/0161-forecast.md
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, suppress
from dataclasses import asdict, dataclass, field
from datetime import datetime
from time import monotonic
from typing import Any, NamedTuple, TypedDict

from .. import ledger, order
from ..bundle_inspection import BundleInspection, check_files, read_bundle
from ..db import Database, ReadTransaction, chunked
from ..errors import MountTimeoutError, MountUnavailableError, OrderError, PanelError, PreflightTooLongError
from ..library_reader import CONTAINER_TYPES
from ..manifest import Manifest
from ..models import BatchStatus, JobState
from ..mount import Mount, iterate_with_timeout
from ..reference_fold import ASSET_TYPES, Key, Order
from .entry_store import EntryStore, StoredBundle
from .forecast_entries import (
    EntryFolder, EntryForecast, Findings, LimitedList, MissingMembers, OrderEffect, Overwrite,
)
from .views import Effect

READ_SHARE, FOLD_SHARE = 0.5, 0.8  # of a request's time: after them nothing more is read, and nothing more is folded
PLANNED = (BatchStatus.PREFLIGHT_PASSED, BatchStatus.QUEUED, BatchStatus.IMPORTING)  # imported by the plan they have
KINDS = (*ASSET_TYPES, *CONTAINER_TYPES)
UNDO = "it is an undo, and what it changes is not part of the forecast"
MAX_MEMBERS = 100  # members of a container that a forecast lists as changed

Progress = Callable[[int, int], None]


class ForecastRow(TypedDict):
    """A batch of a forecast, with its active job."""

    id: int
    sync_id: str
    action: str | None
    status: str
    source_at: datetime | None
    although_older: int
    undoes: str | None  # the sync_id of the batch that an undo takes back
    job_id: int | None
    job_state: str | None
    priority: int | None


class Limits(NamedTuple):
    """How much a forecast may cost: `seconds` in all, bytes of a manifest, entries in each of its lists.

    With `checks_files`, items whose files are missing fail; otherwise those that the last preflight let fail.
    """

    seconds: float | None = None
    manifest_bytes: int | None = None
    listed: int = 50
    checks_files: bool = True


@dataclass
class BundleForecast:
    """What one batch does: its assets by effect, or why it is not imported."""

    sync_id: str
    status: str
    action: str | None = None
    job_id: int | None = None
    items: int = 0
    failing_items: int = 0
    containers: int = 0
    problem: str | None = None


@dataclass
class Forecast:
    """The end state. `imported` are the batches that are folded, by their numbers in the order of the queue.

    `refused` are not imported, `not_read` were left out for lack of time. `folded` of `entries` entries were folded.
    """

    findings: Findings
    imported: list[BundleForecast] = field(default_factory=list)
    refused: list[BundleForecast] = field(default_factory=list)
    not_read: list[str] = field(default_factory=list)
    entries: int = 0
    folded: int = 0
    files_checked: bool = True

    @property
    def is_complete(self) -> bool:
        """Whether all that was asked for is part of the forecast."""
        return not self.not_read and self.folded == self.entries


class _TimeIsUpError(Exception):
    """The time of a request is spent."""


def forecast_batches(
    db: Database, mount: Mount, sync_ids: Iterable[str], limits: Limits,
    progress: Progress = lambda done, total: None,
) -> Forecast:
    """Forecast the import of batches in the order of the queue, over the library as it is.

    Those with an active job come first, in the order of the queue, then the others in the order in which a bulk queue
    takes them. Raises MountUnavailableError, TemporaryFileError.
    """
    rows, unknown = db.run_read(_in_queue_order, list(dict.fromkeys(sync_ids)))
    forecast = Forecast(Findings(limits.listed), files_checked=limits.checks_files)
    for sync_id in unknown:
        problem = "it is not recorded: run a scan"
        forecast.refused.append(BundleForecast(sync_id, "unknown", problem=problem))
    with closing(EntryStore()) as store:
        _Forecaster(db, mount, limits, forecast, store).run(rows, progress)
    return forecast


def _in_queue_order(tx: ReadTransaction, sync_ids: list[str]) -> tuple[list[ForecastRow], list[str]]:
    """The batches in the order in which they are imported, and the sync_ids that are not recorded."""
    rows: dict[str, ForecastRow] = {
        row["sync_id"]: row for chunk in chunked(sync_ids) for row in tx.fetch_all("folds.batches", sync_ids=chunk)
    }
    active = sorted((row for row in rows.values() if row["job_id"]), key=_queue_position)
    free = ledger.sort_by_upstream_order(tx, [sync_id for sync_id, row in rows.items() if not row["job_id"]])
    return active + [rows[sync_id] for sync_id in free], [sync_id for sync_id in sync_ids if sync_id not in rows]


def _queue_position(row: ForecastRow) -> tuple[bool, int, int]:
    return row["job_state"] != JobState.RUNNING, row["priority"] or 0, row["job_id"] or 0


class _Forecaster:
    """Reads bundles into the store, then folds them."""

    def __init__(self, db: Database, mount: Mount, limits: Limits, forecast: Forecast, store: EntryStore) -> None:
        self._db, self._mount, self._limits, self._forecast, self._store = db, mount, limits, forecast, store
        self._bundles: dict[int, StoredBundle] = {}
        self._started = monotonic()

    def run(self, rows: list[ForecastRow], progress: Progress) -> None:
        self._read(rows, progress)
        self._forecast.entries = sum(self._store.counts())
        with suppress(_TimeIsUpError):  # the forecast says how many entries were folded
            EntryFolder(self._db, self._store, self._bundles, self._forecast.findings, self._note_folded).fold()

    def _read(self, rows: list[ForecastRow], progress: Progress) -> None:
        seconds = self._limits.seconds and self._limits.seconds * READ_SHARE
        done = 0
        try:
            for done, inspected in enumerate(iterate_with_timeout(self._inspect_all(rows), seconds), 1):
                self._add(rows[done - 1], *inspected)
                progress(done, len(rows))
        except (MountTimeoutError, _TimeIsUpError):
            self._forecast.not_read = [row["sync_id"] for row in rows[done:]]

    def _inspect_all(self, rows: list[ForecastRow]) -> Iterator[tuple[BundleInspection | None, str | None]]:
        """Yield each bundle, or why it is not read. Raises MountUnavailableError."""
        for row in rows:
            self._raise_if_late(READ_SHARE)
            if row["undoes"]:
                yield None, f"{UNDO}: gpupanel undo --preview {row['undoes']}"
                continue
            try:
                yield self._inspect(row), None
            except PreflightTooLongError:
                yield None, "its manifest is too large for a page; `gpupanel plan` reads it"
            except (MountTimeoutError, MountUnavailableError):
                raise
            except PanelError as error:
                yield None, str(error).rstrip(".")

    def _inspect(self, row: ForecastRow) -> BundleInspection:
        found = read_bundle(
            self._mount, row["sync_id"], None, lambda: self._raise_if_late(READ_SHARE),
            most_bytes=self._limits.manifest_bytes,
        )
        if self._limits.checks_files:
            found = check_files(self._mount, found, lambda: self._raise_if_late(READ_SHARE))
        return found

    def _add(self, row: ForecastRow, found: BundleInspection | None, problem: str | None) -> None:
        """Store the entries of a bundle, or say why it is not imported."""
        bundle = BundleForecast(row["sync_id"], row["status"], row["action"], row["job_id"], problem=problem)
        if found is not None:
            bundle.problem = "; ".join(found.problems) or None
            if found.manifest and not found.problems:
                bundle.problem = self._store_entries(row, found, found.manifest, bundle)
        (self._forecast.refused if bundle.problem else self._forecast.imported).append(bundle)

    def _store_entries(
        self, row: ForecastRow, found: BundleInspection, manifest: Manifest, bundle: BundleForecast
    ) -> str | None:
        """Store the entries that would be imported; return why the bundle is refused, if it is."""
        bundle.action, bundle.items, bundle.containers = manifest.action, len(manifest.items), len(manifest.containers)
        source_at = row["source_at"] if row["status"] in PLANNED else None
        try:  # as the plan has it, or as a preflight would fix it
            source_at = source_at or self._db.run_read(order.source_at, row["sync_id"], manifest)
        except OrderError as error:
            return "; ".join(error.problems)
        missing = found.missing if self._limits.checks_files else self._db.run_read(_failing_items, row)
        number = len(self._bundles)
        bundle.failing_items = self._store.add(number, manifest, missing)
        if bundle.items and bundle.failing_items == bundle.items:
            self._store.drop(number)
            return "its only item would fail" if bundle.items == 1 else f"all {bundle.items:,} items would fail"
        is_override = row["status"] in PLANNED and bool(row["although_older"])
        place = Order(source_at, row["sync_id"])
        self._bundles[number] = StoredBundle(number, row["sync_id"], manifest.action, place, row["id"], is_override)
        return None

    def _note_folded(self, entries: int) -> None:
        self._forecast.folded += entries
        if self._forecast.folded < self._forecast.entries:
            self._raise_if_late(FOLD_SHARE)

    def _raise_if_late(self, share: float) -> None:
        if self._limits.seconds is not None and monotonic() - self._started > self._limits.seconds * share:
            raise _TimeIsUpError


def _failing_items(tx: ReadTransaction, row: ForecastRow) -> dict[int, str]:
    """Position and reason of the items that the batch's plan lets fail."""
    rows = tx.fetch_all("folds.failing_items", batch_id=row["id"])
    return {each["position"]: each["reason"] for each in rows}


# -------------------------------------------------------------------------------------------------------- JSON


def as_json(forecast: Forecast) -> dict[str, Any]:
    """The forecast as plain values; each list has its first entries, and `totals` says how many there are."""
    findings = forecast.findings
    names = [bundle.sync_id for bundle in forecast.imported]
    lists: dict[str, tuple[LimitedList, Callable[[Any, list[str]], dict[str, Any]]]] = {
        "changes": (findings.changes, _entry), "overwrites": (findings.overwrites, _overwrite),
        "order_effects": (findings.order_effects, _entry), "missing_members": (findings.missing, _missing),
    }
    return {
        "complete": forecast.is_complete, "files_checked": forecast.files_checked,
        "batches": [
            asdict(bundle) | {"effects": _effects(findings.by_bundle[number])}
            for number, bundle in enumerate(forecast.imported)
        ],
        "refused": [asdict(bundle) for bundle in forecast.refused], "not_read": forecast.not_read,
        "entries": forecast.entries, "folded": forecast.folded,
        "library": {kind: _effects(findings.effects[kind]) for kind in KINDS if kind in findings.effects},
        "totals": {name: found.total for name, (found, _) in lists.items()},
        **{name: [public(each, names) for each in found.first] for name, (found, public) in lists.items()},
    }


def _effects(counts: dict[Effect, int]) -> dict[str, int]:
    return {effect.value: counts[effect] for effect in Effect if counts.get(effect)}


def _key(key: Key) -> dict[str, str]:
    return {"kind": key[0], "hash": key[1]}


def _entry(each: EntryForecast | OrderEffect, names: list[str]) -> dict[str, Any]:
    public: dict[str, Any] = _key(each.key) | {"sync_ids": [names[number] for number in each.bundles]}
    if isinstance(each, EntryForecast):
        public["effect"] = each.effect.value
    return public | {"changes": {name: list(map(_shortened, pair)) for name, pair in each.changes.items()}}


def _shortened(value: Any) -> Any:
    """Of a container, the first members alone."""
    return dict(list(value.items())[:MAX_MEMBERS]) if isinstance(value, dict) else value


def _overwrite(each: Overwrite, names: list[str]) -> dict[str, Any]:
    return _key(each.key) | {
        "name": each.name, "set_by": names[each.set_by], "value": each.value,
        "changed_by": names[each.changed_by], "changed_to": each.changed_to,
    }


def _missing(each: MissingMembers, names: list[str]) -> dict[str, Any]:
    return _key(each.key) | {"sync_id": names[each.number], "missing": each.missing, "sample": each.sample}
