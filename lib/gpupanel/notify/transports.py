"""Hand a message to a mail server or a web hook, in bounded time, and without a secret in any error.

A message is accepted once the server said so. Each retry may deliver it again: at least once, never lost.
"""

import hashlib
import hmac
import http.client
import smtplib
import ssl
from base64 import b64encode
from contextlib import suppress
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from email.utils import format_datetime
from pathlib import Path

from ..config import NotifySettings, Url, read_small_text
from ..errors import ConfigurationError, DeliveryError, MountTimeoutError, PanelError
from ..mount import call_with_timeout
from ..text import escape_unprintable, truncate
from .message import Message

STEP_SECONDS = 20  # a server may take this long for each reply
DELIVERY_SECONDS = 60  # and this long for a whole message
QUIT_SECONDS = 2
MAX_REPLY = 200  # characters of a server's reply that an error shows
SIGNATURE = "X-Import-Media-Signature"
NO_CHANNEL = "nobody is told of failures: found neither mail_to nor webhook_url, expected one of them or both"


class MailChannel:
    """Sends a mail by SMTP."""

    column = "mailed_at"

    def __init__(self, settings: NotifySettings, password: str, host: str):
        self._settings, self._password, self._host = settings, password, host

    @property
    def name(self) -> str:
        """What the channel is, for people, without secrets."""
        return f"mail server {self._settings.smtp_host}:{self._settings.port}"

    def send(self, message: Message) -> str:
        """Send one mail to all recipients; return a warning that names those that the server refuses, or ""."""
        settings, mail = self._settings, self._mail(message)
        server = self._connect()
        try:
            if settings.tls == "starttls":
                server.starttls(context=_tls_context(settings.tls_ca))
            if settings.smtp_user:
                _log_in(server, settings.smtp_user, self._password)
            refused = server.sendmail(settings.mail_from, settings.mail_to, mail)
            _quit(server)
        except smtplib.SMTPRecipientsRefused as error:
            raise DeliveryError(f"{self.name} refused every recipient: {_refusals(error.recipients)}") from None
        finally:
            server.close()
        return f"{self.name} refused {_refusals(refused)}" if refused else ""

    def _connect(self) -> smtplib.SMTP:
        settings, name = self._settings, _label(self._host)
        if settings.tls == "tls":
            context = _tls_context(settings.tls_ca)
            return smtplib.SMTP_SSL(settings.smtp_host, settings.port, name, timeout=STEP_SECONDS, context=context)
        return smtplib.SMTP(settings.smtp_host, settings.port, name, timeout=STEP_SECONDS)

    def _mail(self, message: Message) -> bytes:
        """Encode the mail; the policy refuses a header with a line break."""
        mail = EmailMessage(policy=SMTP_POLICY)
        mail["Subject"] = escape_unprintable(message.subject)
        mail["From"] = self._settings.mail_from
        mail["To"] = ", ".join(self._settings.mail_to)
        mail["Date"] = format_datetime(datetime.now(UTC))
        mail["Message-ID"] = f"<{message.id}@{_label(self._host)}>"
        mail["Auto-Submitted"] = "auto-generated"
        mail.set_content(message.text, cte="quoted-printable")  # for servers without 8BITMIME, and for long lines
        return mail.as_bytes()


class HookChannel:
    """Posts a message as JSON; a key signs it."""

    column = "posted_at"

    def __init__(self, url: Url, key: str, tls_ca: Path | None):
        self._url, self._key, self._tls_ca = url, key, tls_ca

    @property
    def name(self) -> str:
        return f"web hook {self._url.origin}"

    def send(self, message: Message) -> str:
        """Post the message once; no redirect is followed, since the body is for this receiver alone. Return ""."""
        body = message.as_json(datetime.now(UTC))
        connection = self._connect()
        try:
            connection.request("POST", self._url.target, body, self._headers(message, body))
            reply = connection.getresponse()
            status = reply.status
        finally:
            connection.close()
        if not 200 <= status < 300:
            raise DeliveryError(f"{self.name} answered {status}.")
        return ""

    def _connect(self) -> http.client.HTTPConnection:
        url = self._url
        if url.scheme == "https":
            return http.client.HTTPSConnection(
                url.host, url.port, timeout=STEP_SECONDS, context=_tls_context(self._tls_ca)
            )
        return http.client.HTTPConnection(url.host, url.port, timeout=STEP_SECONDS)

    def _headers(self, message: Message, body: bytes) -> dict[str, str]:
        headers = {"Content-Type": "application/json", "User-Agent": "import-media", "X-Import-Media-Id": message.id}
        if self._key:
            headers[SIGNATURE] = f"sha256={hmac.new(self._key.encode(), body, hashlib.sha256).hexdigest()}"
        return headers


