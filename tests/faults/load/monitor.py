"""Monitor peak memory and lock waits during the load."""

import threading
import time
from collections import defaultdict
from pathlib import Path

from constants import NAME
from gpupanel.db import Database
from gpupanel.errors import PanelError

from .deployment import Deployment

EVERY = 0.2
WAITS = """
SELECT r.trx_id AS waits, r.trx_query AS query, b.trx_id AS holds, b.trx_mysql_thread_id AS thread,
       b.trx_query AS holder, (SELECT ATTR_VALUE FROM performance_schema.session_connect_attrs
        WHERE PROCESSLIST_ID = b.trx_mysql_thread_id AND ATTR_NAME = '_pid') AS pid
FROM information_schema.INNODB_LOCK_WAITS w
JOIN information_schema.INNODB_TRX r ON r.trx_id = w.requesting_trx_id
JOIN information_schema.INNODB_TRX b ON b.trx_id = w.blocking_trx_id"""


class Monitor:
    """While inside, it looks. `memory` is role -> MiB; `longest` is the longest wait seen behind processes that ran,
    `behind_stopped` behind one that was stopped, each (seconds, who waited)."""

    def __init__(self, site: Deployment):
        self._site, self._over = site, threading.Event()
        self._db = Database(site.server.admin(NAME))
        self.memory: dict[str, int] = defaultdict(int)
        self.longest = self.behind_stopped = (0.0, "")
        self._since: dict[str, float] = {}
        self._stopped: set[str] = set()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "Monitor":
        self._thread.start()
        return self

    def __exit__(self, *exc) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(EVERY):
            self._look_at_memory()
            self._look_at_waits()
        self._db.close()

    def _look_at_memory(self) -> None:
        pids = [
            ("server", self._site.server.pid),
            *((keeper.role, keeper.process.pid) for keeper in self._site.keepers),
        ]
        for role, pid in pids:
            self.memory[role] = max(self.memory[role], int(memory(pid, "VmHWM")))

    def _look_at_waits(self) -> None:
        try:
            rows, now = self._db.execute(WAITS), time.monotonic()
        except PanelError:
            return
        behind = {row["waits"]: row for row in rows}
        self._since = {waits: self._since.get(waits, now) for waits in behind}
        self._stopped = {waits for waits in behind if waits in self._stopped or _stopped(behind, waits)}
        for waits, since in self._since.items():
            seen = (now - since, f"{behind[waits]['query']} behind {behind[waits]['holder']}")
            if waits in self._stopped:
                self.behind_stopped = max(self.behind_stopped, seen)
            else:
                self.longest = max(self.longest, seen)


def _stopped(behind: dict[str, dict], waits: str) -> bool:
    """Return whether the process that holds the lock is stopped or gone."""
    for _ in range(len(behind)):
        if behind[waits]["holds"] not in behind:
            break
        waits = behind[waits]["holds"]
    return _state(behind[waits]["pid"]) in "TX"


def _state(pid: str | None) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "X"


def memory(pid: int, field: str = "VmRSS") -> float:
    """Return the memory of a process in MiB; 0 for an ended process. VmHWM is its peak."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith(field)), 0)


def longest_wait_of_all(db: Database) -> float:
    """Return the longest lock wait in seconds, as the server counts it."""
    (row,) = db.execute("SHOW GLOBAL STATUS LIKE 'Innodb_row_lock_time_max'")
    return int(row["Value"]) / 1000
