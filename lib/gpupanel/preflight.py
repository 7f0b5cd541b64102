"""Plan the import of a bundle: manifest, library -> decisions -> ledger.

docs/CONTRACT.md, 5. Words for states.
"""

from collections import Counter
from collections.abc import Iterator, Set as AbstractSet
from typing import Any, NamedTuple

from . import container_reader, digests, job_queue, ledger, library_reader, order, preflight_requests, thumbnails
from .bundle_inspection import BundleInspection
from .container_reader import ExistingContainer, MemberReader, MemberSummary
from .db import ReadTransaction, Transaction, chunked
from .decision import ContainerMemberships, decide, decide_container
from .errors import InvalidStateError, OrderError
from .ledger import search_words
from .library_reader import AssetKey, ContainerKey, ExistingAsset
from .manifest import Container, InvalidItem, Item, Manifest
from .models import BatchStatus, COUNTED_PLANS, ContainerPlan, Decision, ItemPlan
from .order import BundleOrder, Order, Say
from .rows import BatchRow

BRINGS = (Decision.WILL_CREATE, Decision.WILL_UPDATE)  # after them the library has the asset, and it is live
SAMPLES = 5  # reasons of failing items in the problems and the event of a preflight
MEND = "Ask upstream to fix the bundle, or correct the library, first."
BRING_BACK = "Restore the bundle or make it readable, or ask upstream to resend it"
REPEAT, JOB_WAITS = f"{BRING_BACK}; then repeat this.", f"{BRING_BACK}; its job then continues by itself."
QUEUE = "To import its containers without these items, queue the whole batch."


class PreflightResult(NamedTuple):
    """The result of a preflight, with a number for each decision.

    `withheld` says why a plan that passed is not queued: nobody has seen what upstream made of the bundle.
    """

    ok: bool
    item_count: int
    counts: dict[str, int]
    problems: list[str]
    withheld: str | None = None

    @property
    def facts(self) -> dict[str, Any]:
        """What JSON has of it; a plan that is withheld is answered as an error."""
        return {"ok": self.ok, "item_count": self.item_count, "counts": self.counts, "problems": self.problems}


class _ItemState(NamedTuple):
    """What a chunk of items is decided by: assets of the library, tombstones of those it lacks."""

    bundle: BundleOrder
    assets: dict[AssetKey, ExistingAsset]
    tombstones: dict[AssetKey, Say]
    memberships: ContainerMemberships


def iterate_plans(
    tx: ReadTransaction, examined: BundleInspection, manifest: Manifest, bundle: BundleOrder,
    memberships: ContainerMemberships,
) -> Iterator[list[ItemPlan]]:
    """Decide each item in the manifest's order; yield the plans in chunks."""
    for entries in chunked(examined.entries(manifest)):
        sound = [item for position, item in entries if position not in examined.missing and isinstance(item, Item)]
        assets = library_reader.existing_assets(tx, sound, memberships.containers_listing(sound))
        absent = {(item.asset_type, item.asset_hash) for item in sound} - assets.keys()
        state = _ItemState(bundle, assets, order.tombstones(tx, absent), memberships)
        yield [_plan(manifest.action, entry, examined.missing.get(entry[0]), state) for entry in entries]


def _plan(action: str, entry: tuple[int, Item | InvalidItem], missing: str | None, state: _ItemState) -> ItemPlan:
    position, item = entry
    identity = (position, item.asset_type, item.asset_hash, item.cover_hash)
    if isinstance(item, InvalidItem):
        return ItemPlan(*identity, Decision.WILL_FAIL, "; ".join(item.problems))
    picture, digest = thumbnails.choose_thumbnail(item), digests.item_digest(item)
    if missing is not None:
        return ItemPlan(*identity, Decision.WILL_FAIL, missing, path=item.path, picture=picture, item_digest=digest,
                        item_title=item.title)
    key = item.asset_type, item.asset_hash
    existing, listing = state.assets.get(key), state.memberships.containers_of(item)
    decision, reason, changes = decide(action, item, existing or state.tombstones.get(key), state.bundle, listing)
    asset_id = existing.id if existing else None
    cover_id = existing.covers.get(item.cover_hash) if existing and item.cover_hash else None
    return ItemPlan(
        *identity, decision, reason, changes, asset_id, cover_id, item.path, picture, item_digest=digest,
        target_digest=existing.target_digest if existing else digests.ABSENT,
        item_title=item.title or (existing.fields["title"] if existing else None),
    )


def iterate_container_plans(
    tx: ReadTransaction, manifest: Manifest, bundle: BundleOrder, brought: AbstractSet[str],
    settled: AbstractSet[ContainerKey],
) -> Iterator[list[ContainerPlan]]:
    """Decide each container in the manifest's order; yield the plans in chunks.

    `brought` are hashes of the items that the bundle will create or restore; `settled` containers are left out.
    """
    members = MemberReader(tx, manifest.action, bundle, brought)
    entries = (
        (position, container) for position, container in enumerate(manifest.containers)
        if (container.type, container.container_hash) not in settled
    )
    for chunk in chunked(entries):
        containers = [container for _, container in chunk]
        existing = container_reader.existing_containers(tx, containers)
        summaries = members.summarize(containers, existing)
        keys = [(container.type, container.container_hash) for container in containers]
        yield [
            _plan_container(manifest.action, entry, existing.get(key), bundle, summaries[key])
            for entry, key in zip(chunk, keys, strict=True)
        ]


