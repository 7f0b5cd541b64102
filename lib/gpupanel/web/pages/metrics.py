"""Queue metrics for Prometheus. Counts stop at 10,001 to stay cheap."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from ... import job_queue, workers
from ...config import Settings
from ...db import Database, ReadTransaction
from ...ledger import notices
from ...models import COUNT_LIMIT
from .. import status_bar
from .import_tasks import ENDED

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
BOUNDED = f"counted up to {COUNT_LIMIT + 1}"


def answer(db: Database, settings: Settings) -> bytes:
    """Return all metrics as of now."""
    values = db.run_read(_read, timedelta(minutes=settings.panel.stale_minutes), settings.notify.is_set_up)
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Values(values))
    return generate_latest(registry)


def _read(tx: ReadTransaction, stale: timedelta, tells_people: bool) -> dict[str, Any]:
    latest = workers.latest(tx)
    return {
        "glance": status_bar.load(tx),
        "silent": tx.fetch_value(
            "job_queue.count_silent", seconds=stale.total_seconds(), perl_offset=tx.perl_offset(stale.total_seconds())
        ),
        "late": sum(bool(row["is_late"]) for row in latest),
        "without_mount": sum(workers.is_alive(row) and row["mount_ok"] == 0 for row in latest),
        "notices": notices.backlog(tx, limit=COUNT_LIMIT + 1) if tells_people else None,
        "ended": {str(state): job_queue.count_ended(tx, state) for state in ENDED},
    }


class _Values(Collector):
    """Adapter from values to the collector of the client library."""

    def __init__(self, values: dict[str, Any]):
        self._values = values

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield the metrics; the client library calls this."""
        summary, ended = self._values["glance"], self._values["ended"]
        yield _by_state("import_media_jobs", f"Queued, held and running jobs, {BOUNDED}.", {
            "queued": summary.queued, "held": summary.held, "running": summary.running,
        })
        yield _by_state("import_media_jobs_ended_24h", f"Jobs that ended in the last 24 hours, {BOUNDED}.", ended)
        yield GaugeMetricFamily(
            "import_media_jobs_silent", "Running jobs whose heartbeat is older than stale_minutes.",
            self._values["silent"],
        )
        yield GaugeMetricFamily(
            "import_media_oldest_queued_seconds", "Waiting time of the oldest queued job; 0 without one.",
            (summary.oldest or timedelta()).total_seconds(),
        )
        yield GaugeMetricFamily("import_media_queue_paused", "1 while the queue is paused.", int(bool(summary.pause)))
        paused = summary.now - summary.pause["since"] if summary.pause else timedelta()
        yield GaugeMetricFamily(
            "import_media_queue_paused_seconds", "Time since the queue was paused; 0 while it is not.",
            max(0.0, paused.total_seconds()),
        )
        yield GaugeMetricFamily(
            "import_media_workers_without_mount", "Workers that beat and cannot read their mount.",
            self._values["without_mount"],
        )
        yield GaugeMetricFamily(
            "import_media_attention", "Batches that need attention and that nobody has marked as seen, up to 100.",
            summary.attention,
        )
        yield from self._notices()
        yield _by_state("import_media_workers", "Workers that beat, and workers that are late.", {
            "alive": summary.workers, "late": self._values["late"],
        })
        if summary.seen is not None:
            yield GaugeMetricFamily(
                "import_media_worker_seen_seconds", "Time since a worker was seen.", summary.seen.total_seconds(),
            )

    def _notices(self) -> Iterator[GaugeMetricFamily]:
        """Yield the notices that are not sent, if [notify] names a channel."""
        if self._values["notices"] is None:
            return
        unsent, oldest = self._values["notices"]
        yield GaugeMetricFamily("import_media_notices_unsent", f"Notices that are still to be sent, {BOUNDED}.", unsent)
        yield GaugeMetricFamily(
            "import_media_oldest_notice_seconds", "Age of the oldest of them; 0 without one.", oldest
        )


def _by_state(name: str, sentence: str, values: dict[str, int]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, sentence, labels=["state"])
    for state, value in values.items():
        family.add_metric([state], value)
    return family
