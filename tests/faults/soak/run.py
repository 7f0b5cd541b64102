"""Run one soak; return what was lost, and the measurements."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import NamedTuple

from bench.environment import slow_mount
from campaign import snapshot
from constants import NAME, password
from gpupanel.db import Database, schema
from gpupanel.db.expected import ARCHIVER, SEALER
from load.chaos import Chaos
from load.deployment import WORKER, Deployment, open_deployment
from load.invariants import settle
from load.operators import BATCHES, TASKS, Operator, ResponseLog
from load.run import Figures

from .feed import Feed, lost
from .slices import Slices

# Each commit is flushed, as in service. The rows exceed the buffer pool early, as those of a year do.
OPTIONS = (
    "--innodb-flush-log-at-trx-commit=1", "--innodb-buffer-pool-size=128M", "--innodb-log-file-size=512M",
)
SIZES = {1: 40, 4: 30, 100: 28, 2000: 2}  # items of a bundle: its share of the bundles
REFRESH_SECONDS = 3  # of an open page (static/panel.js)
STAYS = 10  # refreshes until a tab follows another batch
OLD = """SELECT LEAST({latest}, COALESCE(MIN(started_at), NOW(6))) AS `before` FROM ingest_batch
         WHERE status IN ('preflight_passed', 'queued', 'importing')"""
KILLS = {("worker", "kill -9"): 1}


class Size(NamedTuple):
    """Sizes: two workers or more, four slices or more; `kill_seconds` is the longest time between two kills."""

    seconds: float = 600
    slices: int = 10
    workers: int = 2
    readers: int = 32
    operators: int = 4
    browsers: int = 3
    backlog: int = 6000
    delay_ms: int = 25
    kill_seconds: float = 30


class Tab(Operator):
    """A page that stays open in a browser and refreshes itself."""

    def __init__(self, site: Deployment, answers: ResponseLog, address: Callable[[], str], stays: int = 0):
        super().__init__(site, "reader", answers)
        self._address, self._stays, self._refreshes = address, stays, 0
        self._open = self._etag = ""

    def refresh(self) -> float:
        if not self._open or (self._stays and self._refreshes % self._stays == 0):
            self._open, self._etag = self._address(), ""
        self._refreshes += 1
        headers = {"Accept": "text/html", "X-Refresh": "1", "If-None-Match": self._etag}
        self._etag = self.send("GET", self._open, None, headers)[2]
        return REFRESH_SECONDS


class Loops:
    """Context that repeats each step in a thread of its own; a step returns the seconds until the next time."""

    def __init__(self, *steps: Callable[[], float]):
        self._over, self._pool = Event(), ThreadPoolExecutor(len(steps))
        self._work = [self._pool.submit(self._repeat, step) for step in steps]

    def _repeat(self, step: Callable[[], float]) -> None:
        while not self._over.wait(step()):
            pass

    def check(self) -> None:
        """Raise what a step raised."""
        for work in self._work:
            if work.done():
                work.result()

    def __enter__(self) -> "Loops":
        return self

    def __exit__(self, *exc) -> None:
        self._over.set()
        self._pool.shutdown()
        self.check()


class Records:
    """Seals and archives, each under its own account, as timers do."""

    def __init__(self, site: Deployment, figures: Figures, age_seconds: float):
        self._site, self._figures, self._age = site, figures, age_seconds
        for account in (SEALER, ARCHIVER):
            schema.open_account(site.server.admin(NAME), account, password(account))
        self._seal_conf, self._archive_conf = map(site.configuration, (SEALER, ARCHIVER))
        self._db = Database(site.server.admin(NAME))
        self.folder, self.heads = site.folder / "archives", site.folder / "heads"
        self.folder.mkdir()
        self.heads.touch()

    def command(self, *arguments: str, conf: Path | None = None) -> str:
        done = self._site.shell(*arguments, conf=conf)
        self._figures.require(done.returncode == 0, f"{' '.join(arguments)}: {done.stdout[-500:]}{done.stderr[-500:]}")
        return done.stdout

    def seal(self) -> float:
        with open(self.heads, "a") as journal:
            journal.write(self.command("seal", "--quiet", conf=self._seal_conf))
        return self._age / 4

    def archive(self) -> float:
        self._archive_before(f"NOW(6) - INTERVAL {self._age} SECOND")
        return self._age / 4

    def _archive_before(self, latest: str) -> None:
        """Archive what is older than `latest` and than every queued plan (docs/decisions/0170)."""
        (row,) = self._db.execute(OLD.format(latest=latest))
        before = row["before"].isoformat()
        self.command("archive", "--before", before, "--to", str(self.folder), conf=self._archive_conf)

    def verify(self) -> None:
        """Seal what is left; verify all receipts, and by themselves those of an archived batch and of another one."""
        self.seal()
        where = ("--archives", str(self.folder))
        found = self.command("verify", "--all", "--heads", str(self.heads), *where)
        self._figures.require(found.startswith("proven") and "\n" not in found.strip(), found)
        rows = self._site.admin.execute(
            "SELECT (SELECT sync_id FROM ingest_batch WHERE archived_at IS NOT NULL LIMIT 1) AS archived,"
            " (SELECT sync_id FROM ingest_batch WHERE archived_at IS NULL LIMIT 1) AS kept"
        )
        for sync_id in filter(None, rows[0].values()):
            file = self._site.folder / f"{sync_id}.jsonl"
            file.write_text(self.command("receipt", sync_id, *where))
            self.command("verify", str(file))

    def restore(self) -> None:
        """Archive what is left, and bring everything back."""
        self._archive_before("NOW(6)")
        for file in self.folder.iterdir():
            self.command("restore-archive", str(file), conf=self._archive_conf)


def run(folder: Path, size: Size, sizes: dict[int, int] = SIZES, say: Callable = print) -> tuple[list[str], Slices]:
    """Run the soak; return what was lost or failed, and the measurements."""
    figures, pages, forms = Figures(say), ResponseLog(), ResponseLog()
    environ = slow_mount(folder, folder / "assets", size.delay_ms)
    worker = WORKER | {"readers": size.readers}
    with open_deployment(folder, size, OPTIONS, worker=worker, environ=environ) as site:
        records = Records(site, figures, size.seconds / size.slices / 2)
        feeds = [Feed(Operator(site, f"operator {n}", forms), site, sizes, size.backlog) for n in range(size.operators)]
        slices = Slices(site, pages)
        site.start()
        Operator(site, "first", ResponseLog()).insist(do="scan")  # returns once the panel listens
        tabs = [tab for number in range(size.browsers) for tab in _tabs(site, pages, feeds[number % len(feeds)])]
        chaos = Chaos(site, KILLS, (1, size.kill_seconds), spared=site.keepers[1])
        steps = [records.seal, records.archive, *(feed.step for feed in feeds), *(tab.refresh for tab in tabs)]
        with chaos, Loops(*steps) as loops:
            slices.measure(size.seconds, size.slices, loops.check)
        figures.problems += figures.timed("until the last job had ended", settle, site) + lost(site, feeds)
        _check(site, records, figures)
        _tell(site, chaos, feeds, {"open pages": pages, "forms": forms}, figures)
    return figures.problems, slices


def _tabs(site: Deployment, answers: ResponseLog, feed: Feed) -> list[Tab]:
    def newest() -> str:
        return f"{BATCHES}?action=detail&sync_id={feed.newest}" if feed.newest else BATCHES

    return [Tab(site, answers, lambda: BATCHES), Tab(site, answers, newest, STAYS), Tab(site, answers, lambda: TASKS)]


def _check(site: Deployment, records: Records, figures: Figures) -> None:
    """Check that library, receipts, archives and events are whole."""
    (archived,) = site.admin.execute("SELECT COUNT(*) AS batches FROM ingest_archive")
    figures.timed("library and mount compared", records.command, "reconcile", "--limit", "10")
    figures.timed(f"all receipts verified, with those of {archived['batches']:,} archived batches", records.verify)
    figures.timed("all batches archived and restored", records.restore)
    figures.problems += snapshot.broken_invariants(site.admin)[:10]
    for log in site.folder.glob("*.log"):
        figures.require("Traceback" not in log.read_text(errors="replace"), f"{log.name} has a traceback")
    for keeper in site.keepers:
        figures.require(not keeper.unexpected, f"a {keeper.role} ended with {keeper.unexpected}")


def _tell(
    site: Deployment, chaos: Chaos, feeds: list[Feed], responses: dict[str, ResponseLog], figures: Figures
) -> None:
    """Print what was done, and check the responses."""
    (jobs,) = site.admin.execute("SELECT COUNT(*) AS n, SUM(attempts) AS attempts FROM import_job")
    figures.say(
        f"{sum(feed.bundles for feed in feeds):,} bundles of {sum(feed.assets for feed in feeds):,} assets,"
        f" {sum(feed.updates for feed in feeds):,} updates of bundles;"
        f" {jobs['n']:,} jobs in {jobs['attempts']:,} attempts; {sum(chaos.befell.values())} kills of a worker"
    )
    for what, answers in responses.items():
        statuses = sorted(answers.statuses.items(), key=str)
        figures.say(f"{what}: " + ", ".join(f"{n:,} x {status}" for status, n in statuses))
        failed = {status: n for status, n in answers.statuses.items() if status not in (200, 304)}
        figures.require(not failed, f"{what} failed: {failed} {answers.wrong[:3]}")
