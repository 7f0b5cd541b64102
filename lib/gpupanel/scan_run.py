"""One scan of the mount: read the bundles that are not known, and record them in groups.

Threads read the manifests outside of any transaction. One transaction records a group.
"""

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field

from . import ledger, scan
from .db import Database, DataError
from .errors import MountTimeoutError
from .models import BatchStatus
from .mount import Mount, iterate_unordered, seconds_left
from .rows import SkippedBundle

SCAN_THREADS, COSTLY_THREADS = 8, 2  # threads that read manifests; each large one takes memory

Progress = Callable[[int, int], None]  # called with (done, total)


@dataclass
class ScanReport:
    """The result of a scan.

    `passed_over` maps a skipped bundle to the reason; `changed_upstream` are bundles that upstream replaced after their
    approval or import; `strays` are sentinels whose name is no sync_id; `left` are the bundles that were not read for
    lack of time.
    """

    sentinels: int = 0
    known: int = 0
    discovered: list[str] = field(default_factory=list)
    passed_over: dict[str, str] = field(default_factory=dict)
    changed_upstream: list[str] = field(default_factory=list)
    strays: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)

    def add(self, findings: list[scan.ScannedBundle], outcomes: dict[str, str]) -> None:
        """Add bundles that were read, with what `scan.record` returned for them."""
        for finding in findings:
            if outcomes[finding.sync_id] == scan.DISCOVERED:
                self.discovered.append(finding.sync_id)
            elif outcomes[finding.sync_id] == scan.PASSED_OVER:
                self.passed_over[finding.sync_id] = finding.problem or ""
            elif outcomes[finding.sync_id] == scan.CHANGED:
                self.changed_upstream.append(finding.sync_id)
            else:
                self.known += 1

    def add_skipped(self, bundle: SkippedBundle) -> None:
        """Add a bundle that was skipped before and not read again."""
        if bundle["status"] == BatchStatus.DISCOVERED:
            self.passed_over[bundle["sync_id"]] = bundle["last_error"] or ""
        else:
            self.known += 1


class ScanRun:
    """Reads bundles that are not known, and records them in groups as they are read."""

    def __init__(self, db: Database, mount: Mount, actor: str, report: ScanReport, progress: Progress):
        self._db, self._mount, self._actor, self._report, self._progress = db, mount, actor, report, progress
        self._costly: list[scan.CostlyBundle] = []

    def run(self, sync_ids: list[str], deadline: float | None) -> None:
        """Read small manifests, then large ones by size. Raises MountUnavailableError."""
        self._left, self._total = dict.fromkeys(sync_ids), len(sync_ids)
        self._skipped = self._db.run_read(ledger.skipped_bundles, sync_ids)
        try:
            self._read_all(list(self._left), scan.COSTLY_BYTES, SCAN_THREADS, deadline)
            by_size = [bundle.sync_id for bundle in sorted(self._costly, key=lambda bundle: bundle.size)]
            self._read_all(by_size, None, COSTLY_THREADS, deadline)
        except MountTimeoutError:
            pass  # the report names what is left
        self._report.left = list(self._left)

    def _read_all(self, sync_ids: list[str], most_bytes: int | None, threads: int, deadline: float | None) -> None:
        def read(sync_id: str) -> scan.ScannedBundle | scan.CostlyBundle | scan.UnchangedBundle:
            skipped = self._skipped.get(sync_id)
            return scan.scan_bundle(
                self._mount, sync_id, most_bytes=most_bytes, skipped_state=skipped and skipped["skipped_state"],
            )

        for group in iterate_unordered(read, sync_ids, threads, seconds_left(deadline)):
            self._record([future for _, future in group])

    def _record(self, reads: list["Future[scan.ScannedBundle | scan.CostlyBundle | scan.UnchangedBundle]"]) -> None:
        """Record what was read, then raise what a read raised."""
        results = [read.result() for read in reads if read.exception() is None]
        findings = [result for result in results if isinstance(result, scan.ScannedBundle)]
        findings.sort(key=lambda finding: finding.sync_id)  # equal mounts make equal ledgers, whichever read ends first
        if findings:
            self._save(findings)
        for result in results:
            if isinstance(result, scan.CostlyBundle):
                self._costly.append(result)
                continue
            if isinstance(result, scan.UnchangedBundle):
                self._report.add_skipped(self._skipped[result.sync_id])
            del self._left[result.sync_id]
        self._progress(self._total - len(self._left), self._total)
        for read in reads:
            read.result()

    def _save(self, findings: list[scan.ScannedBundle]) -> None:
        """Record bundles together; where the database cannot store one of them, each by itself."""
        try:
            self._report.add(findings, self._db.run_transaction(scan.save_scan, findings, self._actor))
        except DataError as error:
            if len(findings) > 1:
                for finding in findings:
                    self._save([finding])
                return
            self._save_without_facts(findings[0].sync_id, error)

    def _save_without_facts(self, sync_id: str, error: DataError) -> None:
        """Record a bundle whose texts the database cannot store, as skipped; the next scan tries again."""
        skipped = scan.without_facts(sync_id, str(error))
        try:
            outcomes = self._db.run_transaction(scan.save_scan, [skipped], self._actor)
        except DataError:  # it is in the report at least
            outcomes = {sync_id: scan.PASSED_OVER}
        self._report.add([skipped], outcomes)
