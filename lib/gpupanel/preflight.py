"""Manifest x library -> decisions -> ledger: what would happen to each item, before anything happens (docs/CONTRACT.md, 5)."""

from collections import Counter
from itertools import chain
from typing import Iterator, NamedTuple

from . import catalogue, ledger, pictures
from .catalogue import Key
from .database import Reading, Transaction, chunks
from .decision import Memberships, decide
from .errors import BundleIncomplete, ManifestError, Refused, UnsafePath
from .manifest import InvalidItem, Item, Manifest, parse_manifest, reasons_not_consumable, sha256_hex
from .model import PLANNED, BatchStatus, Decision, Plan
from .mount import Mount, at_once

CHECKERS = 16
SAMPLES = 5
MEND = "Mend the bundle or the library first."
BRING_BACK = "Bring the bundle back or make it readable, or ask upstream to hand it over again"
REPEAT, JOB_WAITS = f"{BRING_BACK}; then repeat this.", f"{BRING_BACK}; its job then goes on by itself."
QUEUE = "To go through its containers without these items, queue the whole batch."


class Examined(NamedTuple):
    """A bundle as the mount shows it now. `problems` are those of the bundle, `missing` maps the position of an item
    to what is not there; `manifest` is None when it was refused. `only` are the items that are to be planned, None means
    all of them. `gone`: its manifest or sentinel is not on the mount, or may not be read by this account, which says nothing
    about the batch."""

    sync_id: str
    sha256: str | None
    manifest: Manifest | None
    problems: list[str]
    missing: dict[int, str]
    only: set[Key] | None = None
    gone: bool = False

    def entries(self) -> Iterator[tuple[int, Item | InvalidItem]]:
        """Position and item of those that are to be planned."""
        for position, item in enumerate(self.manifest.items):
            if self.only is None or (item.asset_type, item.asset_hash) in self.only:
                yield position, item


class Outcome(NamedTuple):
    """What a preflight came to; `counts` has a number for each decision."""

    ok: bool
    item_count: int
    counts: dict[str, int]
    problems: list[str]


# ---------------------------------------------------------------------------------------------- the mount's part


def examine(mount: Mount, sync_id: str, only: set[Key] | None = None) -> Examined:
    """Read the manifest and look for the files of each item, or of `only` some. Raises MountUnavailable, never for the
    bundle's own faults."""
    raw = None
    try:
        raw = mount.manifest(sync_id)
        manifest = parse_manifest(raw, sync_id)
    except ManifestError as error:
        return Examined(sync_id, sha256_hex(raw) if raw is not None else None, None, error.problems or [str(error)], {})
    except (BundleIncomplete, UnsafePath) as error:
        problems = [str(error).rstrip(".")]
        return Examined(sync_id, None, None, problems, {}, gone=isinstance(error, BundleIncomplete))
    problems = reasons_not_consumable(manifest)
    examined = Examined(sync_id, manifest.sha256, manifest, problems, {}, only)
    if problems or manifest.action == "remove":
        return examined
    return examined._replace(missing=_missing(mount, examined))


def _missing(mount: Mount, examined: Examined) -> dict[int, str]:
    """Position -> what is missing, looked up by several threads at once, since a mount may answer slowly."""
    paths = [(position, item.path) for position, item in examined.entries() if isinstance(item, Item)]

    def check(some: list[tuple[int, str]]) -> list[tuple[int, str | None]]:
        return [(position, mount.check_item(path)) for position, path in some]

    found = chain.from_iterable(at_once(check, list(chunks(paths, 64)), CHECKERS))
    return {position: problem for position, problem in found if problem}


# ---------------------------------------------------------------------------------------------- the ledger's part


