"""One point, one fault: run the program, let others finish, and compare with an undisturbed run."""

import signal
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from worker_helpers import wait_until

from . import form_requests, snapshot
from .environment import Environment
from .fault_proxy import FaultProxy
from .faults import COMMITS_LOST, FAULTS, LOST_STATEMENTS, keep_data, state
from .programs import Ended, Program
from .scenario import BEATS, STAGES, Stage

ERRORS = ("EIO", "ESTALE")
READS = ("short read", "cut short")
ZOMBIES = ("SIGSTOP, SIGCONT",)
MOUNT_FAULTS = (*ERRORS, "ENOENT", "hang", "kill -9", "SIGTERM", "SIGTERM twice", *ZOMBIES)
# A stopped command ends with its terminal; nobody takes over what a person had begun.
# A command that had said that all is well is not run again, so that what the server then forgets is nobody's.
OF_WORKERS = ("SIGTERM twice", *ZOMBIES, COMMITS_LOST)
# These say something about a bundle, and an operator may have to queue it again.
FACTS = ("ENOENT",)


class Point(NamedTuple):
    """Where something goes wrong: the stage, `sql` or `mount`, the number there, and what is done there."""

    stage: str
    kind: str
    number: int
    what: str

    def __str__(self) -> str:
        return f"{self.stage}/{self.kind}/{self.number}"


class Trial(NamedTuple):
    point: Point
    fault: str

    def __str__(self) -> str:
        return f"{self.point} {self.fault}: {self.point.what}"


# ------------------------------------------------------------------------------------------------ find points


def points(environment: Environment, stage: Stage) -> list[Point]:
    """All points of a stage, as a recording run passes them."""
    if stage.stop or stage.counted:
        return _statements(environment, stage)
    return _statements(environment, stage) + _mount_calls(environment, stage)


def _statements(environment: Environment, stage: Stage) -> list[Point]:
    environment.restore(stage.before)
    with _door(environment, stage) as proxy:
        ended = environment.start(stage, _through(environment, stage)).wait()
    assert ended.status in (0, 1), ended.output
    first = _stop_at(proxy.statements, stage) + 1 if stage.stop else 0
    last = BEATS if stage.counted else len(proxy.statements)
    return [Point(stage.name, "sql", n + 1, _short(proxy.statements[n])) for n in range(first, last)]


def _stop_at(statements: list[str], stage: Stage) -> int:
    return next(n for n, each in enumerate(statements) if stage.stop in each)


def _mount_calls(environment: Environment, stage: Stage) -> list[Point]:
    environment.restore(stage.before)
    trace = environment.folder / f"{stage.name}.trace"
    trace.unlink(missing_ok=True)
    environment.start(stage, environment.direct[stage.program], **_watched(environment, trace)).wait()
    calls = trace.read_text().splitlines() if trace.exists() else []
    return [
        Point(stage.name, "mount", n, call.replace(str(environment.assets_dir), "")) for n, call in enumerate(calls, 1)
    ]


def _short(statement: str) -> str:
    return " ".join(statement.split())[:80]


def faults(point: Point) -> tuple[str, ...]:
    """The faults that make sense at a point."""
    of_all = _at_file(point.what.split()[0]) if point.kind == "mount" else tuple(FAULTS)
    return tuple(each for each in of_all if STAGES[point.stage].works or each not in OF_WORKERS)


def _at_file(call: str) -> tuple[str, ...]:
    """Return the faults of a file operation; an open descriptor can only fail with an error."""
    if call in ("fstat", "entry"):
        return ERRORS
    return MOUNT_FAULTS + READS if call == "read" else MOUNT_FAULTS


def plan(environment: Environment, stages: Iterable[str]) -> list[Trial]:
    """All trials of these stages, in an order that stays the same."""
    return [
        Trial(point, fault) for name in stages for point in points(environment, STAGES[name]) for fault in faults(point)
    ]


# ------------------------------------------------------------------------------------------------- run a trial


def run(environment: Environment, trial: Trial) -> list[str]:
    """What is wrong after all; nothing when the fault was survived."""
    stage = STAGES[trial.point.stage]
    reference = environment.reference(stage, again=stage.works and trial.fault in FACTS)
    environment.restore(stage.before)
    before = snapshot.ids(environment.admin)
    try:
        problems = (_at_mount if trial.point.kind == "mount" else _at_door)(environment, stage, trial, reference)
    except Exception as error:
        environment.recover()
        return [f"{type(error).__name__}: {error}"]
    after = snapshot.ids(environment.admin)
    problems += [f"rows are gone from {table}" for table in before if not before[table] <= after[table]]
    return problems + snapshot.broken_invariants(environment.admin)


def _at_door(environment: Environment, stage: Stage, trial: Trial, reference: dict) -> list[str]:
    zombie = trial.fault in ZOMBIES
    proxy = _door(environment, stage, trial.point.number, FAULTS[trial.fault])
    if trial.fault == COMMITS_LOST:
        proxy.prepare_at, proxy.prepare = max(1, trial.point.number - LOST_STATEMENTS), keep_data
    with proxy:
        program = environment.start(stage, _through(environment, stage, impatient=zombie))
        if zombie:
            return _outlive(environment, proxy.struck.is_set, program, reference)
        ended = program.wait()
    environment.admin.close()  # the server may have been restarted
    if not proxy.struck.is_set():
        return [f"the point was not reached; the program said {ended}"]
    return _compare(environment, stage, ended, reference)


