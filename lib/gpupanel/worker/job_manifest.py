"""The manifest of a job, at its start and at its end.

A job imports the bytes that it read when it was claimed, if their entries are the approved ones
(docs/decisions/0110-plan-approval-result.md, "The bundle changed").
"""

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, TypeVar

from .. import order
from ..bundle_inspection import inspect_bundle
from ..db import Database, Transaction
from ..errors import BundleIncompleteError, ManifestError, PanelError
from ..manifest import Manifest, parse_manifest, reasons_not_consumable, sha256_hex
from ..mount import Mount, call_with_timeout
from ..order import BundleOrder, Order
from ..text import short_hash
from . import bundle_change, claims
from .chunk_writer import ImportRun
from .claims import SAME_MANIFEST, Claim, ImportResult, ManifestAtEnd, ManifestState
from .outage_retry import run_idempotent
from .document_prefetch import MOUNT_TIMEOUT_SECONDS
from .pipeline import Work, work_of_bundle

if TYPE_CHECKING:
    from .importer import Importer

T = TypeVar("T")

# Bounds the check of all files of a bundle.
INSPECT_SECONDS = 3600


class BundleChangedError(Exception):
    """The job has ended, since its bundle is not the approved one."""

    def __init__(self, result: ImportResult):
        super().__init__()
        self.result = result


class JobManifest:
    """The source of a job that imports a bundle: its manifest on the mount."""

    def __init__(self, db: Database, mount: Mount, claim: Claim, caller: "Importer", on_change: str):
        self._db, self._mount, self._claim, self._caller, self._on_change = db, mount, claim, caller, on_change
        self._imported: str | None = None

    def open(self) -> Work:
        """Return the bundle, with its position in upstream's order; a plan of 0.1.0 has none.

        Raises: BundleChangedError, when the job has ended because the bundle has other entries.
        Raises: BundleIncompleteError, MountUnavailableError, OrderError.
        """
        manifest = self.read_approved()
        self._imported = manifest.sha256
        claim = self._claim
        source_at = claim.source_at or run_idempotent(self._db, self._write_order, manifest)
        bundle = BundleOrder(Order(source_at, claim.sync_id), claim.batch_id, bool(claim.although_older))
        return work_of_bundle(ImportRun(bundle, claim.job_id, self._on_change), manifest)

    def _write_order(self, tx: Transaction, manifest: Manifest) -> datetime:
        claims.heartbeat(tx, self._claim)
        source_at = order.source_at(tx, self._claim.sync_id, manifest)
        tx.execute(
            "claims.write_order", batch_id=self._claim.batch_id, source_at=source_at,
            prior_sync_id=manifest.prior_sync_id,
        )
        return source_at

    def read_approved(self) -> Manifest:
        """Return the manifest, if it has the entries that were approved.

        Raises: BundleChangedError, when the job has ended because it has others.
        Raises: BundleIncompleteError or MountUnavailableError.
        """
        try:
            manifest = self._parse(self._read())
        except ManifestError:
            return self._end_changed()
        return manifest if self._is_approved(manifest) else self._end_changed()

    def _parse(self, raw: bytes) -> Manifest:
        return parse_manifest(raw, self._claim.sync_id, self._mount.settings, self._caller.checkpoint)

    @property
    def sha256(self) -> str | None:
        """The digest of the bytes that are imported."""
        return self._imported

    def compare_at_end(self) -> ManifestAtEnd:
        """Compare the manifest on the mount with the imported one; one that cannot be read is unknown."""
        try:
            sha256 = sha256_hex(self._read())
        except PanelError:
            return ManifestAtEnd(ManifestState.UNKNOWN)
        if sha256 == self._imported:
            return SAME_MANIFEST
        self._warn_of_change("the manifest changed during the import", sha256, self._imported)
        return ManifestAtEnd(ManifestState.CHANGED, sha256)

    def _read(self) -> bytes:
        return self._from_mount(MOUNT_TIMEOUT_SECONDS, lambda: self._mount.read_manifest(self._claim.sync_id))

    def _from_mount(self, seconds: float, look: Callable[[], T]) -> T:
        found: T = call_with_timeout(look, self._caller.checkpoint, seconds)
        return found

    def _is_approved(self, manifest: Manifest) -> bool:
        if manifest.sha256 == self._claim.manifest_sha256:
            return True
        if problems := reasons_not_consumable(manifest):
            raise BundleIncompleteError("; ".join(problems))
        self._warn_of_change("the manifest changed since the preflight", manifest.sha256, self._claim.manifest_sha256)
        return run_idempotent(self._db, bundle_change.accept, self._claim, manifest)

    def _warn_of_change(self, what: str, after: str, before: str | None) -> None:
        expected = f", expected {short_hash(before)}" if before else ""
        self._caller.warn(f"{what}: found {short_hash(after)}{expected}")

    def _end_changed(self) -> Manifest:
        """End the job with a new plan; return the manifest if upstream has put back the approved one meanwhile.

        Raises: BundleChangedError.
        """
        bundle = self._from_mount(INSPECT_SECONDS, lambda: inspect_bundle(self._mount, self._claim.sync_id))
        if bundle.gone or (bundle.manifest and bundle.problems):
            raise BundleIncompleteError("; ".join(bundle.problems))
        if bundle.manifest and bundle.sha256 == self._claim.manifest_sha256:
            return bundle.manifest
        self._caller.checkpoint()
        plan = run_idempotent(self._db, bundle_change.end_job, self._claim, bundle, self._on_change)
        if plan.successor_id:
            self._caller.warn(f"queued again as job {plan.successor_id}, with the new plan")
        raise BundleChangedError(plan.result)