def plans(tx: Reading, examined: Examined) -> Iterator[list[Plan]]:
    """The plan for each item in the manifest's order, in lists of some hundred."""
    manifest = examined.manifest
    memberships = Memberships(manifest)
    for entries in chunks(examined.entries()):
        sound = [item for position, item in entries if position not in examined.missing and isinstance(item, Item)]
        known = catalogue.existing(tx, sound, memberships.containers)
        yield [_plan(examined, memberships, known, position, item) for position, item in entries]


def _plan(examined: Examined, memberships: Memberships, known: dict, position: int, item: Item | InvalidItem) -> Plan:
    identity = (position, item.asset_type, item.asset_hash, item.cover_hash)
    if isinstance(item, InvalidItem):
        return Plan(*identity, Decision.WILL_FAIL, "; ".join(item.problems))
    if position in examined.missing:
        reason = f"items[{position}].path: {examined.missing[position].rstrip('.')}"
        return Plan(*identity, Decision.WILL_FAIL, reason, path=item.path, picture=pictures.best(item))
    existing = known.get((item.asset_type, item.asset_hash))
    decision, reason, changes = decide(examined.manifest.action, item, existing, memberships.of(item))
    target = (existing.id, existing.covers.get(item.cover_hash)) if existing else (None, None)
    return Plan(*identity, decision, reason, changes, *target, item.path, pictures.best(item))


def require_there(examined: Examined, status: str, hint: str = REPEAT) -> None:
    """Absence is no instruction (docs/CONTRACT.md, 2.8). Raises Refused when the bundle is gone, whatever its batch's status."""
    if examined.gone:
        (missing,) = examined.problems
        raise Refused(f"{missing}; the batch stays as it is: {status}.", hint)


def _held(tx: Transaction, examined: Examined) -> dict:
    """The batch's row, locked. Raises NotFound, and Refused when its bundle is gone."""
    batch = ledger.lock(tx, examined.sync_id)
    require_there(examined, batch["status"], JOB_WAITS if BatchStatus(batch["status"]).busy else REPEAT)
    return batch


def record(tx: Transaction, examined: Examined, by: str) -> Outcome:
    """Write the plan of a batch and its new status. Raises NotFound, and Refused while a job has the batch, or when its
    bundle is gone; nothing is changed then."""
    batch = _held(tx, examined)
    if BatchStatus(batch["status"]).busy:
        raise Refused(f"Batch {examined.sync_id} is {batch['status']}.", "Wait for its job to end, or cancel it.")
    outcome = plan(tx, batch, examined, by)
    status = BatchStatus.PREFLIGHT_PASSED if outcome.ok else BatchStatus.PREFLIGHT_FAILED
    error = None if outcome.ok else "; ".join(outcome.problems)
    tx.run("ledger.preflighted", batch_id=batch["id"], status=status, last_error=error)
    return outcome


def reopen(tx: Transaction, examined: Examined, by: str) -> Outcome:
    """Plan some items of a batch anew and leave the others as a job has settled them.

    Raises NotFound, and Refused while a job has the batch, when the bundle is gone, when the manifest cannot be read or is
    another one than that job's or other items are open by now, and when each of the items would fail again; nothing is
    changed then.
    """
    batch = _held(tx, examined)
    if examined.sha256 is None:
        raise Refused(f"Nothing was retried: {'; '.join(examined.problems)}.", MEND)
    same = batch["manifest_sha256"] == examined.sha256 and ledger.open_items(tx, batch["id"]) == examined.only
    if BatchStatus(batch["status"]).busy or not same:
        raise Refused(f"Batch {examined.sync_id} has changed meanwhile; it is {batch['status']}.", "Look at it, then retry.")
    outcome = plan(tx, batch, examined, by, phase="retry")
    if not outcome.ok:
        hint = f"{MEND} {QUEUE}" if examined.manifest.containers else MEND
        raise Refused(f"Nothing was retried: {'; '.join(outcome.problems)}.", hint)
    tx.run("ledger.preflighted", batch_id=batch["id"], status=BatchStatus.PREFLIGHT_PASSED, last_error=None)
    return outcome


