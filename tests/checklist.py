"""The numbered steps of docs/PERL-PARITY.md, "The cutover", as commands with what each prints."""

import re
import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

from constants import TREE

TEXT = (TREE / "docs" / "PERL-PARITY.md").read_text().split("\n## The cutover\n")[1].split("\n## ")[0]
PROGRAMS = {"bin/gpupanel", "bin/import-worker"}
COMMAND = re.compile(r"(bin/|mariadb)")


class Step(NamedTuple):
    """`commands` go forwards; `prints` is what the last one prints; `back` are those of the way back."""

    number: int
    title: str
    commands: list[str]
    prints: list[str]
    back: list[str]


def steps() -> list[Step]:
    """Return the steps in their order."""
    parts = re.split(r"(?m)^### (\d+)\. (.+)$", TEXT)[1:]
    return [_step(int(number), title, text) for number, title, text in zip(*[iter(parts)] * 3, strict=True)]


def _step(number: int, title: str, text: str) -> Step:
    forwards, _, back = text.partition("\nGo back:")
    blocks = _blocks(forwards)
    return Step(
        number, title, [line for block in blocks for line in block if COMMAND.match(line)],
        [line for block in blocks for line in block if not COMMAND.match(line)],
        [line for block in _blocks(back.partition("\n**")[0]) for line in block],
    )


def _blocks(text: str) -> list[list[str]]:
    blocks = re.findall(r"(?m)(?:^    .+\n?)+", text)
    return [[line.strip() for line in block.strip("\n").split("\n")] for block in blocks]


class Shell:
    """Runs the commands in a folder, with the socket of a private server; `seconds` of each step."""

    def __init__(self, folder: Path, socket: Path):
        self._folder = folder
        (folder / ".my.cnf").write_text(f"[client]\nsocket = {socket}\n")
        self._environment = {"HOME": str(folder), "PATH": "/usr/bin:/bin"}
        self.seconds: dict[int, float] = {}

    def run(self, step: Step) -> None:
        """Run a step and hold what it prints to the document."""
        started = time.monotonic()
        printed = [self.command(command) for command in step.commands]
        self.seconds[step.number] = time.monotonic() - started
        if step.prints:
            output = next(text for text in printed if text)
            pattern = ".*".join(map(re.escape, "".join(step.prints).split("...")))
            assert re.match(pattern, output, re.DOTALL), (step.title, output)

    def command(self, line: str) -> str:
        """Run one line of a block, which must exit with 0; return what it prints."""
        words, to, source = shlex.split(line), None, None
        if words[-2] in "<>":
            (to, source) = (words[-1], None) if words[-2] == ">" else (None, words[-1])
            words = words[:-2]
        if words[0] in PROGRAMS:
            words = [sys.executable, str(TREE / words[0]), *words[1:]]
        words = [str(TREE / word) if word.startswith("etc/") else word for word in words]
        done = subprocess.run(
            words, cwd=self._folder, env=self._environment, capture_output=True, text=True,
            input=(self._folder / source).read_text() if source else None,
        )
        assert done.returncode == 0, (line, done.stdout[-3000:], done.stderr)
        assert not done.stderr or words[0] == sys.executable, (line, done.stderr)
        if to:
            (self._folder / to).write_text(done.stdout)
            return ""
        return done.stdout
