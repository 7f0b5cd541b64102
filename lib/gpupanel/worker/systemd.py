"""systemd notifications and watchdog (sd_notify over NOTIFY_SOCKET)."""

import os
import socket
from collections.abc import Mapping
from time import monotonic


class SystemdNotifier:
    """Sends notifications under systemd; the loop itself calls `alive`."""

    def __init__(self, environ: Mapping[str, str] = os.environ):
        self._address = environ.get("NOTIFY_SOCKET", "")
        self._every = _watchdog_seconds(environ) / 2
        self._fed = 0.0
        self._status = ""

    def ready(self) -> None:
        """Report that the worker has started."""
        self._send("READY=1")

    def stopping(self) -> None:
        """Report that the worker stops."""
        self._send("STOPPING=1")

    def status(self, text: str) -> None:
        """Report what the worker does, and ping the watchdog."""
        if text != self._status:
            self._status = text
            self._send(f"STATUS={text}")
        self.ping_watchdog()

    def ping_watchdog(self) -> None:
        """Ping the watchdog, twice in each period."""
        if self._every and monotonic() - self._fed >= self._every:
            self._fed = monotonic()
            self._send("WATCHDOG=1")

    def _send(self, message: str) -> None:
        if not self._address:
            return
        # A leading @ means an abstract socket, which begins with a NUL byte.
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as out:
                out.settimeout(1)
                out.sendto(message.encode(), address)
        except OSError:
            pass  # an import must not fail when systemd does not listen


def _watchdog_seconds(environ: Mapping[str, str]) -> float:
    """Return the watchdog period; 0 when it is off or for another process."""
    if environ.get("WATCHDOG_PID") not in (None, str(os.getpid())):
        return 0
    try:
        return int(environ.get("WATCHDOG_USEC", "0")) / 1_000_000
    except ValueError:
        return 0