def plan(tx: Transaction, batch: dict, examined: Examined, by: str, phase: str = "preflight") -> Outcome:
    """Write decisions, facts and events of the manifest as read now; the batch's row is held, its status stays.

    `phase` says who noticed that the manifest changed: the preflight, or the import. What is told of the batch as a whole
    stays when only some of its items are planned.
    """
    _note_change(tx, batch, examined, by, phase)
    ledger.append(tx, batch["id"], "preflight_started", _started(examined), by)
    counts, failures = _write_items(tx, batch["id"], examined)
    outcome = _judge(examined, counts, failures)
    if examined.only is None:
        tx.run("ledger.planned", batch_id=batch["id"], plan=ledger.canonical(outcome.counts))
    ledger.append(tx, batch["id"], "preflight_finished", _finished(examined, outcome, failures), by)
    return outcome


def _note_change(tx: Transaction, batch: dict, examined: Examined, by: str, phase: str) -> None:
    """The batch takes over the facts of the bytes that were read now; other bytes than before are an event."""
    before, after = batch["manifest_sha256"], examined.sha256
    if before and after and before != after:
        ledger.append(tx, batch["id"], "manifest_changed", {"after": after, "before": before, "phase": phase}, by)
    if examined.manifest:
        facts = ledger.facts(examined.manifest, {}, None)
        tx.run("ledger.facts", batch_id=batch["id"], last_error=batch["last_error"], **facts)


def _write_items(tx: Transaction, batch_id: int, examined: Examined) -> tuple[Counter, list[str]]:
    """How many items have each decision, and the first reasons of those that will fail."""
    counts, failures = Counter(), []
    if examined.manifest is None or examined.problems:
        return counts, failures
    for planned in plans(tx, examined):
        ledger.plan_items(tx, batch_id, planned)
        counts.update(plan.decision for plan in planned)
        failing = (plan.reason[:ledger.LONGEST_REASON] for plan in planned if plan.decision is Decision.WILL_FAIL)
        failures += list(failing)[: SAMPLES - len(failures)]
    if examined.only is None:
        ledger.withdraw(tx, batch_id, examined.manifest)
    return counts, failures


def _judge(examined: Examined, counts: Counter, failures: list[str]) -> Outcome:
    """A preflight fails for the bundle's own problems, or when no item would succeed."""
    removing = (Decision.WILL_REMOVE,) if examined.manifest and examined.manifest.action == "remove" else ()
    total = counts.total()
    hopeless = total > 0 and counts[Decision.WILL_FAIL] == total
    whole = "the only item" if total == 1 else f"all {total} items"
    problems = examined.problems or ([f"{whole} would fail: {'; '.join(failures)}"] if hopeless else [])
    return Outcome(not problems, total, {str(d): counts[d] for d in sorted(PLANNED + removing)}, problems)


def _started(examined: Examined) -> dict:
    """The payload of preflight_started (docs/CONTRACT.md, 7); nulls where the manifest was refused."""
    manifest = examined.manifest
    keys = ("action", "item_count", "item_type_counts", "prior_sync_id", "sync_type", "total_bytes")
    facts = {key: getattr(manifest, key) if manifest else None for key in keys}
    return facts | {
        "container_count": len(manifest.containers) if manifest else None,
        "manifest_sha256": examined.sha256, "phase": _phase(examined), "sync_id": examined.sync_id,
    }


def _finished(examined: Examined, outcome: Outcome, failures: list[str]) -> dict:
    return {
        "counts": outcome.counts, "failure_samples": (examined.problems or failures)[:SAMPLES],
        "item_count": examined.manifest.item_count if examined.manifest else 0, "ok": int(outcome.ok), "phase": _phase(examined),
        "item_type_counts": examined.manifest.item_type_counts if examined.manifest else {},
    }


def _phase(examined: Examined) -> str:
    """A retry's events say so, since their counts are of the retried items alone."""
    return "preflight" if examined.only is None else "retry"
