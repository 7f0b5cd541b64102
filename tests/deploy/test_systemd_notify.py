"""Notifications of the worker to systemd: READY, STATUS, WATCHDOG, STOPPING."""

import contextlib
import signal
import socket
import threading

import pytest
import worker_helpers

WATCHDOG_SECONDS = 0.5


class Supervisor:
    """Listens on a socket as systemd does; `messages` has all messages so far."""

    def __init__(self, address: str):
        self.messages: list[str] = []
        self._address = address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind("\0" + address[1:] if address.startswith("@") else address)
        self._socket.settimeout(0.05)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()

    def environ(self, **more: str) -> dict[str, str]:
        """The environment that systemd gives a service with WatchdogSec."""
        return {"NOTIFY_SOCKET": self._address, "WATCHDOG_USEC": str(int(WATCHDOG_SECONDS * 1_000_000))} | more

    def hears(self, message: str, after: int = 0) -> int:
        """Wait for the first such message from index `after` on; return its index."""
        worker_helpers.wait_until(lambda: message in self.messages[after:], message)
        return self.messages.index(message, after)

    def fell_silent(self) -> bool:
        """Return whether no message arrived for the watchdog's interval."""
        heard, pause = len(self.messages), threading.Event()
        pause.wait(WATCHDOG_SECONDS)
        return len(self.messages) == heard

    def close(self) -> None:
        self._ended.set()
        self._thread.join()
        self._socket.close()

    def _listen(self) -> None:
        while not self._ended.is_set():
            with contextlib.suppress(TimeoutError):
                self.messages.append(self._socket.recv(4096).decode())


@pytest.fixture(params=["path", "abstract"])
def supervisor(request, tmp_path):
    supervisor = Supervisor(f"@{tmp_path}" if request.param == "abstract" else str(tmp_path / "notify.sock"))
    yield supervisor
    supervisor.close()


@pytest.fixture
def start(bundles):
    bundles.bundle("any", bundles.assets("any", 1))  # a mount with nothing on it would count as missing
    programs = worker_helpers.Programs()
    yield programs
    programs.end()


def test_a_worker_says_when_it_is_ready_what_it_does_and_when_it_stops(supervisor, start, worker_conf, admin_db):
    worker = start(worker_conf, **supervisor.environ())
    supervisor.hears("STATUS=waiting for jobs", supervisor.hears("READY=1"))
    worker.send(signal.SIGTERM)
    supervisor.hears("STOPPING=1")
    assert worker.ends() == 0


def test_an_idle_worker_feeds_the_watchdog(supervisor, start, worker_conf, admin_db):
    start(worker_conf, **supervisor.environ())
    first = supervisor.hears("WATCHDOG=1")
    second = supervisor.hears("WATCHDOG=1", first + 1)
    supervisor.hears("WATCHDOG=1", second + 1)


def test_a_worker_that_imports_feeds_the_watchdog_and_says_how_far_it_is(
    supervisor, start, worker_conf, admin_db, panel_db, mount, bundles
):
    sync_id = bundles.bundle("many", bundles.assets("many", 40))
    [job_id] = worker_helpers.queue(panel_db, mount, sync_id)
    hurried = supervisor.environ(WATCHDOG_USEC="2000")
    start(worker_helpers.with_options(worker_conf, chunk_items=1), **hurried)
    worker_helpers.wait_until(lambda: worker_helpers.job(admin_db, job_id)["state"] == "completed")
    supervisor.hears("STATUS=waiting for jobs")
    importing = [place for place, message in enumerate(supervisor.messages) if "importing job" in message]
    assert any(f"{done} of 40 items" in supervisor.messages[place] for place in importing for done in range(1, 40))
    assert "WATCHDOG=1" in supervisor.messages[importing[0]:importing[-1]]


def test_a_worker_that_hangs_is_missed_and_can_be_killed(supervisor, start, worker_conf, admin_db):
    worker = start(worker_conf, **supervisor.environ())
    supervisor.hears("WATCHDOG=1")
    worker.send(signal.SIGSTOP)
    worker_helpers.wait_until(supervisor.fell_silent, "silence")
    worker.send(signal.SIGKILL)
    assert worker.ends() == -signal.SIGKILL


def test_a_watchdog_that_is_meant_for_another_process_is_not_fed(supervisor, start, worker_conf, admin_db):
    worker = start(worker_conf, **supervisor.environ(WATCHDOG_PID="1"))
    supervisor.hears("STATUS=waiting for jobs")
    worker.send(signal.SIGTERM)
    supervisor.hears("STOPPING=1")
    assert "WATCHDOG=1" not in supervisor.messages


def test_a_worker_works_on_when_nobody_listens_any_more(
    supervisor, start, worker_conf, admin_db, panel_db, mount, bundles
):
    start(worker_conf, **supervisor.environ())
    supervisor.hears("READY=1")
    supervisor.close()
    [job_id] = worker_helpers.queue(panel_db, mount, bundles.bundle("one", bundles.assets("one", 1)))
    worker_helpers.wait_until(lambda: worker_helpers.job(admin_db, job_id)["state"] == "completed")
