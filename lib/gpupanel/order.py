"""Upstream's order of bundles, and the latest say about each row of the library.

docs/decisions/0111-upstream-order.md
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, NamedTuple

from .db import ReadTransaction, chunk_by_first, chunked
from .errors import OrderError
from .manifest import Manifest
from .rows import BatchRow, SayRow

MICROSECOND = timedelta(microseconds=1)
FUTURE = timedelta(hours=24)  # how far completed_at may be ahead of the database's clock: clocks and time zones differ
NEVER = datetime(1000, 1, 1)  # the say of a row that no bundle has decided about: older than each bundle
MAX_PRIORS = 10_000  # bounds the statements of a walk over priors

TombstoneKey = tuple[str, str]  # (kind, hash)


class Order(NamedTuple):
    """The position of a bundle in upstream's order."""

    source_at: datetime
    sync_id: str


class Say(NamedTuple):
    """The latest bundle that decided about a row."""

    order: Order
    batch_id: int


class BundleOrder(NamedTuple):
    """The bundle that is planned or imported; `although_older` ignores newer says."""

    order: Order
    batch_id: int
    although_older: bool = False


class _Prior(NamedTuple):
    """A bundle on the walk over priors."""

    sync_id: str
    prior_sync_id: str | None
    source_at: datetime | None
    own_time: datetime


def is_newer(say: Say | None, bundle: BundleOrder) -> bool:
    """Whether a later bundle has the latest say; one's own earlier say is never later."""
    return say is not None and say.batch_id != bundle.batch_id and say.order > bundle.order


def must_yield(bundle: BundleOrder, say: Say | None) -> bool:
    """Whether the bundle leaves what a later one decided; an operator may have overridden that."""
    return is_newer(say, bundle) and not bundle.although_older


def manifest_time(manifest: Manifest) -> datetime:
    """When upstream completed the bundle, cut to microseconds."""
    return _parse_time(manifest.completed_at or manifest.created_at)


def source_at(tx: ReadTransaction, sync_id: str, manifest: Manifest) -> datetime:
    """The position in time of a bundle: after its own completion and after its prior.

    Raises: OrderError, when the bundle is its own prior, or when its time is in the future.
    """
    now: datetime = tx.fetch_value("order.now")
    problems = future_problems(manifest, now, "the database's time")
    priors = _priors(tx, manifest.prior_sync_id, sync_id)
    if manifest.prior_sync_id == sync_id or (priors and priors[-1].prior_sync_id == sync_id):
        problems.append(own_prior_problem(sync_id, [prior.sync_id for prior in priors]))
    if problems:
        raise OrderError(sync_id, problems)
    return _after(manifest_time(manifest), priors, now + FUTURE)


def future_problems(manifest: Manifest, now: datetime, clock: str) -> list[str]:
    """Return the problem of a bundle that was completed more than FUTURE after `now`, the time of `clock`."""
    if manifest_time(manifest) <= now + FUTURE:
        return []
    found = manifest.completed_at or manifest.created_at
    return [f"completed_at: found {found}, expected at most 24 hours after {clock}, {now:%Y-%m-%dT%H:%M:%SZ}"]


def own_prior_problem(sync_id: str, between: list[str]) -> str:
    """Return the problem of a bundle that follows itself through the bundles `between`."""
    named = between[:3] + (["..."] if between[3:] else [])
    return f"prior_sync_id: the bundle is its own prior: {' -> '.join([sync_id, *named, sync_id])}"


def bundle_order(tx: ReadTransaction, batch: BatchRow, manifest: Manifest) -> BundleOrder:
    """The position that the preflight fixed, or the present one where an earlier version planned the batch.

    Raises: OrderError.
    """
    time = batch["source_at"] or source_at(tx, batch["sync_id"], manifest)
    return BundleOrder(Order(time, batch["sync_id"]), batch["id"], bool(batch["although_older"]))


class Resolver:
    """Finds the latest say of library rows; caches what it computes for one transaction."""

    def __init__(self, tx: ReadTransaction) -> None:
        self._tx = tx
        self._computed: dict[int, datetime] = {}
        self._latest: datetime | None = None

    def say(self, row: SayRow) -> Say | None:
        """The latest say of an asset or container, None where each bundle is later.

        Where another program wrote the row last, the order of that bundle counts.
        """
        if not row["last_batch_id"] or row["last_sync_id"] is None:
            return None
        if row["source_batch_id"] == row["last_batch_id"] and row["source_at"] is not None:
            return Say(Order(row["source_at"], row["last_sync_id"]), row["last_batch_id"])
        time = row["last_source_at"] or self._compute(row, row["last_sync_id"])
        return Say(Order(time, row["last_sync_id"]), row["last_batch_id"])

    def own_say(self, row: Mapping[str, Any], of_owner: Say | None) -> Say | None:
        """The say of a derivative or membership, or that of its asset or container.

        The row has source_at, source_batch_id and the say_sync_id of that batch.
        """
        if row["source_at"] is None or row["say_sync_id"] is None:
            return of_owner
        return Say(Order(row["source_at"], row["say_sync_id"]), row["source_batch_id"])

    def _compute(self, row: SayRow, sync_id: str) -> datetime:
        """The order of a batch that no preflight of ours has planned."""
        batch_id = row["last_batch_id"]
        if batch_id not in self._computed:
            if self._latest is None:
                self._latest = self._tx.fetch_value("order.now") + FUTURE
            own = _own_time(row["last_completed_at"], row["last_discovered_at"])
            prior = row["last_prior_sync_id"]
            priors = _priors(self._tx, prior, sync_id) if prior else []
            self._computed[batch_id] = _after(own, priors, self._latest)
        return self._computed[batch_id]


