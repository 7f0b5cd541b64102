"""A panel, its mount and its workers, for tests that import worlds of bundles."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import worker_helpers
from constants import empty
from gpupanel import services
from gpupanel.errors import InvalidStateError, PreflightFailedError
from gpupanel.folds.reconcile import Reconciliation
from hypothesis import note
from worlds_on_disk import FixedWriter


def no_progress(label: str):
    """Ignore the progress of a reconciliation."""
    return lambda done, total: None


def reconcile(db, mount) -> list:
    """The differences between library and mount."""
    with closing(Reconciliation(db, mount, no_progress)) as reconciliation:
        return list(reconciliation.differences())


class Site:
    """A panel, its mount and its workers."""

    def __init__(self, admin_db, panel_db, mount, conf):
        self.admin, self.panel, self.mount, self.conf = admin_db, panel_db, mount, conf
        self.writer = FixedWriter(mount.sync_dir, mount.assets_dir)

    def clear(self) -> None:
        empty(self.admin)
        shutil.rmtree(self.mount.assets_dir)
        self.mount.sync_dir.mkdir(parents=True)
        (self.mount.assets_dir / "photo").mkdir()  # an empty mount counts as away

    def queue(self, sync_id: str) -> None:
        """Queue a batch as an operator does; one that is queued already is imported first."""
        if worker_helpers.batch(self.panel, sync_id)["status"] == "queued":
            self.drain()
        self._try(services.queue_batch, sync_id)

    def drain(self, workers: int = 1) -> None:
        with ThreadPoolExecutor(workers) as pool:
            for log in pool.map(worker_helpers.drain, [self.conf] * workers):
                note(log)

    def retry(self, sync_ids: list[str]) -> None:
        """Retry what failed as long as that settles anything."""
        unfinished = self._unfinished(sync_ids)
        while unfinished:
            for sync_id in unfinished:
                self._try(services.retry_batch, sync_id)
            self.drain()
            still = self._unfinished(sync_ids)
            if len(still) == len(unfinished):
                return
            unfinished = still

    def _unfinished(self, sync_ids: list[str]) -> list[str]:
        return [each for each in sync_ids if worker_helpers.batch(self.panel, each)["status"] in ("partial", "failed")]

    def _try(self, queue, sync_id: str) -> None:
        try:
            queue(self.panel, self.mount, sync_id, "operator")
        except (InvalidStateError, PreflightFailedError) as error:
            note(f"{sync_id}: {error}")
