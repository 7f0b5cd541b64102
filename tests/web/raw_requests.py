"""Requests that no honest browser sends, handed to the panel byte by byte, and what every answer must have."""

import io
from typing import NamedTuple

from gpupanel.web.answers import HEADERS
from gpupanel.web.visit import FORM_TYPE
from page_helpers import BATCHES


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    text: str
    log: str


def ask(panel, body=b"", **environ):
    """The answer of the WSGI application to a request by `admin`, unless the environ says otherwise."""
    log, started = io.StringIO(), []
    given = {
        "REQUEST_METHOD": "GET", "SCRIPT_NAME": "", "PATH_INFO": BATCHES, "QUERY_STRING": "", "SERVER_NAME": "localhost",
        "SERVER_PORT": "80", "SERVER_PROTOCOL": "HTTP/1.1", "HTTP_HOST": "localhost", "REMOTE_USER": "admin",
        "REMOTE_ADDR": "203.0.113.9", "wsgi.url_scheme": "http", "wsgi.input": io.BytesIO(body), "wsgi.errors": log,
    }
    answered = panel(given | environ, lambda status, headers, error=None: started.append((status, headers)))
    text = b"".join(answered).decode("utf-8", "replace")
    if hasattr(answered, "close"):
        answered.close()
    ((status, headers),) = started
    return Answer(int(status.split()[0]), dict(headers), text, log.getvalue())


def form(body, **environ):
    """The environ of a form that is sent as these bytes; for `ask`."""
    return {"REQUEST_METHOD": "POST", "CONTENT_TYPE": FORM_TYPE, "CONTENT_LENGTH": str(len(body)), "body": body} | environ


def assert_sound(answer):
    """Not a fault of the panel, nothing of its inside told, nothing smuggled into the headers, and all of ours there."""
    assert answer.status < 500, answer
    assert "Traceback" not in answer.text + answer.log
    assert not [value for value in answer.headers.values() if set(value) & set("\r\n\0")]
    assert answer.headers.items() >= HEADERS.items()
