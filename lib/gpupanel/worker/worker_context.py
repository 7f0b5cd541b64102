"""What the parts of one worker share: its name, its connections, its slot and its signals."""

import os
import socket
from logging import Logger

from ..config import Settings
from ..db import Database
from ..mount import Mount
from ..resources import version
from .heartbeat import Heartbeat
from .outage_retry import DatabaseRetrier
from .shutdown import ShutdownRequested, ShutdownSignals
from .systemd import SystemdNotifier
from .worker_slot import Process, WorkerSlot


class WorkerContext:
    """One worker; `name` is `host:pid`, and `stale_seconds` the age of a heartbeat that makes a job stale."""

    def __init__(self, settings: Settings, signals: ShutdownSignals, log: Logger, notifier: SystemdNotifier):
        self.settings = settings.worker
        self.signals, self.log, self.notifier = signals, log, notifier
        self.stale_seconds = self.settings.stale_minutes * 60
        idle = idle_seconds(self.stale_seconds)
        self.retrier = DatabaseRetrier(signals, log, notifier)
        self.db = Database(settings.database, idle_seconds=idle)
        self.mount = Mount(settings.mount)
        beats = Database(settings.database, idle_seconds=idle, read_timeout=max(1.0, self.stale_seconds / 3))
        host = socket.gethostname()
        self.slot = WorkerSlot(Process(host, os.getpid(), version(), _wanted_slot()))
        self.heartbeat = Heartbeat(beats, self.settings.heartbeat_seconds, self.stale_seconds, self.slot)
        self.name = f"{host}:{os.getpid()}"

    def keep_going(self) -> None:
        """Feed the watchdog; raise ShutdownRequested after a signal."""
        self.notifier.ping_watchdog()
        if self.signals.stopping:
            raise ShutdownRequested


def _wanted_slot() -> int | None:
    """Return the instance number of the unit, if it has one."""
    text = os.environ.get("IMPORT_WORKER_SLOT", "")
    return int(text) if text.isascii() and text.isdigit() and 0 < int(text) < 2**16 else None


def idle_seconds(threshold: float) -> int:
    """Return after how long idle the server ends a worker's transaction.

    Well before the worker is presumed dead.
    """
    return max(1, int(min(30, threshold / 3)))
