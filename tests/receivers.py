"""A mail server and a web hook receiver on loopback: real sockets, which keep what they get."""

import base64
import http.server
import json
import socket
import socketserver
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default as policy
from pathlib import Path


def certificate(folder: Path, name: str = "localhost") -> tuple[Path, ssl.SSLContext]:
    """Make a certificate for localhost that signs itself; return its file and the server's context."""
    key, cert = folder / f"{name}.key", folder / f"{name}.pem"
    names = "subjectAltName=DNS:localhost,IP:127.0.0.1"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
         "-subj", f"/CN={name}", "-addext", names, "-keyout", key, "-out", cert], check=True, capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    return cert, context


@dataclass
class Mail:
    """A mail as the server got it."""

    sender: str
    recipients: list[str]
    raw: bytes
    encrypted: bool
    login: str | None

    @property
    def message(self) -> EmailMessage:
        return message_from_bytes(self.raw, policy=policy)  # type: ignore[return-value]

    @property
    def text(self) -> str:
        return self.message.get_content()


@dataclass
class MailServer:
    """How the server behaves, and the `mails` that it accepted; `spoken` has every command that it read.

    `refuses` are recipients, `silent_at` is a command (or `greeting`) that it never answers, and `on_mail` is called
    before it confirms a mail.
    """

    refuses: tuple[str, ...] = ()
    silent_at: str = ""
    tls: ssl.SSLContext | None = None
    is_implicit: bool = False
    needs_login: bool = False
    on_mail: Callable[[], None] = lambda: None
    port: int = 0
    mails: list[Mail] = field(default_factory=list)
    spoken: list[str] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)


class _MailHandler(socketserver.StreamRequestHandler):
    """One connection, by RFC 5321 as far as a client of today speaks it."""

    server: "_MailListener"

    def handle(self) -> None:
        with suppress(OSError):
            self._serve()

    def _serve(self) -> None:
        self.rules, self.encrypted, self.login = self.server.rules, False, None
        self.sender, self.recipients = "", []
        if self.rules.is_implicit:
            self._encrypt()
        self._answer("greeting", "220 receiver ESMTP")
        while line := self.rfile.readline().decode("latin-1").rstrip("\r\n"):
            verb = line.split(" ")[0].split(":")[0].upper()
            self.rules.spoken.append(line)
            if verb == "QUIT":
                return self._answer(verb, "221 bye")
            getattr(self, f"_on_{verb.lower()}", self._unknown)(verb, line)

    def _answer(self, verb: str, text: str) -> None:
        if verb == self.rules.silent_at:
            self.rules.released.wait(60)
            raise OSError
        self.wfile.write(text.encode() + b"\r\n")

    def _unknown(self, verb: str, line: str) -> None:
        self._answer(verb, "502 unknown")

    def _on_ehlo(self, verb: str, line: str) -> None:
        offers = ["receiver", "SIZE 10000000"]
        if self.rules.tls and not self.encrypted:
            offers.append("STARTTLS")
        if self.rules.needs_login:
            offers.append("AUTH PLAIN")
        lines = [f"250-{offer}" for offer in offers[:-1]] + [f"250 {offers[-1]}"]
        self._answer(verb, "\r\n".join(lines))

    def _on_starttls(self, verb: str, line: str) -> None:
        self._answer(verb, "220 go ahead")
        self._encrypt()

    def _encrypt(self) -> None:
        self.request = self.rules.tls.wrap_socket(self.request, server_side=True)
        self.setup()
        self.encrypted = True

    def _on_auth(self, verb: str, line: str) -> None:
        self.login = base64.b64decode(line.split(" ")[2]).decode()
        self._answer(verb, "235 welcome")

    def _on_mail(self, verb: str, line: str) -> None:
        if self.rules.needs_login and not self.login:
            return self._answer(verb, "530 log in first")
        self.sender, self.recipients = line.partition("<")[2].partition(">")[0], []
        return self._answer(verb, "250 ok")

    def _on_rcpt(self, verb: str, line: str) -> None:
        address = line.partition("<")[2].partition(">")[0]
        if address in self.rules.refuses:
            return self._answer(verb, f"550 no mailbox {address}")
        self.recipients.append(address)
        return self._answer(verb, "250 ok")

    def _on_data(self, verb: str, line: str) -> None:
        self._answer(verb, "354 go")
        lines = []
        while (text := self.rfile.readline()) not in (b".\r\n", b""):
            lines.append(text[1:] if text.startswith(b".") else text)
        mail = Mail(self.sender, self.recipients, b"".join(lines), self.encrypted, self.login)
        self.rules.mails.append(mail)
        self.rules.on_mail()
        self._answer("accepted", "250 accepted")

    def _on_rset(self, verb: str, line: str) -> None:
        self._answer(verb, "250 ok")


class _MailListener(socketserver.ThreadingTCPServer):
    daemon_threads, block_on_close, allow_reuse_address = True, False, True

    def __init__(self, rules: MailServer):
        super().__init__(("127.0.0.1", rules.port), _MailHandler)
        self.rules = rules


@dataclass
class Post:
    """A request as the receiver got it."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)


@dataclass
class HookReceiver:
    """How the receiver answers, and the `posts` that it got."""

    status: int = 204
    location: str = ""
    tls: ssl.SSLContext | None = None
    drips: bool = False
    on_post: Callable[[], None] = lambda: None
    port: int = 0
    posts: list[Post] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)


class _HookHandler(http.server.BaseHTTPRequestHandler):
    server: "_HookListener"

    def do_POST(self) -> None:
        rules = self.server.rules
        body = self.rfile.read(int(self.headers["Content-Length"]))
        rules.posts.append(Post(self.path, dict(self.headers), body))
        rules.on_post()
        with suppress(OSError):
            while rules.drips and not rules.released.wait(0.05):
                self.wfile.write(b"H")
            self.send_response(rules.status)
            if rules.location:
                self.send_header("Location", rules.location)
            self.send_header("Content-Length", "0")
            self.end_headers()

    def log_message(self, *arguments) -> None:
        """Say nothing."""


class _HookListener(http.server.ThreadingHTTPServer):
    daemon_threads, block_on_close = True, False

    def __init__(self, rules: HookReceiver):
        super().__init__(("127.0.0.1", rules.port), _HookHandler)
        self.rules = rules
        if rules.tls:
            self.socket = rules.tls.wrap_socket(self.socket, server_side=True)

    def handle_error(self, request, client_address) -> None:
        """A client that refuses the certificate is no error of the receiver."""


@contextmanager
def receiving(rules: MailServer | HookReceiver) -> Iterator:
    """Serve on loopback until the block ends."""
    listener = _MailListener(rules) if isinstance(rules, MailServer) else _HookListener(rules)
    rules.port = listener.server_address[1]
    thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield rules
    finally:
        rules.released.set()
        listener.shutdown()
        listener.server_close()
        thread.join(10)


def free_port() -> int:
    """A port on which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
