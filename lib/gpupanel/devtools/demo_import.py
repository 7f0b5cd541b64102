"""Import the demo bundles and compare each with its expected outcome."""

import subprocess
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep
from typing import Any, NamedTuple

from .. import ledger, services
from ..scan_run import ScanReport
from ..db import Database, ReadTransaction
from ..errors import InvalidStateError, NotFoundError, PanelError
from ..models import BatchStatus, DONE_BY_PLAN, Decision
from ..mount import Mount
from . import bundle_factory, processes
from .bundle_factory import ExpectedOutcome, Scenario

MARKER_FILE = ".gpupanel-demo"
DONE_DECISIONS = frozenset(DONE_BY_PLAN.values())
ACTIVE = (BatchStatus.QUEUED, BatchStatus.IMPORTING)
OPEN = (BatchStatus.DISCOVERED, BatchStatus.PREFLIGHT_PASSED, *ACTIVE)
HANDLED = frozenset(BatchStatus) - {BatchStatus.DISCOVERED}
OTHER_WORKER_SECONDS = 60  # how long another worker on the same queue may take


@dataclass(frozen=True, slots=True)
class AdditionalBundles:
    """How many bundles of how many photos to write after the demo set."""

    bundles: int = 0
    items: int = 100


@dataclass(frozen=True, slots=True)
class ImportTarget:
    """An installation to import to.

    `drain` runs a worker until the queue is empty.
    """

    db: Database
    mount: Mount
    actor: str
    drain: Callable[[], None]


class ScenarioResult(NamedTuple):
    """Result of one bundle; `status` is None if the ledger has no such batch.

    `new`: the batch was not imported before this run. `as_told`: the result is exactly the expected outcome. `right`:
    the result is at least valid after imports in another order, or repeated ones. JSON uses these names.
    """

    sync_id: str
    title: str
    status: str | None
    planned: dict[str, int]
    done: dict[str, int]
    problem: str | None
    new: bool
    as_told: bool
    right: bool


class DemoReport(NamedTuple):
    """The results; `planned` and `done` count only new batches."""

    scan: ScanReport
    results: list[ScenarioResult]

    @property
    def as_told(self) -> bool:
        return all(result.as_told for result in self.results)

    @property
    def right(self) -> bool:
        return all(result.right for result in self.results)

    @property
    def planned(self) -> dict[str, int]:
        return _sum_counts(result.planned for result in self.results if result.new)

    @property
    def done(self) -> dict[str, int]:
        return _sum_counts(result.done for result in self.results if result.new)


