"""A data set with batches of every status and jobs of every state.

The panel and the worker make it. Only values that take hours are written by SQL: ends of jobs, ages of heartbeats,
numbers of items of large bundles.
"""

from typing import NamedTuple

import worker_helpers
from gpupanel import services, undo_service
from gpupanel.devtools import demo_import
from gpupanel.devtools.bundle_factory import BundleWriter
from gpupanel.devtools.bundle_factory.generated_asset import GeneratedAsset
from gpupanel.mount import Mount
from gpupanel.worker import job_release

ACTOR = "mara.ellison"


class BusyDataset(NamedTuple):
    """The sync_ids of one batch for each case."""

    completed: str
    gallery: str
    updated: str
    films: str
    partial: str
    failed: str
    refused: str
    passed_over: str
    discovered: str
    planned: str
    emptying: str
    retry: str
    changed: str
    queued: str
    running: str
    undo: str


def without_title(item, files):
    """Remove the title from an item of the manifest."""
    return item | {"title": None}, files


class DatasetBuilder:
    """Builds the data set in these databases and on this mount."""

    def __init__(self, admin_db, panel_db, worker_db, worker_conf, mount: Mount):
        self.admin, self.panel, self.worker, self.conf, self.mount = admin_db, panel_db, worker_db, worker_conf, mount
        self.sync, self.assets = mount.sync_dir, mount.assets_dir
        self.writer = BundleWriter(self.sync, self.assets, "evening", pictures=5)

    def build(self) -> BusyDataset:
        """Build the data set; return the sync_ids of its cases."""
        scenarios = [
            scenario.sync_id for group in demo_import.write_bundles(self.sync, self.assets) for scenario in group
        ]
        partial, refused, failed = scenarios[6:9]
        self._scan()
        self._import(*scenarios[:7], failed)
        services.preflight_batch(self.panel, self.mount, refused, ACTOR)
        retry, changed = self._import_changed_bundles()
        undo = undo_service.plan_undo(self.panel, scenarios[4], ACTOR).sync_id
        self._spread_over_the_day()
        planned, emptying = self._preflight_two()
        discovered = self._scan_many()
        queued, running = self._make_jobs()
        return BusyDataset(
            completed=scenarios[0], gallery=scenarios[1], updated=scenarios[4], films=scenarios[3],
            partial=partial, failed=failed, refused=refused, passed_over=scenarios[11], discovered=discovered,
            planned=planned, emptying=emptying, retry=retry, changed=changed, queued=queued, running=running,
            undo=undo,
        )

    def _scan(self) -> None:
        services.scan_mount(self.panel, self.mount, ACTOR)

    def _queue_all(self, *sync_ids: str, **kwargs) -> list[int]:
        options = services.QueueOptions(**kwargs)
        return [services.queue_batch(self.panel, self.mount, sync_id, ACTOR, options) for sync_id in sync_ids]

    def _import(self, *sync_ids: str) -> None:
        for sync_id in sync_ids:
            self._queue_all(sync_id)
            worker_helpers.drain(self.conf)

    def _bundle(self, name: str, count: int, **options) -> str:
        return self.writer.bundle(name, self._photos(name, count), **options)

    def _photos(self, name: str, count: int) -> list[GeneratedAsset]:
        return list(self.writer.assets(name, count, derivatives=("thumb",), documents=("photo.manifest.json",)))

    def _import_changed_bundles(self) -> tuple[str, str]:
        """Import a bundle that lost a file, and one with a changed manifest, which gets a new plan instead."""
        lost, new, quay = self._bundle("orchard", 12), self._bundle("ferry", 3), self._bundle("quay", 5)
        self._scan()
        self._queue_all(lost, new, quay)
        gone = self._photos("orchard", 12)[4]
        (self.assets / gone.path / "source" / "source.json").unlink()
        self._bundle("ferry", 5, replace=True)
        worker_helpers.drain(self.conf)
        return lost, new

    def _preflight_two(self) -> tuple[str, str]:
        """Preflight two bundles: new photos, and an update that clears titles."""
        photos = self._photos("quay", 5)
        untitled = photos[0]._replace(broken=without_title)
        again = [untitled, photos[1]._replace(title="The quay at dusk"), *photos[2:]]
        ids = self._bundle("harbour", 18), self.writer.bundle("quay again", again, action="update")
        self._scan()
        for sync_id in ids:
            services.preflight_batch(self.panel, self.mount, sync_id, ACTOR)
        return ids

    def _scan_many(self) -> str:
        """Scan more bundles than one page lists, from several hosts."""
        hosts = ("cloud-sync.example", "studio-berlin.cloud-sync.example", "archive-02.cloud-sync.example")
        ids = [self._bundle(f"crowd {n}", 1 + n % 9, files=False, source_host=hosts[n % 3]) for n in range(84)]
        self._scan()
        self._sql("""UPDATE ingest_batch SET item_count = 1 + id * 7919 %% 1840,
                     total_bytes = id * 7919 %% 9973 * 1000000, discovered_at = NOW(6) - INTERVAL id * id SECOND
                     WHERE sync_id IN %(ids)s""", ids=ids)
        return ids[5]

    def _make_jobs(self) -> tuple[str, str]:
        """Make running, stalled and dead jobs, and queued ones."""
        ids = [self._bundle(f"line {n}", 2) for n in range(8)]
        self._scan()
        jobs = self._queue_all(*ids[:4], priority=10) + self._queue_all(*ids[4:])
        for letter in "abc":
            worker_helpers.take(self.worker, letter)
        released = worker_helpers.take(self.worker, "d")
        self.worker.run_transaction(job_release.release, released, f"{ids[3]}.json is not on the mount")
        self._run(jobs[0], 100, 412, 1240, 2)
        self._run(jobs[1], 1000, 96, 528, 3)
        self._run(jobs[2], 4000, 31, 60, 1900)
        self._sql("UPDATE import_job SET queued_at = queued_at - INTERVAL id MINUTE WHERE state = 'queued'")
        return ids[4], ids[0]

    def _run(self, job: int, seconds: int, done: int, total: int, beat: int) -> None:
        """Make a claimed job run for `seconds`, with one progress event."""
        self._sql("""UPDATE import_job SET claimed_at = NOW(6) - INTERVAL %(seconds)s SECOND, items_done = %(done)s,
                     items_total = %(total)s, heartbeat_at = NOW(6) - INTERVAL %(beat)s SECOND WHERE id = %(job)s""",
                  job=job, seconds=seconds, done=done, total=total, beat=beat)
        self._sql("""UPDATE ingest_event SET created_at = NOW(6) - INTERVAL %(seconds)s SECOND
                     WHERE event_type = 'job_claimed' AND JSON_VALUE(payload, '$.job_id') = %(job)s""",
                  job=job, seconds=seconds)
        self._sql("""INSERT INTO ingest_event (batch_id, event_type, payload, created_at, actor)
                     SELECT batch_id, 'job_progress', JSON_OBJECT('job_id', id, 'items_done', %(done)s DIV 2),
                     NOW(6) - INTERVAL %(seconds)s DIV 2 SECOND, worker FROM import_job WHERE id = %(job)s""",
                  job=job, seconds=seconds, done=done)

    def _spread_over_the_day(self) -> None:
        self._sql("""UPDATE import_job SET claimed_at = claimed_at - INTERVAL (id * 7 %% 19) * 70 MINUTE,
                     queued_at = queued_at - INTERVAL (id * 7 %% 19) * 71 MINUTE, worker = 'import-02.example:41822',
                     finished_at = finished_at - INTERVAL (id * 7 %% 19) * 70 - 2 * id MINUTE
                     WHERE finished_at IS NOT NULL""", unused=0)
        self._sql("UPDATE import_job SET finished_at = claimed_at + INTERVAL id * 17 SECOND"
                  " WHERE finished_at < claimed_at OR finished_at > NOW(6)")

    def _sql(self, statement: str, **values) -> None:
        self.admin.execute(statement, **values)
