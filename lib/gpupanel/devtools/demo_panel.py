"""Run the demo panel with its own MariaDB (docs/CONTRACT.md, 11)."""

import socket
from collections.abc import Callable
from itertools import chain
from pathlib import Path
from time import monotonic, sleep

from ..cli.output import format_table
from ..errors import PanelError
from . import demo_import, processes
from .processes import ManagedProcess, SignalWatcher
from .sandbox import Sandbox

PORT = 8080
START_SECONDS = 30

Info = Callable[[str], None]
Ready = Callable[[dict[str, str], list[str]], None]


def run(folder: Path, info: Info, ready: Ready) -> None:
    """Start everything, wait for a signal, stop everything in reverse order.

    `info` receives each step. `ready` receives the addresses and files, as data and as lines, once the panel responds.
    Raises PanelError if a part does not start or ends by itself; the other parts are then stopped too.
    """
    with SignalWatcher() as signals:
        try:
            with Sandbox(folder) as sandbox:
                signals.checkpoint()
                info(f"MariaDB runs in {sandbox.folder / 'mariadb'}.")
                _write_bundles(sandbox, signals, info)
                _serve(sandbox, signals, info, ready)
        except KeyboardInterrupt:
            pass
    info("Stopped.")


def _write_bundles(sandbox: Sandbox, signals: SignalWatcher, info: Info) -> None:
    groups = demo_import.write_bundles(sandbox.sync_dir, sandbox.sync_dir.parent, checkpoint=signals.checkpoint)
    scenarios = list(chain.from_iterable(groups))
    signals.checkpoint()
    info(f"{len(scenarios)} demo bundles are in {sandbox.sync_dir}:")
    for line in format_table(demo_import.describe_scenarios(scenarios)):
        info(line)


def _serve(sandbox: Sandbox, signals: SignalWatcher, info: Info, ready: Ready) -> None:
    port = _free_port()
    started: list[ManagedProcess] = []
    try:
        for name, command in _commands(sandbox, port).items():
            started.append(processes.start_process(name, command, sandbox.folder))
        _wait_for_panel(started[-1], port, signals)
        ready(*_addresses(sandbox, port))
        signals.watch([_database(sandbox), *started])
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


def _wait_for_panel(panel: ManagedProcess, port: int, signals: SignalWatcher) -> None:
    """Wait until the panel accepts connections.

    Raises KeyboardInterrupt if a signal comes first.
    """
    deadline = monotonic() + START_SECONDS
    while True:
        signals.checkpoint()
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
        f"From a shell: bin/gpupanel --config {sandbox.panel_conf} status", "Ctrl-C stops everything.",
    ]
