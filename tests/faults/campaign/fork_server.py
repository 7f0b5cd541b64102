"""Fork the tested programs, without the half second that Python takes to start.

Reads one line of JSON per program: name, arguments, environment, standard input and output file. Replies with its
process id. The reply to a line with a process id is the exit status, after the process has ended.
"""

import gc
import json
import os
import sys
from pathlib import Path


def main() -> None:
    import importlib.resources.readers  # noqa: F401 - and all that a program would load late

    from gpupanel.cli import (  # noqa: F401
        archive, jobs, main, notify, preflight, queue, restore_archive, scan, seal, undo,
    )
    from gpupanel.web import bulk_actions, entrypoints, form_actions, wsgi  # noqa: F401
    from gpupanel.worker import cli

    programs = {
        "gpupanel": main.main, "import-worker": cli.main, "import-media.cgi": lambda _: entrypoints.serve_once(Path()),
    }
    # Objects of the parent are no garbage of a fork; collecting them would take as long as the fork's own work.
    gc.collect()
    gc.freeze()
    for line in sys.stdin:
        order = json.loads(line)
        answer = _exit_status(order) if isinstance(order, int) else _fork(programs[order["program"]], order)
        print(answer, flush=True)


def _exit_status(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _fork(program, order: dict) -> int:
    pid = os.fork()
    if pid:
        return pid
    out = os.open(order["out"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(_input(order["given"]), 0)
    sys.stdin = os.fdopen(0)
    os.dup2(out, 1)
    os.dup2(out, 2)
    os.environ.update(order["environ"])
    sys.argv = [order["program"], *order["arguments"]]
    sys.exit(program(order["arguments"]))


def _input(text: str) -> int:
    """Return a descriptor to read `text` from; it fits into a pipe."""
    reading, writing = os.pipe()
    os.write(writing, text.encode())
    os.close(writing)
    return reading


if __name__ == "__main__":
    main()