def _outlive(environment: Environment, stopped: Callable[[], bool], zombie: Program, reference: dict) -> list[str]:
    """Others finish while it is stopped; when it goes on, it writes nothing."""
    wait_until(lambda: stopped() or zombie.ended(), "the point")
    if not stopped():
        return [f"the point was not reached; the program said {zombie.wait()}"]
    environment.finish()
    problems = snapshot.differences(reference, snapshot.take_snapshot(environment.admin))
    before = snapshot.everything(environment.admin)
    zombie.send(signal.SIGCONT)
    ended = zombie.wait()
    problems += [f"it wrote afterwards: {ended}"] if snapshot.everything(environment.admin) != before else []
    return problems


def _at_mount(environment: Environment, stage: Stage, trial: Trial, reference: dict) -> list[str]:
    trace = environment.folder / "trial.trace"
    trace.unlink(missing_ok=True)
    zombie = trial.fault in ZOMBIES
    program = environment.start(
        stage, _impatient(environment, environment.server.socket) if zombie else environment.direct[stage.program],
        **_watched(environment, trace), FAULT_AT=str(trial.point.number), FAULT_KIND=trial.fault,
    )
    if zombie:
        return _outlive(environment, lambda: _struck(trace) and state(program.pid) == "T", program, reference)
    if trial.fault == "hang":
        wait_until(lambda: _struck(trace) or program.ended(), "the point")
        program.send(signal.SIGTERM)
    ended = program.wait()
    if not _struck(trace):
        return [f"the point was not reached; the program said {ended}"]
    if trial.fault in FACTS or _says_unreadable(stage, ended):
        return _mend(environment, stage, reference)
    return _compare(environment, stage, ended, reference)


def _compare(environment: Environment, stage: Stage, ended: Ended, reference: dict) -> list[str]:
    """A program that says all is well must have left all well; else it, or another worker, is run once more."""
    assert not form_requests.is_no_answer(ended.output), ended.output
    if stage.works:
        environment.finish()
    elif not (form_requests.went_well(ended.output) if stage.clicks else ended.status == 0):
        again = environment.start(stage, environment.direct[stage.program]).wait()
        assert again.status in (0, 1), again.output
    problems = snapshot.differences(reference, snapshot.take_snapshot(environment.admin))
    return [*problems, f"the program had said {ended}"] if problems else []


def _says_unreadable(stage: Stage, ended: Ended) -> bool:
    """Return whether a scan skipped a bundle that it could not read; the next scan reads it again."""
    messages = ("cannot be read: ", " of its ")  # an error, or a file that ended early
    return stage.name == "scan" and ended.status == 0 and any(words in ended.output for words in messages)


def _mend(environment: Environment, stage: Stage, expected: dict) -> list[str]:
    """Check that, after a missing file was reported, queueing the bundle again completes the library."""
    if stage.works:
        environment.finish()
        environment.queue_again()
        library = snapshot.library(environment.admin)
        return snapshot.differences({name: expected[name] for name in library}, library)
    environment.start(stage, environment.direct[stage.program]).wait()
    return [
        each
        for each in snapshot.differences(expected, snapshot.take_snapshot(environment.admin))
        if "passed_over" not in each
    ]


# ------------------------------------------------------------------------------------------------------ parts


def _door(environment: Environment, stage: Stage, at: int = 0, fault=None) -> FaultProxy:
    """The proxy of a stage; one with a `stop` has SIGTERM come where the words say, and then counts on."""
    proxy = StoppingDoor if stage.stop else FaultProxy
    until = (at or BEATS) if stage.counted else 0
    # Which of the connections beats, and when, is left out of the numbers, unless it is the one that counts.
    opened = proxy(
        environment.proxy_path, environment.server, at, fault, counted=stage.counted or int(stage.works),
        hold=stage.hold, until=until,
    )
    opened.words = stage.stop
    return opened


class StoppingDoor(FaultProxy):
    """Sends SIGTERM with the first statement that has certain words."""

    words = ""

    def number(self, link, statement: str) -> int:
        if self.words and self.words in statement:
            self.words = ""
            link.signal(signal.SIGTERM)
        return super().number(link, statement)


def _through(environment: Environment, stage: Stage, impatient: bool = False) -> Path:
    """The configuration that leads through the proxy."""
    if impatient:
        return _impatient(environment, environment.proxy_path, **({"heartbeat_seconds": 0.02} if stage.counted else {}))
    if stage.counted:
        return environment.configuration(environment.proxy_path, stage.name, "gpu_worker", heartbeat_seconds=0.02)
    return environment.through[stage.program]


def _impatient(environment: Environment, socket: Path, **options) -> Path:
    """A worker's configuration whose idle transactions end after a second."""
    options = {"stale_minutes": 0.05, "heartbeat_seconds": 0.5} | options
    return environment.configuration(socket, f"impatient.{socket.name}", "gpu_worker", **options)


def _watched(environment: Environment, trace: Path) -> dict[str, str]:
    """The environment in which the shim notes what is done on the mount."""
    return {"FAULT_ROOT": str(environment.assets_dir), "FAULT_TRACE": str(trace)}


def _struck(trace: Path) -> bool:
    return trace.exists() and any(line.startswith("! ") for line in trace.read_text().splitlines())
