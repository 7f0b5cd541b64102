"""Machines as network namespaces on one switch; tests can disconnect each. Only for root."""

import itertools
import os
import shutil
import subprocess
from contextlib import ExitStack

import pytest

SUBNET = "10.253.72"
_numbers = itertools.count()


def lacking() -> str:
    """Why there can be no other machines here; empty when there can."""
    if shutil.which("ip") is None:
        return "Debian's iproute2 is not installed"
    allowed = subprocess.run(["unshare", "--net", "--mount", "true"], capture_output=True).returncode == 0
    return "" if allowed else "only root may make network namespaces, and not in every container"


needs_machines = pytest.mark.skipif(bool(lacking()), reason=lacking())


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


class Network:
    """Machines 1 to `machines`. The switch is in a namespace of its own, so that nothing of this machine's changes."""

    def __init__(self, machines: int):
        self._machines = range(1, machines + 1)
        self._name = f"gpu{os.getpid()}n{next(_numbers)}"
        self._undo = ExitStack()

    def __enter__(self) -> "Network":
        with ExitStack() as undo:
            self._add(undo, self._switch)
            ip("-n", self._switch, "link", "add", "switch", "type", "bridge")
            ip("-n", self._switch, "link", "set", "switch", "up")
            for machine in self._machines:
                self._connect(undo, machine)
            self._undo = undo.pop_all()
        return self

    def __exit__(self, *exc) -> None:
        self._undo.close()

    @property
    def _switch(self) -> str:
        return f"{self._name}s"

    def _add(self, undo: ExitStack, namespace: str) -> None:
        ip("netns", "add", namespace)
        undo.callback(ip, "netns", "del", namespace)  # and with it its cables

    def _connect(self, undo: ExitStack, machine: int) -> None:
        here = f"{self._name}m{machine}"
        self._add(undo, here)
        ip("-n", self._switch, "link", "add", f"port{machine}", "type", "veth",
           "peer", "name", "eth0", "address", _hardware(machine), "netns", here)
        ip("-n", self._switch, "link", "set", f"port{machine}", "master", "switch", "up")
        ip("-n", here, "addr", "add", f"{self.address(machine)}/24", "dev", "eth0")
        for device in ("lo", "eth0"):
            ip("-n", here, "link", "set", device, "up")
        # known for good: what was sent while a cable was out is then sent again, not given up
        for other in self._machines:
            ip(
                "-n", here, "neigh", "add", self.address(other), "lladdr", _hardware(other), "nud", "permanent", "dev",
                "eth0",
            )

    def address(self, machine: int) -> str:
        return f"{SUBNET}.{machine}"

    def within(self, machine: int) -> tuple[str, ...]:
        """What a command begins with in order to run on that machine."""
        return ("ip", "netns", "exec", f"{self._name}m{machine}")

    def pull(self, machine: int) -> None:
        """Take the machine's cable out of the switch."""
        ip("-n", self._switch, "link", "set", f"port{machine}", "down")

    def plug(self, machine: int) -> None:
        """Put it back."""
        ip("-n", self._switch, "link", "set", f"port{machine}", "up")


def _hardware(machine: int) -> str:
    return f"02:00:00:00:00:{machine:02x}"
