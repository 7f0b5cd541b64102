"""The queue for Prometheus, in its text format. Counts go no further than 10,001, so that a scrape stays cheap."""

from datetime import timedelta
from typing import Any, Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily

from ... import queue
from ...config import Settings
from ...database import Database, Reading
from ...model import BOUND
from .. import glance
from .tasks import ENDED

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
BOUNDED = f"counted no further than {BOUND + 1}"


def answer(db: Database, settings: Settings) -> bytes:
    """All metrics as they are now."""
    values = db.read(_read, timedelta(minutes=settings.panel.stale_minutes))
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector(values))
    return generate_latest(registry)


def _read(tx: Reading, stale: timedelta) -> dict[str, Any]:
    return {
        "glance": glance.read(tx),
        "silent": tx.value("queue.count_silent", seconds=stale.total_seconds()),
        "ended": {str(state): queue.count_ended(tx, state) for state in ENDED},
    }


class _Collector:
    """Values that were read already, as the library wants to be given them."""

    def __init__(self, values: dict[str, Any]):
        self._values = values

    def collect(self) -> Iterator[GaugeMetricFamily]:
        seen, ended = self._values["glance"], self._values["ended"]
        yield _by_state("import_media_jobs", f"Jobs that wait or run, {BOUNDED}.", {
            "queued": seen.queued, "running": seen.running,
        })
        yield _by_state("import_media_jobs_ended_24h", f"Jobs that ended in the last 24 hours, {BOUNDED}.", ended)
        yield GaugeMetricFamily(
            "import_media_jobs_silent", "Running jobs whose heartbeat is older than stale_minutes.", self._values["silent"]
        )
        yield GaugeMetricFamily(
            "import_media_oldest_queued_seconds", "How long the job that was queued first has waited; 0 when none does.",
            (seen.oldest or timedelta()).total_seconds(),
        )


def _by_state(name: str, sentence: str, values: dict[str, int]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, sentence, labels=["state"])
    for state, value in values.items():
        family.add_metric([state], value)
    return family
