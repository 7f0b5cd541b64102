"""What `make run` starts: a private MariaDB, the demo bundles, the worker and the panel (docs/CONTRACT.md, 11)."""

import socket
from itertools import chain
from pathlib import Path
from time import monotonic, sleep
from typing import Callable

from ..errors import PanelError
from . import children, demo
from .children import Child, Signals
from .playground import Playground
from .text import table

PORT = 8080
START_SECONDS = 30


def run(folder: Path, say: Callable[[str], None], ready: Callable[[dict, list[str]], None]) -> None:
    """Start all of it, wait for Ctrl-C or SIGTERM, and stop what was started, the last first.

    `say` is told how it gets on; `ready` is told where everything is, as data and as lines, once the panel answers; it
    never is when a signal came before. Raises PanelError when a part does not start or ends by itself; the others are
    stopped then, too.
    """
    with Signals() as signals:
        try:
            with Playground(folder) as playground:
                signals.check()
                say(f"MariaDB runs in {playground.folder / 'mariadb'}.")
                _write(playground, signals, say)
                _serve(playground, signals, say, ready)
        except KeyboardInterrupt:
            pass
    say("Stopped.")


def _write(playground: Playground, signals: Signals, say: Callable[[str], None]) -> None:
    groups = demo.write(playground.sync_dir, playground.sync_dir.parent, attend=signals.check)
    stories = list(chain.from_iterable(groups))
    signals.check()
    say(f"{len(stories)} demo bundles are in {playground.sync_dir}:")
    for line in table(demo.listing(stories)):
        say(line)


def _serve(playground: Playground, signals: Signals, say, ready) -> None:
    port, started = _free_port(), []
    try:
        for name, command in _commands(playground, port).items():
            started.append(children.start(name, command, playground.folder))
        _wait(started[-1], port, signals)
        ready(*_where(playground, port))
        signals.watch([_database(playground), *started])
    finally:
        say("\nStopping; the data stays.")
        for child in reversed(started):
            children.stop(child)


def _database(playground: Playground) -> Child:
    server = playground.server
    return Child("database", server.process, server.log)


def _commands(playground: Playground, port: int) -> dict[str, list[str]]:
    """What to start, in this order."""
    worker, panel = ("--config", str(playground.worker_conf)), ("--config", str(playground.panel_conf))
    return {
        "worker": children.program("import-worker", *worker),
        "panel": children.program("gpupanel", "serve", *panel, "--port", str(port)),
    }


def _free_port() -> int:
    """8080 if nobody has it, else any."""
    for port in (PORT, 0):
        try:
            with socket.create_server(("127.0.0.1", port)) as probe:
                return probe.getsockname()[1]
        except OSError:
            continue
    raise PanelError("There is no free port on 127.0.0.1.")


def _wait(panel: Child, port: int, signals: Signals) -> None:
    """Until the panel accepts connections. Raises KeyboardInterrupt when a signal comes first."""
    deadline = monotonic() + START_SECONDS
    while True:
        signals.check()
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if panel.process.poll() is not None:
                raise children.ended(panel) from None
            if monotonic() > deadline:
                raise PanelError(f"The panel did not answer within {START_SECONDS} seconds.", f"Look at {panel.log}.") from None
            sleep(0.05)


def _where(playground: Playground, port: int) -> tuple[dict[str, str], list[str]]:
    address = f"http://127.0.0.1:{port}/admin/import-media.cgi"
    data = {
        "address": address, "panel_conf": str(playground.panel_conf), "worker_conf": str(playground.worker_conf),
        "logs": str(playground.logs),
    }
    return data, [
        f"The worker waits for jobs. The logs are in {playground.logs}.", "", f"    {address}", "",
        f"From a shell: bin/gpupanel --config {playground.panel_conf} status", "Ctrl-C stops everything.",
    ]
