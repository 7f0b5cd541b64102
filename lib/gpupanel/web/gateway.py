"""The Common Gateway Interface: what a web server says of a request, and how an answer is written (RFC 3875)."""

from typing import BinaryIO, Mapping, TextIO

from .answers import Reply
from .panel import Panel

PIECE = 64 * 1024
SECURE = ("on", "1", "yes")


def environ(variables: Mapping[bytes, bytes], body: BinaryIO, log: TextIO) -> dict:
    """The request as WSGI has it: every byte of a variable is a character."""
    known = {name.decode("latin-1"): value.decode("latin-1") for name, value in variables.items()}
    scheme = "https" if known.get("HTTPS", "").lower() in SECURE else "http"
    return known | {"wsgi.input": body, "wsgi.errors": log, "wsgi.url_scheme": scheme}


def answer(panel: Panel, request: dict, out: BinaryIO) -> None:
    """Write the panel's answer to a request, once its body has been heard out: a web server that is still sending to
    a process that has ended gives up on the answer, too."""
    reply = panel.answer(panel.received(request))
    if "CONTENT_LENGTH" in request or "HTTP_TRANSFER_ENCODING" in request:
        while request["wsgi.input"].read(PIECE):
            pass
    write(reply, out, with_body=request["REQUEST_METHOD"] != "HEAD")


def write(reply: Reply, out: BinaryIO, *, with_body: bool = True) -> None:
    headers = {"Status": reply.line} | reply.headers
    if isinstance(reply.body, bytes) and reply.status != 304:
        headers["Content-Length"] = str(len(reply.body))
    out.write("".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode() + b"\r\n")
    if not isinstance(reply.body, bytes):
        with reply.body as file:
            while with_body and (piece := file.read(PIECE)):
                out.write(piece)
    elif with_body:
        out.write(reply.body)
