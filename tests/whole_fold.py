"""The reference fold of whole bundles, as tests hold the importer to it."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from gpupanel.reference_fold import (
    MICROSECOND, NO_DOCUMENTS, BundleImport, Documents, Key, Library, Order, import_container, import_item,
    orders_of_times,
)


@dataclass(frozen=True)
class Handover:
    """A bundle: its parsed manifest, and the documents of its items by (type, hash).

    `overrides` has the entries that the bundle writes although a newer one decided last.
    """

    manifest: Any
    documents: dict[Key, Documents] = field(default_factory=dict)
    overrides: Collection[Key] = ()


def orders(handovers: Iterable[Handover]) -> dict[str, Order]:
    """sync_id -> order, where all these bundles are known. Raises ValueError for a bundle that is its own prior."""
    known = {handover.manifest.sync_id: handover.manifest for handover in handovers}
    times = {sync_id: (_manifest_time(manifest), manifest.prior_sync_id) for sync_id, manifest in known.items()}
    order_of, ringed = orders_of_times(times)
    if ringed:
        raise ValueError(f"bundle {min(ringed)} is its own prior")
    return order_of


def _manifest_time(manifest: Any) -> datetime:
    """Return when upstream completed the bundle, cut to microseconds."""
    whole, _, fraction = (manifest.completed_at or manifest.created_at).removesuffix("Z").partition(".")
    return datetime.fromisoformat(whole) + int(fraction[:6].ljust(6, "0")) * MICROSECOND


def fold(handovers: Iterable[Handover], arrivals: Iterable[str] | None = None) -> Library:
    """The library after these imports, by default one of each bundle in upstream's order.

    All bundles are known from the start. Bundles with members that were missing are retried at the end.
    """
    known = {handover.manifest.sync_id: handover for handover in handovers}
    order_of, library = orders(known.values()), Library()
    imports = sorted(known, key=order_of.__getitem__) if arrivals is None else list(arrivals)
    unfinished = {sync_id for sync_id in imports if not import_bundle(library, known[sync_id], order_of[sync_id])}
    while unfinished:
        finished = {sync_id for sync_id in unfinished if import_bundle(library, known[sync_id], order_of[sync_id])}
        if not finished:
            break
        unfinished -= finished
    return library


def import_bundle(library: Library, handover: Handover, order: Order) -> bool:
    """Import all items, then all containers; returns whether no member was missing."""
    manifest, overrides = handover.manifest, handover.overrides

    def of(key: Key) -> BundleImport:
        return BundleImport(manifest.action, order, key in overrides)

    for item in manifest.items:
        key = item.asset_type, item.asset_hash
        import_item(library, item, of(key), handover.documents.get(key, NO_DOCUMENTS))
    complete = [
        import_container(library, container, of((container.type, container.container_hash)))
        for container in manifest.containers
    ]
    return all(complete)
