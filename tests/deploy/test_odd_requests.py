"""Requests of an odd form, through each server: answered or refused, and the next request works."""

import contextlib
import re
import socket
from typing import NamedTuple

import pytest
import webservers
from http_client import ask, basic, password
from gpupanel.web.request import FORM_TYPE
from request_script import BATCHES, CSS

SIGNED_IN = f"Authorization: {basic('admin', password('admin'))}\r\nX-Remote-User: admin\r\n".encode()
HOST = b"Host: panel.example\r\n"
PAGE = BATCHES.encode()
FORM = b"Content-Type: " + FORM_TYPE.encode() + b"\r\n"


def get(target=PAGE, headers=b"", method=b"GET", host=HOST, body=b"") -> bytes:
    return method + b" " + target + b" HTTP/1.1\r\n" + host + SIGNED_IN + headers + b"Connection: close\r\n\r\n" + body


def post(headers, body) -> bytes:
    return get(method=b"POST", headers=FORM + headers, body=body)


CHUNKED = b"Transfer-Encoding: chunked\r\n"
NEXT = b"GET /admin/health HTTP/1.1\r\n" + HOST + b"\r\n"
REQUESTS = {
    "both lengths": post(b"Content-Length: 4\r\n" + CHUNKED, b"0\r\n\r\n" + NEXT),
    "chunked twice": post(CHUNKED * 2, b"0\r\n\r\n"),
    "chunked, unknown": post(b"Transfer-Encoding: chunked, x\r\n", b"0\r\n\r\n"),
    "chunked with a space": post(b"Transfer-Encoding : chunked\r\n", b"0\r\n\r\n"),
    "chunked with a tab": post(b"Transfer-Encoding:\tchunked\r\n", b"0\r\n\r\n"),
    "xchunked": post(b"Transfer-Encoding: xchunked\r\nContent-Length: 3\r\n", b"a=b"),
    "chunk that is no number": post(CHUNKED, b"zz\r\na=b\r\n0\r\n\r\n"),
    "chunk below zero": post(CHUNKED, b"-1\r\na=b\r\n0\r\n\r\n"),
    "chunk with an underscore": post(CHUNKED, b"0_3\r\na=b\r\n0\r\n\r\n"),
    "huge chunk": post(CHUNKED, b"ffffffffffffffffff\r\na=b\r\n0\r\n\r\n"),
    "chunk without its end": post(CHUNKED, b"3\r\na=bX0\r\n\r\n"),
    "chunked GET": get(headers=CHUNKED, body=b"3\r\na=b\r\n0\r\n\r\n"),
    "chunked HTTP/1.0": post(CHUNKED, b"0\r\n\r\n").replace(b"HTTP/1.1", b"HTTP/1.0"),
    "two lengths": post(b"Content-Length: 3\r\nContent-Length: 4\r\n", b"a=b&"),
    "two lengths in one": post(b"Content-Length: 3, 4\r\n", b"a=b&"),
    "length with a sign": post(b"Content-Length: +3\r\n", b"a=b"),
    "length below zero": post(b"Content-Length: -1\r\n", b""),
    "length that is no number": post(b"Content-Length: x\r\n", b"a=b"),
    "length of another script": post("Content-Length: ٣\r\n".encode(), b"a=b"),
    "huge length": post(b"Content-Length: " + b"9" * 30 + b"\r\n", b"a=b"),
    "body shorter than its length": post(b"Content-Length: 9\r\n", b"a=b"),
    "body longer than its length": post(b"Content-Length: 1\r\n", b"a=b"),
    "two hosts": get(host=HOST + b"Host: elsewhere.example\r\n"),
    "no host": get(host=b""),
    "host that is none": get(host=b"Host: a b/@\xff\r\n"),
    "absolute target of another host": get(target=b"http://elsewhere.example" + PAGE),
    "long header": get(headers=b"X-Long: " + b"x" * 100_000 + b"\r\n"),
    "many headers": get(headers=b"".join(b"X-%d: y\r\n" % number for number in range(2_000))),
    "header that continues": get(headers=b"X-A: b\r\n c\r\n"),
    "header with NUL": get(headers=b"X-A: \0\r\n"),
    "header without a name": get(headers=b": x\r\n"),
    "header that is not UTF-8": get(headers=b"Accept: \xff\xfe\r\nUser-Agent: \xff\r\nIf-None-Match: \xff\r\n"),
    "bare line feeds": get().replace(b"\r\n", b"\n"),
    "cookies of 8 kB": get(headers=b"Cookie: flash=" + b"x" * 7_000 + b"; a=" + b"y" * 1_000 + b"\r\n"),
    "many cookies": get(headers=b"Cookie: " + b"; ".join(b"import_media=%d" % n for n in range(500)) + b"\r\n"),
    "cookie that is none": get(headers=b"Cookie: =;\xff=\x80;;\"\r\n"),
    "10,000 parameters": get(target=PAGE + b"?" + b"&".join(b"a%d" % number for number in range(10_000))),
    "one parameter 500 times": get(target=PAGE + b"?" + b"&".join([b"status=failed"] * 500)),
    "NUL in a parameter": get(target=PAGE + b"?action=detail&sync_id=%00"),
    "parameter that is not UTF-8": get(target=PAGE + b"?q=%ff%fe&action=%c0%af"),
    "raw bytes in the query": get(target=PAGE + b"?q=\xff\xfe\x80"),
    "raw NUL in the query": get(target=PAGE + b"?q=\0"),
    "percent that escapes nothing": get(target=PAGE + b"?q=%&%zz=%u0041"),
    "NUL in the path": get(target=b"/admin/import-media.cgi%00.css"),
    "raw bytes in the path": get(target=b"/admin/\xff\xfe"),
    "path that is not UTF-8": get(target=b"/admin/%ff%fe"),
    "path that leads out": get(target=b"/admin/static/..%2f..%2fetc%2fpanel.conf"),
    "path that leads out twice escaped": get(target=b"/admin/static/%252e%252e%252fetc/panel.conf"),
    "path with dots": get(target=b"/admin/static/../../etc/panel.conf"),
    "path info": get(target=PAGE + b"/..%2f..%2fx"),
    "slashes": get(target=b"//admin//import-media.cgi"),
    "no path": get(target=b"?action=doctor"),
    "asterisk": get(target=b"*"),
    "HEAD": get(method=b"HEAD"),
    "HEAD of an error": get(method=b"HEAD", target=PAGE + b"?action=x"),
    "OPTIONS": get(method=b"OPTIONS"),
    "OPTIONS of the server": get(method=b"OPTIONS", target=b"*"),
    "TRACE": get(method=b"TRACE"),
    "CONNECT": get(method=b"CONNECT", target=b"panel.example:443"),
    "method of small letters": get(method=b"get"),
    "method of another alphabet": get(method="ГET".encode()),
    "HTTP/0.9": b"GET " + PAGE + b"\r\n\r\n",
    "HTTP/2.0": get().replace(b"HTTP/1.1", b"HTTP/2.0"),
    "HTTP/1.9": get().replace(b"HTTP/1.1", b"HTTP/1.9"),
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(64) + b"\r\n\r\n",
    "expectation": post(b"Expect: 100-continue\r\nContent-Length: 3\r\n", b"a=b"),
    "unknown expectation": post(b"Expect: x\r\nContent-Length: 3\r\n", b"a=b"),
    "upgrade": get(headers=b"Upgrade: websocket\r\nHTTP2-Settings: AAA\r\n"),
}
# The four ways, and waitress without a server in front of it.
SERVERS = webservers.ALL | {"waitress": webservers.waitress}
NOT_IMPLEMENTED = (501, 505)  # an encoding, a method, a version
GONE = "body shorter than its length"  # Apache itself answers 500 to a client that goes away while mod_wsgi reads


