"""Undo an update of many items, beside the import of the update: plan, job and memory of the worker."""

from collections.abc import Iterator
from time import perf_counter

from gpupanel import config, services, undo_service
from gpupanel.mount import Mount

from .. import environment
from ..environment import BenchEnvironment
from ..runner import Comparison, run_in_turns

TITLE = "an undo of an update, items a second"
TARGET = "the plan of 10,000 items within the 20 s of a request"
NOTE = (
    "Each item of the update has another title. The plan reads the results of the update and its library"
    " rows, and writes an item of the ledger each; the job reads both again under its locks, puts the rows back and"
    " records a result each."
)


def measure(full: bool) -> Iterator[Comparison]:
    for count in (1000, 10_000) if full else (1000,):
        with environment.prepare_environment() as place:
            yield _compared(place, count, 3)


def _compared(place: BenchEnvironment, count: int, rounds: int) -> Comparison:
    undo = Undo(place, count)
    figures = run_in_turns({"the import of the update": undo.bring}, 1, warm=False)
    figures |= run_in_turns({"the plan of its undo": undo.plan}, rounds)
    figures["the job of its undo"] = [undo.run() for _ in range(rounds)]
    standard = "the import of the update"
    figures[standard] *= rounds
    return Comparison(f"{count:,} items a bundle", "items a second", standard, figures, TARGET, (NOTE, undo.summary()))


class Undo:
    """An update of `count` photos, which is undone, imported again and undone again."""

    def __init__(self, place: BenchEnvironment, count: int):
        self._place, self._count, self._peak = place, count, 0.0
        self._mount = Mount(config.load(place.conf).mount)
        first = environment.bundle(place.assets_dir, "first", count)
        self._update = self._write_update()
        place.empty()
        services.scan_mount(place.admin, self._mount, "bench")
        self._import(first)

    def _write_update(self) -> str:
        """Write a bundle that changes title and source of each photo."""
        items = [environment.item("first", number) | {"title": "Untitled"} for number in range(self._count)]
        raw = environment.manifest("update", items, action="update", completed_at="2026-02-01T09:30:00Z")
        self._sync_dir = self._place.assets_dir / "sync"
        sync_id = environment.sync_id("update")
        (self._sync_dir / f"{sync_id}.json").write_bytes(raw)
        (self._sync_dir / f"{sync_id}.ready").touch()
        return sync_id

    def _import(self, sync_id: str) -> float:
        services.queue_batch(self._place.admin, self._mount, sync_id, "bench")
        return self._job()

    def _job(self) -> float:
        self._peak = max(self._peak, environment.peak(self._place.worker()))
        [row] = self._place.admin.execute(
            "SELECT state, items_done, TIMESTAMPDIFF(MICROSECOND, claimed_at, finished_at) / 1e6 AS seconds"
            " FROM import_job ORDER BY id DESC LIMIT 1"
        )
        assert (row["state"], row["items_done"]) == ("completed", self._count), row
        return self._count / float(row["seconds"])

    def bring(self) -> float:
        return self._import(self._update)

    def plan(self) -> float:
        began = perf_counter()
        planned = undo_service.plan_undo(self._place.admin, self._update, "bench")
        assert planned.plan is not None and planned.plan.counts["will_update"] == self._count
        return self._count / (perf_counter() - began)

    def run(self) -> float:
        """Undo the update, then import it again for the next round."""
        self.plan()
        [result] = undo_service.undo_batches(self._place.admin, [self._update], "bench")
        assert result.problem is None, result
        speed = self._job()
        self._import(self._update)
        return speed

    def summary(self) -> str:
        return f"Peak memory of the worker: {self._peak:.0f} MiB."
