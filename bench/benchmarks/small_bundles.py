"""Small bundles: what a job costs beside its items."""

from collections.abc import Iterator

from gpupanel import config, services
from gpupanel.mount import Mount

from .. import environment
from ..environment import BenchEnvironment
from ..runner import Comparison, run_in_turns

TITLE = "bundles of four items with their documents, jobs a second"
ITEMS = 4
NOTE = (
    "Each bundle has {items} items of some 8 rows and {files} documents an item. Timed from the first claim to the end"
    " of the last job; the server flushes its log at each commit."
)


def measure(full: bool) -> Iterator[Comparison]:
    count = 1000 if full else 300
    with environment.prepare_environment() as place:
        bundles = SmallBundles(place, count)
        contenders = {"one worker": lambda: bundles.run(1), "two workers": lambda: bundles.run(2)}
        figures = run_in_turns(contenders, 5 if full else 3)
    note = NOTE.format(items=ITEMS, files=1 + len(environment.DOCUMENTS))
    yield Comparison(f"{count:,} bundles", "jobs a second", "one worker", figures, notes=(note,))


class SmallBundles:
    """Bundles on the mount, queued anew and imported for each figure."""

    def __init__(self, place: BenchEnvironment, count: int):
        self._place = place
        self._sync_ids = [environment.bundle(place.assets_dir, f"small bundle {n}", ITEMS) for n in range(count)]
        self._mount = Mount(config.load(place.conf).mount)

    def run(self, workers: int) -> float:
        """Import all bundles with this many workers; returns jobs a second."""
        self._queue()
        for process in [self._place.worker() for _ in range(workers)]:
            process.wait()
        [row] = self._place.admin.execute(
            "SELECT COUNT(*) AS jobs, SUM(items_done) AS items, MIN(state = 'completed') AS done,"
            " COUNT(DISTINCT worker) AS workers,"
            " TIMESTAMPDIFF(MICROSECOND, MIN(claimed_at), MAX(finished_at)) / 1e6 AS seconds FROM import_job"
        )
        assert row["done"] and row["items"] == ITEMS * len(self._sync_ids) and row["workers"] == workers, row
        return row["jobs"] / float(row["seconds"])

    def _queue(self) -> None:
        self._place.empty()
        services.scan_mount(self._place.admin, self._mount, "bench")
        for sync_id in self._sync_ids:
            services.queue_batch(self._place.admin, self._mount, sync_id, "bench")