def _sum_counts(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for count in counts:
        total.update(count)
    return {str(decision): total[decision] for decision in Decision if total[decision]}


def write_bundles(
    sync_dir: Path, assets_dir: Path, seed: str = "1", more: AdditionalBundles = AdditionalBundles(),
    checkpoint: Callable[[], None] = bundle_factory.no_checkpoint,
) -> list[list[Scenario]]:
    """Write the demo set and additional bundles.

    Files that exist already stay. Return the scenarios in groups: those of one group depend only on
    earlier groups. `checkpoint` is called before each bundle, and may raise. Raises InvalidStateError if the
    folders hold other files: the demo writes only to its own mount (docs/CONTRACT.md, 2.2).
    """
    for folder in () if (sync_dir / MARKER_FILE).exists() else (sync_dir, assets_dir):
        if any(path.is_file() for path in folder.glob("**/*")):
            raise InvalidStateError(
                f"{folder} holds files that are not the demo's.", "Name an empty folder as the mount."
            )
    sync_dir.mkdir(parents=True, exist_ok=True)
    (sync_dir / MARKER_FILE).touch()
    groups = [[scenario] for scenario in bundle_factory.write_demo_set(sync_dir, assets_dir, seed, checkpoint)]
    return [*groups, list(_write_additional(bundle_factory.BundleWriter(sync_dir, assets_dir, seed), more))]


def _write_additional(writer: bundle_factory.BundleWriter, more: AdditionalBundles) -> Iterator[Scenario]:
    items = more.items
    expected = ExpectedOutcome(BatchStatus.COMPLETED, {Decision.WILL_CREATE: items}, {Decision.CREATED: items})
    for number in range(1, more.bundles + 1):
        name = f"{items} more, {number}"
        yield Scenario(writer.bundle(name, writer.assets(name, items)), f"{items} photos, bundle {number}", expected)


def describe_scenarios(scenarios: Iterable[Scenario]) -> list[tuple[str, str]]:
    """Return (sync_id, title) of each bundle.

    The title says if a scan skips the bundle.
    """
    return [(scenario.sync_id, scenario.title + _scan_remark(scenario.expected)) for scenario in scenarios]


def _scan_remark(expected: ExpectedOutcome) -> str:
    if not expected.skip_reason:
        return ""
    return " (a scan skips this bundle)" if expected.status else " (no scan finds this bundle)"


def import_scenarios(
    target: ImportTarget, groups: list[list[Scenario]], progress: Callable[[int, int], None] = services.no_progress
) -> DemoReport:
    """Scan, then preflight, queue and import the scenarios, group after group.

    An update is planned against the library that the bundles before it have left. If batches were imported before in
    another order, plans and decisions differ from the expected ones; `_is_valid` states what still must hold.
    """
    db = target.db
    scan = services.scan_mount(db, target.mount, target.actor)
    before = {scenario.sync_id: db.run_read(_result, scenario) for scenarios in groups for scenario in scenarios}
    is_disturbed = any(result.status in HANDLED and not result.as_told for result in before.values())
    results: list[ScenarioResult] = []
    for scenarios in groups:
        if any([_queue(target, scenario.sync_id) for scenario in scenarios]):
            target.drain()
            _wait_for_other_worker(db, scenarios)
        for scenario in scenarios:
            result = db.run_read(_result, scenario)
            right = result.as_told or (is_disturbed and _is_valid(result, scenario.expected))
            results.append(result._replace(new=before[scenario.sync_id].new, right=right))
        progress(len(results), len(before))
    return DemoReport(scan, results)


def _queue(target: ImportTarget, sync_id: str) -> bool:
    """Queue the batch unless it is finished or skipped.

    Return whether it has an active job.
    """
    batch = target.db.run_read(_batch, sync_id)
    if batch["status"] == BatchStatus.DISCOVERED and batch["last_error"] is None:
        if not services.preflight_batch(target.db, target.mount, sync_id, target.actor).ok:
            return False
        batch = target.db.run_read(_batch, sync_id)
    if batch["status"] == BatchStatus.PREFLIGHT_PASSED:
        services.queue_batch(target.db, target.mount, sync_id, target.actor)
        return True
    return batch["status"] in ACTIVE


def _wait_for_other_worker(db: Database, scenarios: list[Scenario]) -> None:
    """Wait until another worker has finished these batches, for a while."""
    deadline = monotonic() + OTHER_WORKER_SECONDS
    while monotonic() < deadline:
        if not any(db.run_read(_batch, scenario.sync_id)["status"] in ACTIVE for scenario in scenarios):
            return
        sleep(0.1)


def _batch(tx: ReadTransaction, sync_id: str) -> Mapping[str, Any]:
    try:
        return ledger.get_batch(tx, sync_id)
    except NotFoundError:
        return {"status": None, "plan": None, "last_error": None}


def _result(tx: ReadTransaction, scenario: Scenario) -> ScenarioResult:
    batch = _batch(tx, scenario.sync_id)
    planned = {name: count for name, count in (batch["plan"] or {}).items() if count}
    decisions = ledger.decision_counts(tx, batch["id"]) if batch["status"] else {}
    done = {name: count for name, count in decisions.items() if name in DONE_DECISIONS}
    expected = scenario.expected
    is_skipped = batch["status"] is None or (batch["status"] == BatchStatus.DISCOVERED and bool(batch["last_error"]))
    as_told = (batch["status"], planned, done, is_skipped) == (
        expected.status, expected.planned, expected.done, bool(expected.skip_reason)
    )
    new = batch["status"] in OPEN and not is_skipped
    return ScenarioResult(
        scenario.sync_id, scenario.title, batch["status"], planned, done, batch["last_error"], new, as_told, as_told
    )


def _is_valid(result: ScenarioResult, expected: ExpectedOutcome) -> bool:
    """Return whether a result is valid after imports in another order.

    Status, done and failed items are as expected, and no more items were removed.

    A bundle that a scan skips fails its preflight instead, if an operator queued it anyway.
    """
    if expected.skip_reason and expected.status and result.problem:
        return result.status in (BatchStatus.DISCOVERED, BatchStatus.PREFLIGHT_FAILED) and not result.done
    done, expected_done = Counter(result.done), Counter(expected.done)
    return (
        result.status == expected.status and done.total() == expected_done.total()
        and done[Decision.FAILED] == expected_done[Decision.FAILED]
        and done[Decision.REMOVED] <= expected_done[Decision.REMOVED]
    )


def worker_runner(worker_conf: Path) -> Callable[[], None]:
    """Return a `drain` that runs `bin/import-worker --once` as a process.

    It raises PanelError if the worker could not start; a failed job (status 1) is a result like any other.
    """
    command = processes.program_command("import-worker", "--config", str(worker_conf), "--once")

    def drain() -> None:
        with subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        ) as process:
            try:
                log = process.communicate()[1].decode(errors="replace")
            except BaseException:
                process.terminate()  # the worker releases its job; leaving the block waits for that
                raise
        if process.returncode not in (0, 1):
            hint = processes.last_lines(log)
            raise PanelError(f"bin/import-worker --once ended with status {process.returncode}.", hint)

    return drain
