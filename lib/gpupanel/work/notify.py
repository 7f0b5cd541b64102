"""Telling systemd how the worker is doing: the protocol of sd_notify, over the socket that NOTIFY_SOCKET names."""

import os
import socket
from time import monotonic


class Notifier:
    """Says nothing when systemd does not listen. `alive` is to be called by the loop itself, as its work goes on."""

    def __init__(self, environ=os.environ):
        self._address = environ.get("NOTIFY_SOCKET", "")
        self._every = _watchdog_seconds(environ) / 2
        self._fed = 0.0
        self._status = ""

    def ready(self) -> None:
        self._send("READY=1")

    def stopping(self) -> None:
        self._send("STOPPING=1")

    def status(self, text: str) -> None:
        """What the worker is doing, in a line that `systemctl status` shows; feeds the watchdog too."""
        if text != self._status:
            self._status = text
            self._send(f"STATUS={text}")
        self.alive()

    def alive(self) -> None:
        """Feed the watchdog, twice in its time."""
        if self._every and monotonic() - self._fed >= self._every:
            self._fed = monotonic()
            self._send("WATCHDOG=1")

    def _send(self, message: str) -> None:
        if not self._address:
            return
        # A leading @ stands for the NUL byte of an abstract socket.
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as out:
                out.settimeout(1)
                out.sendto(message.encode(), address)
        except OSError:
            pass  # nobody listens any more, and the import matters more


def _watchdog_seconds(environ) -> float:
    """The time within which systemd wants to hear of us, if it was us that it meant."""
    if environ.get("WATCHDOG_PID") not in (None, str(os.getpid())):
        return 0
    try:
        return int(environ.get("WATCHDOG_USEC", "0")) / 1_000_000
    except ValueError:
        return 0