STARTING_A_PROGRAM = ("apache_cgi", "nginx_fcgiwrap")  # for each request, which none of them shares with another


class Served(NamedTuple):
    """A running server, and what to open after each odd request."""

    port: int
    next: str


@pytest.fixture(scope="module", params=list(SERVERS))
def served(request, site):
    """After all odd requests the panel answers; so does the web server, and a process that lasts, after each."""
    with SERVERS[request.param](site) as port:
        yield Served(port, CSS if request.param in STARTING_A_PROGRAM else BATCHES)
        assert open_page(port, BATCHES) == 200


def open_page(port, target) -> int:
    return ask(port, "GET", target, X_Remote_User="admin", X_Forwarded_Prefix="/admin").status


def send(port, request: bytes) -> bytes:
    """Send a request; return all that comes until the server closes, or until it waits for more of the request."""
    answer = b""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection, contextlib.suppress(OSError):
        with contextlib.suppress(OSError):  # a server may close before it has read all
            connection.sendall(request)
            connection.shutdown(socket.SHUT_WR)
        while piece := connection.recv(65536):
            answer += piece
    return answer


def tracebacks(site) -> list[str]:
    """All tracebacks that the servers of this run have logged."""
    logs = "".join(log.read_text(errors="replace") for log in sorted(site.folder.glob("*/*.log")))
    return [text[:3000] for text in logs.split("Traceback")[1:]]


@pytest.mark.parametrize("name", list(REQUESTS))
def test_an_odd_request_is_answered_or_refused_and_harms_no_other(served, site, name):
    before = len(tracebacks(site))
    answer = send(served.port, REQUESTS[name])
    for status in re.findall(rb"^HTTP/1\.[01] (\d{3})", answer, re.MULTILINE):
        assert int(status) < 500 or int(status) in NOT_IMPLEMENTED or name == GONE, answer[:3000]
    assert b"Traceback" not in answer and b"[panel]" not in answer and b"password_file" not in answer
    assert b"elsewhere.example" not in answer
    assert tracebacks(site)[before:] == []
    assert open_page(served.port, served.next) == 200
