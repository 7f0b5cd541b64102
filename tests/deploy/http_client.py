"""An HTTP client, and responses without the differences between servers."""

import json
import re
from base64 import b64encode
from http.client import HTTPConnection, HTTPSConnection
from ssl import create_default_context
from typing import NamedTuple

# What HTTP servers do each in their own way: when, who, how the body is framed, and what a file's ETag is made of.
SERVERS_OWN = {
    "date", "server", "connection", "keep-alive", "content-length", "transfer-encoding", "accept-ranges", "etag",
}
MOMENT = r"\d{4}-\d\d-\d\d(?:[ T]|</span> <span>)\d\d:\d\d:\d\d(?:\.\d+Z)?"
AGE = r"just now|(?<=\D)\d+ (?:min|h|d) ago|(?<=\D)(?:\d+ min )?\d+ s\b"
SPAN = r'(?<="waited":)[0-9.]+|(?<=queued_seconds )[0-9.e-]+'
# Pages round it down to 15 s, so that servers differ only if such a step falls between their responses.
CLOCK = r"(?<=>updated )\d\d:\d\d:\d\d(?=<)"
TIMES = re.compile(f"{MOMENT}|{AGE}|{SPAN}|{CLOCK}".encode())


class Answer(NamedTuple):
    status: int
    headers: dict[str, list[str]]
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def comparable(self) -> tuple:
        """Return status, headers and body, with equal times."""
        kept = {name: values for name, values in self.headers.items() if name not in SERVERS_OWN}
        return self.status, kept, TIMES.sub(b"TIME", self.body)


def ask(port: int, method: str, target: str, body=None, user="admin", certificate=None, **headers) -> Answer:
    """Send one request; keyword arguments are headers, with `_` for `-`. A body that is a list is sent in chunks. With
    a certificate, it goes by https to the server that has it."""
    defaults = {"Host": "panel.example"} | ({"Authorization": basic(user, password(user))} if user else {})
    given = defaults | {name.replace("_", "-"): value for name, value in headers.items()}
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    if certificate:
        connection = HTTPSConnection("localhost", port, timeout=30, context=create_default_context(cafile=certificate))
    try:
        connection.request(method, target, body, given, encode_chunked=isinstance(body, list))
        answer = connection.getresponse()
        return Answer(answer.status, _headers(answer), answer.read())
    finally:
        connection.close()


def password(user: str) -> str:
    return f"{user}'s word"


def basic(user: str, password: str) -> str:
    return f"Basic {b64encode(f'{user}:{password}'.encode()).decode()}"


def _headers(answer) -> dict[str, list[str]]:
    headers: dict[str, list[str]] = {}
    for name, value in answer.getheaders():
        headers.setdefault(name.lower(), []).append(value)
    return headers
