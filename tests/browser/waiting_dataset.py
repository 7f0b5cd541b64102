"""A queue that no worker serves: a job of each hold, jobs that wait for a worker, and a batch that was undone."""

from typing import NamedTuple

import worker_helpers
from gpupanel import job_queue, services, undo_service
from gpupanel.db import Database
from gpupanel.devtools.bundle_factory import BundleWriter
from gpupanel.mount import Mount
from gpupanel.worker import job_release

ACTOR = "mara.ellison"


class WaitingDataset(NamedTuple):
    """The sync_ids of one batch for each case; `bundle`, `backoff`, `prior` and `operator` are kinds of hold."""

    undone: str
    bundle: str
    backoff: str
    prior: str
    operator: str
    queued: str


class WaitingBuilder:
    """Builds the data set with the panel's and the worker's own functions, on this mount."""

    def __init__(self, panel_db: Database, worker_db: Database, worker_conf, mount: Mount):
        self.panel, self.worker, self.conf, self.mount = panel_db, worker_db, worker_conf, mount
        self.writer = BundleWriter(mount.sync_dir, mount.assets_dir, "waiting", pictures=3)

    def build(self) -> WaitingDataset:
        """Build the data set; return the sync_ids of its cases."""
        undone, bundle = self._undo(), self._hold_for_the_bundle()
        backoff = self._hold_for_a_failed_attempt()
        first = self._queue("regatta")
        prior = self._queue("regatta, corrected", prior_sync_id=first)
        operator, queued = self._queue("press preview"), self._queue("lighthouse")
        self.panel.run_transaction(job_queue.hold, self._job(operator), ACTOR, "not before the press release")
        return WaitingDataset(undone, bundle, backoff, prior, operator, queued)

    def _queue(self, name: str, **options) -> str:
        photos = list(self.writer.assets(name, 2, derivatives=("thumb",), documents=()))
        sync_id = self.writer.bundle(name, photos, **options)
        worker_helpers.queue(self.panel, self.mount, sync_id)
        return sync_id

    def _job(self, sync_id: str) -> int:
        [job, *_] = self.panel.run_read(job_queue.list_of_batch, worker_helpers.batch(self.panel, sync_id)["id"])
        return job["id"]

    def _undo(self) -> str:
        sync_id = self._queue("first snow")
        worker_helpers.drain(self.conf)
        undo = undo_service.plan_undo(self.panel, sync_id, ACTOR).sync_id
        services.queue_batch(self.panel, self.mount, undo, ACTOR, services.QueueOptions())
        worker_helpers.drain(self.conf)
        return sync_id

    def _hold_for_the_bundle(self) -> str:
        sync_id = self._queue("night ferry")
        (self.mount.sync_dir / f"{sync_id}.json").unlink()
        worker_helpers.drain(self.conf)
        return sync_id

    def _hold_for_a_failed_attempt(self) -> str:
        sync_id = self._queue("kelp forest")
        claim = worker_helpers.take(self.worker, "a")
        reason = "photo/4b/kelp/source/source.json cannot be read: Input/output error"
        self.worker.run_transaction(job_release.retry_or_fail, claim, reason, 5)
        return sync_id