def _plan_container(
    action: str, entry: tuple[int, Container], existing: ExistingContainer | None, bundle: BundleOrder,
    members: MemberSummary,
) -> ContainerPlan:
    position, container = entry
    decision, reason, changes = decide_container(action, container, existing, bundle, members)
    is_bringing = action != "remove"
    return ContainerPlan(
        position, container.type, container.container_hash, digests.container_digest(container),
        existing.target_digest if existing else digests.ABSENT, container.title, container.cover_hash, decision,
        reason, changes, members.total, tuple(members.missing) if is_bringing else (),
        members.missing_count if is_bringing else 0, existing.id if existing else None,
    )


def raise_if_bundle_gone(examined: BundleInspection, status: str, hint: str = REPEAT) -> None:
    """Raise Refused if the bundle is gone (docs/CONTRACT.md, 2.8)."""
    if examined.gone:
        (missing,) = examined.problems
        raise InvalidStateError(f"{missing}; the batch stays as it is: {status}.", hint)


def _lock(tx: Transaction, examined: BundleInspection) -> BatchRow:
    """Lock the batch. Raises NotFoundError, and InvalidStateError if its bundle is gone."""
    batch = ledger.lock_batch(tx, examined.sync_id)
    has_job = BatchStatus(batch["status"]).has_active_job
    raise_if_bundle_gone(examined, batch["status"], JOB_WAITS if has_job else REPEAT)
    preflight_requests.raise_if_open(tx, batch)
    return batch


def save_preflight(tx: Transaction, examined: BundleInspection, actor: str) -> PreflightResult:
    """Write the plan of a batch and its new status.

    Raises NotFoundError, and InvalidStateError if a job is active or the bundle is gone.
    """
    batch = _lock(tx, examined)
    job_queue.raise_if_active(tx, batch)
    outcome = write_plan(tx, batch, examined, actor)
    status = BatchStatus.PREFLIGHT_PASSED if outcome.ok else BatchStatus.PREFLIGHT_FAILED
    error = None if outcome.ok else "; ".join(outcome.problems)
    tx.execute("ledger.preflighted", batch_id=batch["id"], status=status, last_error=error)
    if error:
        search_words.save(tx, batch["id"], search_words.WordSet([error]))
    return outcome


def replan_open_items(tx: Transaction, examined: BundleInspection, actor: str) -> PreflightResult:
    """Plan the open items of a batch again; keep the other results.

    Raises: NotFoundError.
    Raises: InvalidStateError, if a job is active, the bundle is gone, its manifest is unreadable or another one, the
    open items have changed, or each of them would fail again.
    """
    batch = _lock(tx, examined)
    if examined.sha256 is None:
        raise InvalidStateError(f"Nothing was retried: {'; '.join(examined.problems)}.", MEND)
    is_same = not ledger.is_archived(batch) and batch["manifest_sha256"] == examined.sha256
    is_same = is_same and ledger.open_items(tx, batch["id"]) == examined.only
    if BatchStatus(batch["status"]).has_active_job or not is_same:
        message = f"Batch {examined.sync_id} has changed meanwhile; it is {batch['status']}."
        raise InvalidStateError(message, "Check it, then retry.")
    outcome = write_plan(tx, batch, examined, actor, phase="retry")
    if not outcome.ok:
        hint = f"{MEND} {QUEUE}" if examined.manifest and examined.manifest.containers else MEND
        raise InvalidStateError(f"Nothing was retried: {'; '.join(outcome.problems)}.", hint)
    tx.execute("ledger.preflighted", batch_id=batch["id"], status=BatchStatus.PREFLIGHT_PASSED, last_error=None)
    return outcome


def write_plan(
    tx: Transaction, batch: BatchRow, examined: BundleInspection, actor: str, phase: str = "preflight"
) -> PreflightResult:
    """Write decisions, columns and events for a locked batch.

    `phase` says who noticed a changed manifest: the preflight or the import. The counts of the batch are written only
    if all of its items are planned.
    """
    note_change(tx, batch, examined, actor, phase)
    ledger.append_event(tx, batch["id"], "preflight_started", _started(examined), actor)
    examined, bundle = _place(tx, batch, examined)
    manifest = examined.manifest
    counts, failures = _write_entries(tx, bundle, examined, manifest) if bundle and manifest else (Counter(), [])
    outcome = _judge(examined, counts, failures)
    if examined.only is None:
        tx.execute("ledger.planned", batch_id=batch["id"], plan=ledger.canonical_json(outcome.counts))
    ledger.append_event(tx, batch["id"], "preflight_finished", _finished(examined, outcome, failures), actor)
    return outcome


