"""Record bundles in the ledger, and why some are skipped.

docs/CONTRACT.md, 3 and 4.
"""

from typing import Any, NamedTuple

from . import ledger
from .database import Duplicate, Transaction
from .errors import BundleIncomplete, ManifestError, UnsafePath
from .manifest import parse_manifest, reasons_not_consumable, salvage_fields, sha256_hex
from .model import BatchStatus
from .mount import Mount
from .rows import BatchRow, Facts

DISCOVERED, PASSED_OVER, KNOWN = "discovered", "passed_over", "known"


class Finding(NamedTuple):
    """A scanned bundle; `problem` says why it is skipped, if it is."""

    sync_id: str
    facts: Facts
    problem: str | None


def examine(mount: Mount, sync_id: str) -> Finding:
    """Read a manifest; its faults are in the result. Raises MountUnavailable."""
    raw = None
    try:
        raw = mount.manifest(sync_id)
        manifest = parse_manifest(raw, sync_id)
    except ManifestError as error:
        glimpsed = salvage_fields(raw) if raw is not None else {}
        problem = f"{error}: {'; '.join(error.problems)}"
        return Finding(sync_id, ledger.facts(None, glimpsed, sha256_hex(raw) if raw is not None else None), problem)
    except (BundleIncomplete, UnsafePath) as error:
        return Finding(sync_id, ledger.facts(None, {}, None), str(error).rstrip("."))
    return Finding(sync_id, ledger.facts(manifest, {}, None), "; ".join(reasons_not_consumable(manifest)) or None)


def record(tx: Transaction, findings: list[Finding], by: str) -> dict[str, str]:
    """Write scanned bundles; return sync_id -> DISCOVERED, PASSED_OVER, KNOWN.

    A skipped bundle that is consumable now becomes discovered, and so does a failed preflight with another manifest.
    A bundle that another scan has recorded meanwhile is known.
    """
    return {finding.sync_id: _record(tx, finding, by) for finding in findings}


def _record(tx: Transaction, finding: Finding, by: str) -> str:
    row: BatchRow | None = tx.one("ledger.lock", sync_id=finding.sync_id)
    if row is None:
        return _discover(tx, finding, by)
    if not _has_changed(row, finding):
        return KNOWN
    if finding.problem is None or finding.problem != row["last_error"]:
        tx.run("ledger.facts", batch_id=row["id"], last_error=finding.problem, **finding.facts)
        tx.run("ledger.discover_again", batch_id=row["id"])
        _append(tx, row["id"], finding, by)
    return PASSED_OVER if finding.problem else DISCOVERED


def _has_changed(row: BatchRow, finding: Finding) -> bool:
    if row["status"] == BatchStatus.PREFLIGHT_FAILED:
        return finding.facts["manifest_sha256"] not in (None, row["manifest_sha256"])
    return row["status"] == BatchStatus.DISCOVERED and row["last_error"] is not None


def _discover(tx: Transaction, finding: Finding, by: str) -> str:
    try:
        with tx.savepoint():
            batch_id = tx.insert(
                "ledger.discover", sync_id=finding.sync_id, last_error=finding.problem, **finding.facts
            )
            _append(tx, batch_id, finding, by)
    except Duplicate:
        return KNOWN
    return PASSED_OVER if finding.problem else DISCOVERED


def _append(tx: Transaction, batch_id: int, finding: Finding, by: str) -> None:
    if finding.problem:
        payload = {"phase": "scan", "reason": finding.problem[:ledger.LONGEST_REASON], "source": "filesystem"}
        ledger.append(tx, batch_id, "bundle_passed_over", payload, by)
    else:
        ledger.append(tx, batch_id, "scan", ledger.spaced(_scan_payload({**finding.facts})), by)


def _scan_payload(facts: dict[str, Any]) -> dict[str, str]:
    """Keys, order and string values as in the events of the Perl scan."""
    keys = ("manifest_sha256", "sync_type", "action", "item_count", "total_bytes", "source_host")
    return {"source": "filesystem"} | {key: str(facts[key]) for key in keys}
