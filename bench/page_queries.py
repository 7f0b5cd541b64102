"""Record the queries of a page, as the server gets them."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import NamedTuple

import pymysql
from gpupanel.web.application import PanelApplication


class Statement(NamedTuple):
    text: str
    seconds: float


def environ(address: str) -> dict:
    """Return a request for `import-media.cgi?status=failed` or another address."""
    page, _, query = address.partition("?")
    return {
        "REQUEST_METHOD": "GET", "SCRIPT_NAME": f"/admin/{page}", "PATH_INFO": "", "QUERY_STRING": query,
        "REMOTE_ADDR": "127.0.0.1", "HTTP_HOST": "localhost", "wsgi.url_scheme": "http", "wsgi.input": io.BytesIO(),
        "wsgi.errors": io.StringIO(),
    }


def page(panel: PanelApplication, address: str):
    """Return the panel's response. Raises AssertionError for an error page."""
    reply = panel.handle(panel.normalize_environ(environ(address)))
    assert reply.status in (200, 304), reply
    return reply


def record_queries(panel: PanelApplication, address: str) -> list[Statement]:
    """Return the statements of one page, each with the time until its first rows."""
    page(panel, address)  # connected, and everything imported
    with _noted() as statements:
        page(panel, address)
    return statements


@contextmanager
def _noted() -> Iterator[list[Statement]]:
    """Record each statement of pymysql."""
    own, statements = pymysql.connections.Connection.query, []

    def query(connection, sql, *more, **options):
        started = perf_counter()
        try:
            return own(connection, sql, *more, **options)
        finally:
            text = sql if isinstance(sql, str) else sql.decode("utf-8", "replace")
            statements.append(Statement(text, perf_counter() - started))

    pymysql.connections.Connection.query = query
    try:
        yield statements
    finally:
        pymysql.connections.Connection.query = own