def _place(
    tx: Transaction, batch: BatchRow, examined: BundleInspection
) -> tuple[BundleInspection, BundleOrder | None]:
    """Fix the bundle's position in upstream's order, or add the reasons why it has none.

    A retry of some items keeps position and option of the plan that it continues.
    """
    manifest, kept, although_older = examined.manifest, None, examined.although_older
    if examined.only is not None:
        kept, although_older = batch["source_at"], bool(batch["although_older"])
    if manifest is None:
        return examined, None
    try:
        source_at = kept or order.source_at(tx, examined.sync_id, manifest)
    except OrderError as error:
        source_at, examined = None, examined._replace(problems=examined.problems + error.problems)
    tx.execute("ledger.place", batch_id=batch["id"], source_at=source_at, although_older=int(although_older))
    if source_at is None or examined.problems:
        return examined, None
    return examined, BundleOrder(Order(source_at, examined.sync_id), batch["id"], although_older)


def note_change(tx: Transaction, batch: BatchRow, examined: BundleInspection, actor: str, phase: str) -> None:
    """Write the manifest's columns, and an event if it has changed."""
    before, after = batch["manifest_sha256"], examined.sha256
    if before and after and before != after:
        payload = {"after": after, "before": before, "phase": phase}
        ledger.append_event(tx, batch["id"], "manifest_changed", payload, actor)
    if examined.manifest:
        facts = ledger.manifest_columns(examined.manifest, {}, None)
        tx.execute("ledger.facts", batch_id=batch["id"], last_error=batch["last_error"], **facts)


def _write_entries(
    tx: Transaction, bundle: BundleOrder, examined: BundleInspection, manifest: Manifest
) -> tuple[Counter[Decision], list[str]]:
    """Write the plans of items and containers; return counts of items by decision, and reasons of failures."""
    counts: Counter[Decision] = Counter()
    failures: list[str] = []
    memberships, brought, words = ContainerMemberships(manifest), set[str](), search_words.WordSet()
    for planned in iterate_plans(tx, examined, manifest, bundle, memberships):
        ledger.plan_items(tx, bundle.batch_id, planned)
        counts.update(plan.decision for plan in planned)
        failing = (plan.reason[:ledger.MAX_REASON_LENGTH] for plan in planned if plan.decision is Decision.WILL_FAIL)
        failures += list(failing)[: SAMPLES - len(failures)]
        words.add(text for plan in planned for text in (plan.item_title, plan.path))
        brought |= {plan.asset_hash for plan in planned if plan.decision in BRINGS} & memberships.members
    settled = set() if examined.only is None else ledger.settled_containers(tx, bundle.batch_id)
    for containers in iterate_container_plans(tx, manifest, bundle, brought, settled):
        ledger.plan_containers(tx, bundle.batch_id, containers)
        words.add(container.title for container in containers)
    words.add(failures)
    search_words.save(tx, bundle.batch_id, words)
    if examined.only is None:
        items = ((item.asset_type, item.asset_hash) for item in manifest.items)
        ledger.withdraw_items(tx, bundle.batch_id, items, "the manifest does not list this item any more")
        keys = ((each.type, each.container_hash) for each in manifest.containers)
        ledger.withdraw_containers(tx, bundle.batch_id, keys, "the manifest does not list this container any more")
    return counts, failures


def _judge(examined: BundleInspection, counts: Counter[Decision], failures: list[str]) -> PreflightResult:
    """Fail if the bundle has problems, or if each item would fail."""
    removing = (Decision.WILL_REMOVE,) if examined.manifest and examined.manifest.action == "remove" else ()
    total = counts.total()
    hopeless = total > 0 and counts[Decision.WILL_FAIL] == total
    whole = "the only item" if total == 1 else f"all {total} items"
    problems = examined.problems or ([f"{whole} would fail: {'; '.join(failures)}"] if hopeless else [])
    return PreflightResult(not problems, total, {str(d): counts[d] for d in sorted(COUNTED_PLANS + removing)}, problems)


def _started(examined: BundleInspection) -> dict[str, Any]:
    """The payload of preflight_started, with nulls for a refused manifest."""
    manifest = examined.manifest
    keys = ("action", "item_count", "item_type_counts", "prior_sync_id", "sync_type", "total_bytes")
    facts = {key: getattr(manifest, key) if manifest else None for key in keys}
    return facts | {
        "container_count": len(manifest.containers) if manifest else None,
        "manifest_sha256": examined.sha256, "phase": _phase(examined), "sync_id": examined.sync_id,
    }


def _finished(examined: BundleInspection, outcome: PreflightResult, failures: list[str]) -> dict[str, Any]:
    manifest = examined.manifest
    expected, listed = (manifest.verification.total_files if manifest else None), examined.files_listed
    files = {"files_expected": expected, "files_listed": listed} if listed not in (None, expected) else {}
    return files | {
        "counts": outcome.counts, "failure_samples": (examined.problems or failures)[:SAMPLES],
        "item_count": manifest.item_count if manifest else 0, "ok": int(outcome.ok), "phase": _phase(examined),
        "item_type_counts": manifest.item_type_counts if manifest else {},
    }


def _phase(examined: BundleInspection) -> str:
    """The phase of the events; those of a retry count the retried items alone."""
    return "preflight" if examined.only is None else "retry"
