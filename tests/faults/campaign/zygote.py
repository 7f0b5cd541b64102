"""Forks the programs under trial: each is a process of its own, without the half second that Python takes to start.

Reads a line of JSON for each program: its name, arguments, environment and the file for its output. Answers with its process id; for
a process id, with its exit status once it has ended.
"""

import json
import os
import sys


def main() -> None:
    from gpupanel.tools import cli
    from gpupanel.tools.commands import operating  # noqa: F401 - so that each fork has it already
    from gpupanel.work import command

    programs = {"gpupanel": cli.main, "import-worker": command.main}
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
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(out, 1)
    os.dup2(out, 2)
    os.environ.update(order["environ"])
    sys.argv = [order["program"], *order["arguments"]]
    sys.exit(program(order["arguments"]))


if __name__ == "__main__":
    main()
