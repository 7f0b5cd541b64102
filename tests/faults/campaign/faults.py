"""What can go wrong between a program and its database, each as something that a proxy does at one statement."""

import os
import shutil
import signal
from pathlib import Path

from gpupanel.db import Database
from gpupanel.devtools.mariadb_server import MariaDBServer
from worker_helpers import wait_until

from . import mysql_protocol
from .fault_proxy import Fault, ProxiedConnection

KEPT = "data.kept"
# The commits of so many statements are lost: some transactions.
LOST_STATEMENTS = 25
COMMITS_LOST = "commits lost"


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


def keep_data(server: MariaDBServer) -> None:
    """Copy the data of a running server, as a replica has them that lags behind."""
    os.kill(server.pid, signal.SIGSTOP)
    os.waitid(os.P_PID, server.pid, os.WSTOPPED | os.WNOWAIT)  # all of its threads
    try:
        shutil.rmtree(server.folder / KEPT, ignore_errors=True)
        shutil.copytree(server.folder / "data", server.folder / KEPT)
    finally:
        os.kill(server.pid, signal.SIGCONT)


def commits_lost(link: ProxiedConnection, packet: bytes) -> None:
    """The server comes back without the commits since the copy."""
    server = link.proxy.server
    server.kill()
    link.cut()
    shutil.rmtree(server.folder / "data")
    (server.folder / KEPT).rename(server.folder / "data")
    server.start()


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
# Errors that `translate_error` makes the same exception of.
TWINS = (
    ("deadlock (1213)", "lock wait (1205)", "record changed (1020)"), ("gone away (2006)", "lost (2013)"),
    ("disk full (1021)", "table full (1114)", "no space (1030)"),
)
FAULTS: dict[str, Fault] = {name: error(code) for name, code in ERRORS.items()} | {
    "cut before": cut_before, "cut after": cut_after, "kill -9 before": killed_before, "kill -9 after": killed_after,
    "connection killed": connection_killed, "SIGTERM": terminated, "SIGTERM twice": terminated_twice,
    "SIGSTOP, SIGCONT": frozen, "server killed": server_killed, "server restarted": server_restarted,
    COMMITS_LOST: commits_lost,
}
SLOW = ("server killed", "server restarted", "SIGSTOP, SIGCONT", COMMITS_LOST)
