"""The demo: real bundles of every kind, and the whole way of each from the mount to the library, compared with its story."""

import subprocess
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from time import monotonic, sleep
from typing import Any, NamedTuple

from .. import actions, ledger
from ..actions import ScanReport
from ..database import Database, Reading
from ..errors import NotFound, PanelError, Refused
from ..model import DONE, BatchStatus, Decision
from ..mount import Mount
from . import bundles, children
from .bundles import Expectation, Story
from .text import tail

MARK = ".gpupanel-demo"
DONE_DECISIONS = frozenset(DONE.values())
BUSY = (BatchStatus.QUEUED, BatchStatus.IMPORTING)
OPEN = (BatchStatus.DISCOVERED, BatchStatus.PREFLIGHT_PASSED, *BUSY)
PATIENCE_SECONDS = 60
TOUCHED = frozenset(BatchStatus) - {BatchStatus.DISCOVERED}


class Result(NamedTuple):
    """What became of one bundle; `status` is None when the ledger does not know it.

    `new` says whether it was still to be imported when this run came; `as_told`, whether all is what its story expects;
    `right`, whether it is at least what becomes of it when somebody has imported the set in another order, or twice.
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


class Report(NamedTuple):
    """`planned` and `done` count what is new with this run."""

    scan: ScanReport
    results: list[Result]

    @property
    def as_told(self) -> bool:
        return all(result.as_told for result in self.results)

    @property
    def right(self) -> bool:
        return all(result.right for result in self.results)

    @property
    def planned(self) -> dict[str, int]:
        return _sum(result.planned for result in self.results if result.new)

    @property
    def done(self) -> dict[str, int]:
        return _sum(result.done for result in self.results if result.new)


def _sum(counts: Iterable[dict[str, int]]) -> dict[str, int]:
    total = sum(map(Counter, counts), Counter())
    return {str(decision): total[decision] for decision in Decision if total[decision]}


def write(
    sync_dir: Path, assets_dir: Path, seed: str = "1", more: int = 0, items: int = 100,
    attend: Callable[[], None] = lambda: None,
) -> list[list[Story]]:
    """Write the demo set, and `more` bundles of `items` photos each; what is there already stays.

    `attend` is called now and then, and may raise. The stories come in groups: those of one group do not depend on each other, but on the groups before. Raises Refused
    where somebody else's files are: the demo writes to no mount but its own (docs/CONTRACT.md, 2.2).
    """
    for folder in () if (sync_dir / MARK).exists() else (sync_dir, assets_dir):
        if any(path.is_file() for path in folder.glob("**/*")):
            raise Refused(f"{folder} holds files that are not the demo's.", "Name an empty folder as the mount.")
    sync_dir.mkdir(parents=True, exist_ok=True)
    (sync_dir / MARK).touch()
    one_by_one = [[story] for story in bundles.demo(sync_dir, assets_dir, seed, attend)]
    return [*one_by_one, list(_more(sync_dir, assets_dir, seed, more, items))]


def _more(sync_dir: Path, assets_dir: Path, seed: str, more: int, items: int) -> Iterator[Story]:
    writer = bundles.Writer(sync_dir, assets_dir, seed)
    expected = Expectation(BatchStatus.COMPLETED, {Decision.WILL_CREATE: items}, {Decision.CREATED: items})
    for number in range(1, more + 1):
        name = f"{items} more, {number}"
        yield Story(writer.bundle(name, writer.assets(name, items)), f"{items} photos, bundle {number}", expected)


def listing(stories: Iterable[Story]) -> list[tuple[str, str]]:
    """(sync_id, title) of each bundle; of one that cannot be imported, also what a scan will make of it."""
    return [(story.sync_id, story.title + _unseen(story.expectation)) for story in stories]


def _unseen(expected: Expectation) -> str:
    if not expected.passed_over:
        return ""
    return " (a scan passes it over)" if expected.status else " (no scan sees it)"


def once(
    db: Database, mount: Mount, groups: list[list[Story]], by: str, drain: Callable[[], None],
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Report:
    """Scan, then preflight, queue and import each story; `drain` runs a worker until the queue is empty.

    Group after group, since an update is planned against what the bundles before it have brought. Where somebody else
    has begun, in an order of their own, plans and decisions cannot be as told; what must hold then is in `_right`.
    """
    report = actions.scan_mount(db, mount, by)
    before = {story.sync_id: db.read(_result, story) for stories in groups for story in stories}
    disturbed = any(result.status in TOUCHED and not result.as_told for result in before.values())
    results: list[Result] = []
    for stories in groups:
        if any([_queue(db, mount, story.sync_id, by) for story in stories]):
            drain()
            _let_finish(db, stories)
        for story in stories:
            result = db.read(_result, story)
            right = result.as_told or disturbed and _right(result, story.expectation)
            results.append(result._replace(new=before[story.sync_id].new, right=right))
        progress(len(results), len(before))
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
    return batch["status"] in BUSY


def _let_finish(db: Database, stories: list[Story]) -> None:
    """Another worker on the same queue may have been faster than ours; it is waited for, but not forever."""
    deadline = monotonic() + PATIENCE_SECONDS
    while any(db.read(_batch, story.sync_id)["status"] in BUSY for story in stories) and monotonic() < deadline:
        sleep(0.1)


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
    new = batch["status"] in OPEN and not passed_over
    return Result(story.sync_id, story.title, batch["status"], planned, done, batch["last_error"], new, as_told, as_told)


def _right(result: Result, expected: Expectation) -> bool:
    """The status of the story, as many items done and failed as there, and nothing removed that should have stayed.

    A bundle that a scan passes over fails its preflight instead, when somebody queues it all the same.
    """
    if expected.passed_over and expected.status and result.problem:
        return result.status in (BatchStatus.DISCOVERED, BatchStatus.PREFLIGHT_FAILED) and not result.done
    done, told = Counter(result.done), Counter(expected.done)
    return (
        result.status == expected.status and done.total() == told.total()
        and done[Decision.FAILED] == told[Decision.FAILED] and done[Decision.REMOVED] <= told[Decision.REMOVED]
    )


def worker(worker_conf: Path) -> Callable[[], None]:
    """A `drain` for `once`: bin/import-worker as a process of its own, as in earnest.

    Raises PanelError when it could not start; a job that failed (status 1) is for the story to judge.
    """
    command = children.program("import-worker", "--config", str(worker_conf), "--once")

    def drain() -> None:
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
            try:
                said = process.communicate()[1].decode(errors="replace")
            except BaseException:
                process.terminate()  # it gives its job back; leaving the block waits for that
                raise
        if process.returncode not in (0, 1):
            raise PanelError(f"bin/import-worker --once ended with status {process.returncode}.", tail(said))

    return drain
