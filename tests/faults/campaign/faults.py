"""What can go wrong between a program and its database, each as something that a proxy does at one statement."""

import signal
from pathlib import Path

from gpupanel.db import Database
from worker_helpers import wait_until

from . import mysql_protocol
from .fault_proxy import Fault, ProxiedConnection


def error(code: int) -> Fault:
    """The server refuses the statement with this error, and does not execute it."""
    return lambda link, packet: link.answer(mysql_protocol.error(code))


def cut_before(link: ProxiedConnection, packet: bytes) -> None:
    """The statement never arrives."""
    link.cut()


def cut_after(link: ProxiedConnection, packet: bytes) -> None:
    """The statement takes effect; its reply never arrives."""
    link.forward(packet)
    link.reply()
    link.cut()


def killed_before(link: ProxiedConnection, packet: bytes) -> None:
    link.signal(signal.SIGKILL)
    link.cut()


def killed_after(link: ProxiedConnection, packet: bytes) -> None:
    link.forward(packet)
    link.reply()
    link.signal(signal.SIGKILL)
    link.cut()


def connection_killed(link: ProxiedConnection, packet: bytes) -> None:
    """Somebody kills the connection on the server, which says so to the client or hangs up."""
    db = Database(link.proxy.server.admin())
    db.execute(f"KILL CONNECTION {link.thread_id}")
    db.close()
    link.forward(packet)


def server_killed(link: ProxiedConnection, packet: bytes) -> None:
    link.proxy.server.kill()
    link.cut()
    link.proxy.server.start()


def server_restarted(link: ProxiedConnection, packet: bytes) -> None:
    link.proxy.server.stop()
    link.cut()
    link.proxy.server.start()


def terminated(link: ProxiedConnection, packet: bytes) -> None:
    link.signal(signal.SIGTERM)
    link.forward(packet)


def terminated_twice(link: ProxiedConnection, packet: bytes) -> None:
    """The second one comes with the next statement: by then the first has been heard."""
    link.proxy.next = lambda: link.signal(signal.SIGTERM)
    terminated(link, packet)


def frozen(link: ProxiedConnection, packet: bytes) -> None:
    """The program stops just when it has sent the statement, and goes on when the trial says so."""
    link.signal(signal.SIGSTOP)
    wait_until(lambda: state(link.pid) in "TX", "a stopped process")
    link.forward(packet)


def state(pid: int) -> str:
    """One letter, as in /proc: T is stopped; X is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "X"


ERRORS = {"deadlock (1213)": 1213, "lock wait (1205)": 1205, "record changed (1020)": 1020, "gone away (2006)": 2006,
          "lost (2013)": 2013, "disk full (1021)": 1021, "table full (1114)": 1114, "no space (1030)": 1030}
FAULTS: dict[str, Fault] = {name: error(code) for name, code in ERRORS.items()} | {
    "cut before": cut_before, "cut after": cut_after, "kill -9 before": killed_before, "kill -9 after": killed_after,
    "connection killed": connection_killed, "SIGTERM": terminated, "SIGTERM twice": terminated_twice,
    "SIGSTOP, SIGCONT": frozen, "server killed": server_killed, "server restarted": server_restarted,
}
SLOW = ("server killed", "server restarted", "SIGSTOP, SIGCONT")
