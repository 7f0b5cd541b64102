"""The batch list from a running service, against its statements alone."""

import subprocess
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from pathlib import Path
from statistics import median
from time import perf_counter
from urllib.parse import urlsplit

import pymysql
from gpupanel import config
from gpupanel.web.application import PanelApplication
from pymysql.cursors import DictCursor

from .. import install_peers, page_queries, panel
from ..runner import Comparison, run_in_turns

TITLE = "the list of 50 batches under waitress"
RAW = "raw SQL: the page's own statements"
BATCHES = 10_000
REQUESTS = 100  # of a turn
HELLO = """
import bottle, sys, waitress
app = bottle.Bottle()
app.route("/", "GET", lambda: "hello, world")
server = waitress.create_server(app, host="127.0.0.1", port=0, threads=8)
print(f"http://127.0.0.1:{server.effective_port}/", flush=True)
server.run()
"""


def measure(full: bool) -> Iterator[Comparison]:
    install_peers.debian("wrk")
    prefix, rounds = panel.installed(), 20 if full else 8
    with panel.ledger(BATCHES) as place, panel.serving(prefix, place.conf) as (ours, pid), _hello(prefix) as (hello, _):
        contenders = {
            "ours": _requests(ours), RAW: _sql(place.conf),
            "limit: hello world by bottle": _requests(hello),
        }
        yield Comparison(
            f"{TITLE}, of {BATCHES:,}: p50 of {REQUESTS} requests on a kept connection", "ms", RAW,
            run_in_turns(contenders, rounds), "ours at most 2.5 times the raw SQL",
        )
        contenders = {"ours": _rate(ours), "limit: hello world by bottle": _rate(hello)}
        yield Comparison(
            f"{TITLE}: answers by the second to 4 connections", "requests/s", "ours",
            run_in_turns(contenders, rounds // 4), notes=(f"Peak memory of the panel after that: {_peak(pid)} MiB.",),
        )


def _requests(address: str) -> Callable[[], float]:
    """Return the median of several requests on one connection, in ms."""
    parts = urlsplit(address)
    connection = HTTPConnection(parts.netloc)

    def once() -> float:
        started = perf_counter()
        connection.request("GET", parts.path, headers={"Accept": "text/html"})
        answer = connection.getresponse()
        assert answer.read() and answer.status == 200
        return (perf_counter() - started) * 1000

    return lambda: median(once() for _ in range(REQUESTS))


def _sql(conf: Path) -> Callable[[], float]:
    """Return the median of the page's statements on one connection, in ms."""
    settings = config.load(conf)
    page = PanelApplication(settings)
    texts = [each.text for each in page_queries.record_queries(page, "import-media.cgi")]
    page.db.close()
    database = settings.database
    connection = pymysql.connect(
        unix_socket=database.unix_socket, user=database.user, database=database.name, autocommit=True
    )

    def once() -> float:
        started = perf_counter()
        with connection.cursor(DictCursor) as cursor:
            for text in texts:
                cursor.execute(text)
                cursor.fetchall()
        connection.rollback()
        return (perf_counter() - started) * 1000

    return lambda: median(once() for _ in range(REQUESTS))


def _rate(address: str) -> Callable[[], float]:
    """Return requests per second, measured by wrk."""
    command = ["wrk", "-t1", "-c4", "-d2s", address]

    def rate() -> float:
        told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        assert "Non-2xx" not in told, told
        return float(told.partition("Requests/sec:")[2].split()[0])

    return rate


def _hello(prefix: Path):
    """Yield the address of a minimal application of the same framework and server."""
    return panel.program([prefix / "venv" / "bin" / "python", "-c", HELLO])


def _peak(pid: int) -> int:
    [line] = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) // 1024
