"""Raw WSGI requests, and a check that every response must pass."""

import io
from typing import NamedTuple

from gpupanel.web.responses import HEADERS
from gpupanel.web.request import FORM_TYPE
from page_helpers import BATCHES


class Answer(NamedTuple):
    """A response with what was logged for it."""

    status: int
    headers: dict[str, str]
    text: str
    log: str


def ask(panel, body=b"", **environ):
    """Return the response to a request, by `admin` unless `environ` differs."""
    log, started = io.StringIO(), []
    given = {
        "REQUEST_METHOD": "GET", "SCRIPT_NAME": "", "PATH_INFO": BATCHES, "QUERY_STRING": "",
        "SERVER_NAME": "localhost", "SERVER_PORT": "80", "SERVER_PROTOCOL": "HTTP/1.1", "HTTP_HOST": "localhost",
        "REMOTE_USER": "admin", "REMOTE_ADDR": "203.0.113.9", "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body), "wsgi.errors": log,
    }
    chunks = panel(given | environ, lambda status, headers, error=None: started.append((status, headers)))
    text = b"".join(chunks).decode("utf-8", "replace")
    if hasattr(chunks, "close"):
        chunks.close()
    ((status, headers),) = started
    return Answer(int(status.split()[0]), dict(headers), text, log.getvalue())


def form(body, **environ):
    """Return the arguments of `ask` for a form with these bytes as its body."""
    length = str(len(body))
    return {"REQUEST_METHOD": "POST", "CONTENT_TYPE": FORM_TYPE, "CONTENT_LENGTH": length, "body": body} | environ


def assert_sound(answer):
    """Check a response: no internal error, no injected header."""
    assert answer.status < 500, answer
    assert "Traceback" not in answer.text + answer.log
    assert not [value for value in answer.headers.values() if set(value) & set("\r\n\0")]
    assert answer.headers.items() >= HEADERS.items()
