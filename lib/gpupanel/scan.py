"""Record bundles in the ledger, and why some are skipped.

docs/CONTRACT.md, 3 and 4.
"""

from typing import Any, NamedTuple

from . import ledger
from .db import DuplicateKeyError, Transaction
from .errors import BundleIncompleteError, ManifestError, UnsafePathError
from .manifest import parse_manifest, reasons_not_consumable, salvage_fields, sha256_hex
from .models import BatchStatus
from .mount import Mount
from .rows import BatchRow, Facts

DISCOVERED, PASSED_OVER, KNOWN, CHANGED = "discovered", "passed_over", "known", "changed_upstream"


class ScannedBundle(NamedTuple):
    """A scanned bundle; `problem` says why it is skipped, if it is."""

    sync_id: str
    facts: Facts
    problem: str | None


def inspect_bundle(mount: Mount, sync_id: str) -> ScannedBundle:
    """Read a manifest; its faults are in the result. Raises MountUnavailableError."""
    raw = None
    try:
        raw = mount.read_manifest(sync_id)
        manifest = parse_manifest(raw, sync_id)
    except ManifestError as error:
        glimpsed = salvage_fields(raw) if raw is not None else {}
        problem = f"{error}: {'; '.join(error.problems)}"
        return ScannedBundle(sync_id, ledger.manifest_columns(None, glimpsed, sha256_hex(raw) if raw is not None else None), problem)
    except (BundleIncompleteError, UnsafePathError) as error:
        return ScannedBundle(sync_id, ledger.manifest_columns(None, {}, None), str(error).rstrip("."))
    return ScannedBundle(sync_id, ledger.manifest_columns(manifest, {}, None), "; ".join(reasons_not_consumable(manifest)) or None)


def save_scan(tx: Transaction, findings: list[ScannedBundle], actor: str) -> dict[str, str]:
    """Write scanned bundles; return sync_id -> DISCOVERED, PASSED_OVER, KNOWN, CHANGED.

    A skipped bundle that is consumable now becomes discovered, and so does a failed preflight with another manifest.
    A bundle that another scan has recorded meanwhile is known. One that upstream replaced after its approval or import
    is changed until the next preflight, and nothing is written of it.
    """
    return {finding.sync_id: _record(tx, finding, actor) for finding in findings}


def _record(tx: Transaction, finding: ScannedBundle, actor: str) -> str:
    row: BatchRow | None = tx.fetch_one("ledger.lock", sync_id=finding.sync_id)
    if row is None:
        return _discover(tx, finding, actor)
    if not _has_changed(row, finding):
        return CHANGED if row["changed_at"] else KNOWN
    if finding.problem is None or finding.problem != row["last_error"]:
        tx.execute("ledger.facts", batch_id=row["id"], last_error=finding.problem, **finding.facts)
        tx.execute("ledger.discover_again", batch_id=row["id"])
        _append(tx, row["id"], finding, actor)
    return PASSED_OVER if finding.problem else DISCOVERED


def _has_changed(row: BatchRow, finding: ScannedBundle) -> bool:
    if row["status"] == BatchStatus.PREFLIGHT_FAILED:
        return finding.facts["manifest_sha256"] not in (None, row["manifest_sha256"])
    return row["status"] == BatchStatus.DISCOVERED and row["last_error"] is not None


def _discover(tx: Transaction, finding: ScannedBundle, actor: str) -> str:
    try:
        with tx.savepoint():
            batch_id = tx.insert(
                "ledger.discover", sync_id=finding.sync_id, last_error=finding.problem, **finding.facts
            )
            _append(tx, batch_id, finding, actor)
    except DuplicateKeyError:
        return KNOWN
    return PASSED_OVER if finding.problem else DISCOVERED


def _append(tx: Transaction, batch_id: int, finding: ScannedBundle, actor: str) -> None:
    if finding.problem:
        payload = {"phase": "scan", "reason": finding.problem[:ledger.MAX_REASON_LENGTH], "source": "filesystem"}
        ledger.append_event(tx, batch_id, "bundle_passed_over", payload, actor)
    else:
        ledger.append_event(tx, batch_id, "scan", ledger.spaced_json(_scan_payload({**finding.facts})), actor)


def _scan_payload(facts: dict[str, Any]) -> dict[str, str]:
    """Keys, order and string values as in the events of the Perl scan."""
    keys = ("manifest_sha256", "sync_type", "action", "item_count", "total_bytes", "source_host")
    return {"source": "filesystem"} | {key: str(facts[key]) for key in keys}
