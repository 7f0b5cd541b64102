"""Run the demo panel with its own MariaDB (docs/CONTRACT.md, 11)."""

import os
import shlex
import signal
import socket
from collections.abc import Callable
from itertools import chain
from pathlib import Path
from time import monotonic, sleep

from ..cli.output import format_table
from ..errors import PanelError
from ..worker.shutdown import ShutdownSignals
from . import demo_import, processes
from .processes import ManagedProcess
from .sandbox import Sandbox

PORT = 8080
START_SECONDS = 30
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

Info = Callable[[str], None]
Ready = Callable[[dict[str, str], list[str]], None]


def run(folder: Path, port: int | None, info: Info, ready: Ready) -> None:
    """Start everything, wait for a signal, stop everything in reverse order.

    The panel listens on `port`; without one on 8080, or on any free port if 8080 is taken.

    `info` receives each step. `ready` receives the addresses and files, as data and as lines, once the panel responds.
    Raises PanelError if a part does not start or ends by itself; the other parts are then stopped too.
    """
    port = _free_port() if port is None else _usable_port(port)
    with ShutdownSignals(STOP_SIGNALS, force=False) as signals:
        try:
            info("Starting MariaDB; the first start takes some seconds.")
            with Sandbox(folder) as sandbox:
                signals.check()
                info(f"MariaDB runs in {sandbox.folder / 'mariadb'}. Writing the demo bundles.")
                _write_bundles(sandbox, signals, info)
                info("Starting the worker and the panel.")
                _serve(sandbox, port, signals, info, ready)
        except KeyboardInterrupt:
            pass
    info("Stopped.")


def _write_bundles(sandbox: Sandbox, signals: ShutdownSignals, info: Info) -> None:
    groups = demo_import.write_bundles(sandbox.sync_dir, sandbox.sync_dir.parent, checkpoint=signals.check)
    scenarios = list(chain.from_iterable(groups))
    signals.check()
    info(f"{len(scenarios)} demo bundles are in {sandbox.sync_dir}:")
    for line in format_table(demo_import.describe_scenarios(scenarios)):
        info(line)


def _serve(sandbox: Sandbox, port: int, signals: ShutdownSignals, info: Info, ready: Ready) -> None:
    started: list[ManagedProcess] = []
    try:
        for name, command in _commands(sandbox, port).items():
            started.append(processes.start_process(name, command, sandbox.folder))
        _wait_for_panel(started[-1], port, signals)
        ready(*_addresses(sandbox, port))
        processes.watch([_database(sandbox), *started], signals)
    finally:
        info("\nStopping; the data stays.")
        for process in reversed(started):
            processes.stop_process(process)


def _database(sandbox: Sandbox) -> ManagedProcess:
    server = sandbox.server
    return ManagedProcess("database", server.process, server.log)


def _commands(sandbox: Sandbox, port: int) -> dict[str, list[str]]:
    """Return the commands to start, in this order."""
    worker, panel = ("--config", str(sandbox.worker_conf)), ("--config", str(sandbox.panel_conf))
    return {
        "worker": processes.program_command("import-worker", *worker),
        "panel": processes.program_command("gpupanel", "serve", *panel, "--port", str(port)),
    }


def _free_port() -> int:
    """Return 8080 if it is free, else any free port."""
    for port in (PORT, 0):
        try:
            with socket.create_server(("127.0.0.1", port)) as probe:
                return probe.getsockname()[1]
        except OSError:
            continue
    raise PanelError("There is no free port on 127.0.0.1.")


def _usable_port(port: int) -> int:
    """Return the port. Raises PanelError if this user cannot listen on it."""
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError as error:
        raise PanelError(
            f"Cannot listen on port {port}: {os.strerror(error.errno or 0)}."
            " Choose another one: make run PORT=N, or --port N."
        ) from None
    return port


def _wait_for_panel(panel: ManagedProcess, port: int, signals: ShutdownSignals) -> None:
    """Wait until the panel accepts connections.

    Raises KeyboardInterrupt if a signal comes first.
    """
    deadline = monotonic() + START_SECONDS
    while True:
        signals.check()
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if panel.process.poll() is not None:
                raise processes.unexpected_exit(panel) from None
            if monotonic() > deadline:
                problem = f"The panel did not respond within {START_SECONDS} seconds."
                raise PanelError(problem, f"Read {panel.log}.") from None
            sleep(0.05)


def _addresses(sandbox: Sandbox, port: int) -> tuple[dict[str, str], list[str]]:
    address = f"http://127.0.0.1:{port}/admin/import-media.cgi"
    data = {
        "address": address, "panel_conf": str(sandbox.panel_conf), "worker_conf": str(sandbox.worker_conf),
        "logs": str(sandbox.logs),
    }
    return data, [
        f"The worker waits for jobs. The logs are in {sandbox.logs}.", "", f"    {address}", "",
        f"From a shell: bin/gpupanel --config {shlex.quote(str(sandbox.panel_conf))} status",
        "Ctrl-C stops everything.",
    ]
