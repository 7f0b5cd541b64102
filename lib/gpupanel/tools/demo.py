"""The demo: real bundles of every kind, and the whole way of each from the mount to the library, compared with its story."""

import subprocess
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from .. import actions, ledger
from ..actions import ScanReport
from ..database import Database, Reading
from ..errors import NotFound, PanelError, Refused
from ..model import DONE, BatchStatus, Decision
from ..mount import Mount
from . import bundles, children
from .bundles import Expectation, Story

MARK = ".gpupanel-demo"
DONE_DECISIONS = frozenset(DONE.values())


class Result(NamedTuple):
    """What became of one bundle; `status` is None when the ledger does not know it, and `as_told` says whether all of
    this is what its story expects."""

    sync_id: str
    title: str
    status: str | None
    planned: dict[str, int]
    done: dict[str, int]
    problem: str | None
    as_told: bool


class Report(NamedTuple):
    scan: ScanReport
    results: list[Result]

    @property
    def as_told(self) -> bool:
        return all(result.as_told for result in self.results)

    @property
    def planned(self) -> dict[str, int]:
        return _sum(result.planned for result in self.results)

    @property
    def done(self) -> dict[str, int]:
        return _sum(result.done for result in self.results)


def _sum(counts: Iterable[dict[str, int]]) -> dict[str, int]:
    total = sum(map(Counter, counts), Counter())
    return {str(decision): total[decision] for decision in Decision if total[decision]}


def write(sync_dir: Path, assets_dir: Path, seed: str = "1", more: int = 0, items: int = 100) -> list[list[Story]]:
    """Write the demo set, and `more` bundles of `items` photos each; what is there already stays.

    The stories come in groups: those of one group do not depend on each other, but on the groups before. Raises Refused
    where somebody else's files are: the demo writes to no mount but its own (DESIGN promise 2).
    """
    for folder in () if (sync_dir / MARK).exists() else (sync_dir, assets_dir):
        if any(path.is_file() for path in folder.glob("**/*")):
            raise Refused(f"{folder} holds files that are not the demo's.", "Name an empty folder as the mount.")
    sync_dir.mkdir(parents=True, exist_ok=True)
    (sync_dir / MARK).touch()
    one_by_one = [[story] for story in bundles.demo(sync_dir, assets_dir, seed)]
    return [*one_by_one, list(_more(sync_dir, assets_dir, seed, more, items))]


def _more(sync_dir: Path, assets_dir: Path, seed: str, more: int, items: int) -> Iterator[Story]:
    writer = bundles.Writer(sync_dir, assets_dir, seed)
    expected = Expectation(BatchStatus.COMPLETED, {Decision.WILL_CREATE: items}, {Decision.CREATED: items})
    for number in range(1, more + 1):
        name = f"{items} more, {number}"
        yield Story(writer.bundle(name, writer.assets(name, items)), f"{items} photos, bundle {number}", expected)


def once(
    db: Database, mount: Mount, groups: list[list[Story]], by: str, drain: Callable[[], None],
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Report:
    """Scan, then preflight, queue and import each story; `drain` runs a worker until the queue is empty.

    Group after group, since an update is planned against what the bundles before it have brought.
    """
    report = actions.scan_mount(db, mount, by)
    results, total = [], sum(map(len, groups))
    for stories in groups:
        if any([_queue(db, mount, story.sync_id, by) for story in stories]):
            drain()
        results += [db.read(_result, story) for story in stories]
        progress(len(results), total)
    return Report(report, results)


def _queue(db: Database, mount: Mount, sync_id: str, by: str) -> bool:
    """Whether the batch is queued now; one that is settled, or passed over, is left alone."""
    batch = db.read(_batch, sync_id)
    if batch["status"] == BatchStatus.DISCOVERED and batch["last_error"] is None:
        if not actions.preflight_batch(db, mount, sync_id, by).ok:
            return False
        batch = db.read(_batch, sync_id)
    if batch["status"] == BatchStatus.PREFLIGHT_PASSED:
        actions.queue_batch(db, mount, sync_id, by)
        return True
    return batch["status"] in (BatchStatus.QUEUED, BatchStatus.IMPORTING)


def _batch(tx: Reading, sync_id: str) -> dict[str, Any]:
    try:
        return ledger.batch(tx, sync_id)
    except NotFound:
        return {"status": None, "plan": None, "last_error": None}


def _result(tx: Reading, story: Story) -> Result:
    batch = _batch(tx, story.sync_id)
    planned = {name: count for name, count in (batch["plan"] or {}).items() if count}
    decisions = ledger.decision_counts(tx, batch["id"]) if batch["status"] else {}
    done = {name: count for name, count in decisions.items() if name in DONE_DECISIONS}
    expected = story.expectation
    passed_over = batch["status"] is None or batch["status"] == BatchStatus.DISCOVERED and bool(batch["last_error"])
    as_told = (batch["status"], planned, done, passed_over) == (
        expected.status, expected.planned, expected.done, bool(expected.passed_over)
    )
    return Result(story.sync_id, story.title, batch["status"], planned, done, batch["last_error"], as_told)


def worker(worker_conf: Path) -> Callable[[], None]:
    """A `drain` for `once`: bin/import-worker as a process of its own, as in earnest.

    Raises PanelError when it could not start; a job that failed (status 1) is for the story to judge.
    """
    command = children.program("import-worker", "--config", str(worker_conf), "--once")

    def drain() -> None:
        ended = subprocess.run(command, capture_output=True, text=True, errors="replace", stdin=subprocess.DEVNULL)
        if ended.returncode not in (0, 1):
            raise PanelError(f"bin/import-worker --once ended with status {ended.returncode}.", ended.stderr[-2000:].strip())

    return drain