Channel = MailChannel | HookChannel  # whose `column` of ingest_notice says when it accepted a notice


def channels(settings: NotifySettings, host: str, path: Path) -> list[Channel]:
    """The channels that [notify] sets up. Raises ConfigurationError if it sets up none, or a secret is unreadable."""
    found: list[Channel] = []
    if settings.mail_to:
        found.append(MailChannel(settings, _read_secret(settings.smtp_password_file, path), host))
    if settings.webhook_url:
        key = _read_secret(settings.webhook_secret_file, path)
        found.append(HookChannel(settings.webhook_url, key, settings.tls_ca))
    if not found:
        raise ConfigurationError(f"{path}: {NO_CHANNEL}", [], "Fill in [notify]; etc/panel.conf.example describes it.")
    return found


def deliver(channel: Channel, message: Message) -> str:
    """Send a message within DELIVERY_SECONDS; return a warning or "".

    Raises: DeliveryError.
    """
    try:
        warning: str = call_with_timeout(lambda: channel.send(message), lambda: None, DELIVERY_SECONDS)
        return warning
    except MountTimeoutError:  # of the call, which knows no other name for it
        raise DeliveryError(f"{channel.name} did not take the message within {DELIVERY_SECONDS} s.") from None
    except PanelError:
        raise
    except smtplib.SMTPResponseException as error:
        raise DeliveryError(f"{channel.name}: {_reply(error.smtp_code, error.smtp_error)}") from None
    except (OSError, smtplib.SMTPException, http.client.HTTPException) as error:
        raise DeliveryError(f"{channel.name}: {_describe(error)}") from None


def _log_in(server: smtplib.SMTP, user: str, password: str) -> None:
    """Log in; smtplib takes ASCII only, and RFC 4616 takes UTF-8. Raises SMTPException."""
    if user.isascii() and password.isascii():
        server.login(user, password)
        return
    server.ehlo_or_helo_if_needed()
    if "PLAIN" not in server.esmtp_features.get("auth", "").upper().split():
        raise smtplib.SMTPNotSupportedError("it offers no AUTH PLAIN, which a password with such characters needs")
    code, reply = server.docmd("AUTH", "PLAIN " + b64encode(f"\0{user}\0{password}".encode()).decode())
    if code != 235:
        raise smtplib.SMTPAuthenticationError(code, reply)


def _quit(server: smtplib.SMTP) -> None:
    """Part from a server that has accepted the mail; how it takes that changes nothing."""
    with suppress(OSError, smtplib.SMTPException):
        if server.sock:
            server.sock.settimeout(QUIT_SECONDS)
        server.quit()


def _tls_context(authorities: Path | None) -> ssl.SSLContext:
    """The server's certificate must be valid for its name. Raises DeliveryError."""
    try:
        return ssl.create_default_context(cafile=authorities and str(authorities))
    except OSError as error:
        raise DeliveryError(f"[notify] tls_ca: {authorities} cannot be used: {_describe(error)}") from None


def _read_secret(file: Path | None, configuration: Path) -> str:
    """Read a file that holds a secret and nothing else; "" without a file. Raises ConfigurationError."""
    if file is None:
        return ""
    try:
        secret = read_small_text(file).strip("\r\n")
    except (OSError, ValueError) as error:
        problem = f"[notify]: {file} cannot be read: {getattr(error, 'strerror', None) or error}"
        raise ConfigurationError(f"{configuration} cannot be used", [problem]) from None
    if not secret:
        raise ConfigurationError(f"{configuration} cannot be used", [f"[notify]: {file} is empty"])
    return secret


def _refusals(recipients: dict[str, tuple[int, bytes]]) -> str:
    return "; ".join(f"{address} ({_reply(*reply)})" for address, reply in recipients.items())


def _reply(code: int, text: bytes | str) -> str:
    """The server's reply on one line; it is a text from outside."""
    shown = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    return f"answered {code} {truncate(escape_unprintable(shown), MAX_REPLY)}"


def _describe(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not valid: {error.verify_message}"
    if isinstance(error, TimeoutError):
        return f"no reply within {STEP_SECONDS} s"
    text = (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
    return truncate(escape_unprintable(text), MAX_REPLY)


def _label(host: str) -> str:
    """The host's name where the protocols take letters, digits, dots and hyphens only."""
    return "".join(char if char.isascii() and (char.isalnum() or char in ".-") else "-" for char in host) or "localhost"