def tombstones(tx: ReadTransaction, keys: Iterable[TombstoneKey], *, lock: bool = False) -> dict[TombstoneKey, Say]:
    """(kind, hash) -> latest `remove` that found no row. `lock` locks the rows and the gaps between them."""
    return {key: say for key, (say, is_live) in all_tombstones(tx, keys, lock=lock).items() if is_live}


def all_tombstones(
    tx: ReadTransaction, keys: Iterable[TombstoneKey], *, lock: bool = False
) -> dict[TombstoneKey, tuple[Say, bool]]:
    """(kind, hash) -> say of a tombstone, and whether it counts: one that an undo took back does not."""
    name = "order.lock_tombstones" if lock else "order.tombstones"
    rows = {
        (kind, row["hash"]): row
        for kind, hashes in chunk_by_first(keys) for row in tx.fetch_all(name, kind=kind, hashes=hashes)
    }
    sync_ids = fetch_sync_ids(tx, (row["batch_id"] for row in rows.values()))
    return {
        key: (Say(Order(row["source_at"], sync_ids[row["batch_id"]]), row["batch_id"]), row["deleted_at"] is None)
        for key, row in rows.items() if row["batch_id"] in sync_ids
    }


def fetch_sync_ids(tx: ReadTransaction, batch_ids: Iterable[int]) -> dict[int, str]:
    """Batch id -> sync_id."""
    chunks = chunked(sorted(set(batch_ids)))
    return {row["id"]: row["sync_id"] for ids in chunks for row in tx.fetch_all("order.sync_ids", ids=ids)}


def member_key(container_type: str, container_hash: str, asset_hash: str) -> TombstoneKey:
    """The key of a member's tombstone."""
    return f"{container_type}_member", sha256(f"{container_hash} {asset_hash}".encode()).hexdigest()


def _priors(tx: ReadTransaction, prior_sync_id: str | None, sync_id: str) -> list[_Prior]:
    """The known priors, the nearest first, up to the first with a stored order.

    If a known bundle follows this one, the walk continues to its end, so that it finds a cycle. It ends where a bundle
    repeats: a cycle of other bundles is refused in their preflights.
    """
    priors: list[_Prior] = []
    seen = {sync_id}
    is_followed: bool | None = None
    while prior_sync_id and prior_sync_id not in seen and len(priors) < MAX_PRIORS:
        row = tx.fetch_one("order.prior", sync_id=prior_sync_id)
        if row is None:
            break
        seen.add(prior_sync_id)
        prior_sync_id = row["prior_sync_id"]
        own = _own_time(row["completed_at"], row["discovered_at"])
        priors.append(_Prior(row["sync_id"], prior_sync_id, row["source_at"], own))
        if row["source_at"] is not None:
            if is_followed is None:
                is_followed = bool(tx.fetch_value("order.is_followed", sync_id=sync_id))
            if not is_followed:
                break
    return priors


def _after(own: datetime, priors: list[_Prior], latest: datetime) -> datetime:
    """The later of the bundle's own time and its prior's order + 1 microsecond.

    A prior without a stored order counts with its own time, `latest` at most: its own preflight refuses a later one.
    """
    stored = next((index for index, prior in enumerate(priors) if prior.source_at is not None), len(priors))
    time: datetime | None = priors[stored].source_at if stored < len(priors) else None
    for prior in reversed(priors[:stored]):
        time = _later(min(prior.own_time, latest), time)
    return _later(own, time)


def _later(own: datetime, prior: datetime | None) -> datetime:
    return own if prior is None else max(own, prior + MICROSECOND)


def _own_time(completed_at: str | None, discovered_at: datetime) -> datetime:
    try:
        return _parse_time(completed_at) if completed_at else discovered_at
    except ValueError:
        return discovered_at


def _parse_time(text: str) -> datetime:
    whole, _, fraction = text.removesuffix("Z").partition(".")
    return datetime.fromisoformat(whole) + int(fraction[:6].ljust(6, "0")) * MICROSECOND
