"""One point, one fault: run the program, let others finish, and compare with an undisturbed run."""

import signal
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from worker_helpers import wait_until

from . import form_requests, snapshot
from .environment import Environment
from .fault_proxy import FaultProxy
from .faults import FAULTS, state
from .programs import Ended, Program
from .scenario import BEATS, STAGES, Stage

ERRORS = ("EIO", "ESTALE")
READS = ("short read", "cut short")
ZOMBIES = ("SIGSTOP, SIGCONT",)
MOUNT_FAULTS = (*ERRORS, "ENOENT", "hang", "kill -9", "SIGTERM", "SIGTERM twice", *ZOMBIES)
# A stopped command ends with its terminal; nobody takes over what a person had begun.
OF_WORKERS = ("SIGTERM twice", *ZOMBIES)
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


def points(lane: Environment, stage: Stage) -> list[Point]:
    """All points of a stage, as a recording run passes them."""
    if stage.stop or stage.counted:
        return _statements(lane, stage)
    return _statements(lane, stage) + _mount_calls(lane, stage)


def _statements(lane: Environment, stage: Stage) -> list[Point]:
    lane.restore(stage.before)
    with _door(lane, stage) as door:
        ended = lane.start(stage, _through(lane, stage)).wait()
    assert ended.status in (0, 1), ended.output
    first = _stop_at(door.statements, stage) + 1 if stage.stop else 0
    last = BEATS if stage.counted else len(door.statements)
    return [Point(stage.name, "sql", n + 1, _short(door.statements[n])) for n in range(first, last)]


def _stop_at(statements: list[str], stage: Stage) -> int:
    return next(n for n, each in enumerate(statements) if stage.stop in each)


def _mount_calls(lane: Environment, stage: Stage) -> list[Point]:
    lane.restore(stage.before)
    trace = lane.folder / f"{stage.name}.trace"
    trace.unlink(missing_ok=True)
    lane.start(stage, lane.direct[stage.program], **_watched(lane, trace)).wait()
    calls = trace.read_text().splitlines() if trace.exists() else []
    return [Point(stage.name, "mount", n, call.replace(str(lane.assets_dir), "")) for n, call in enumerate(calls, 1)]


def _short(statement: str) -> str:
    return " ".join(statement.split())[:80]


def faults(point: Point) -> tuple[str, ...]:
    """The faults that make sense at a point."""
    of_all = _at_file(point.what.split()[0]) if point.kind == "mount" else tuple(FAULTS)
    return tuple(each for each in of_all if STAGES[point.stage].works or each not in OF_WORKERS)


def _at_file(call: str) -> tuple[str, ...]:
    """Looking at what is open already can only fail; nothing lies between it and the opening that a signal could part."""
    if call in ("fstat", "entry"):
        return ERRORS
    return MOUNT_FAULTS + READS if call == "read" else MOUNT_FAULTS


def plan(lane: Environment, stages: Iterable[str]) -> list[Trial]:
    """All trials of these stages, in an order that stays the same."""
    return [Trial(point, fault) for name in stages for point in points(lane, STAGES[name]) for fault in faults(point)]


# ------------------------------------------------------------------------------------------------- run a trial


def run(lane: Environment, trial: Trial) -> list[str]:
    """What is wrong after all; nothing when the fault was survived."""
    stage = STAGES[trial.point.stage]
    reference = lane.reference(stage, again=stage.works and trial.fault in FACTS)
    lane.restore(stage.before)
    before = snapshot.ids(lane.admin)
    try:
        problems = (_at_mount if trial.point.kind == "mount" else _at_door)(lane, stage, trial, reference)
    except Exception as error:
        lane.recover()
        return [f"{type(error).__name__}: {error}"]
    after = snapshot.ids(lane.admin)
    problems += [f"rows are gone from {table}" for table in before if not before[table] <= after[table]]
    return problems + snapshot.broken_invariants(lane.admin)


def _at_door(lane: Environment, stage: Stage, trial: Trial, reference: dict) -> list[str]:
    zombie = trial.fault in ZOMBIES
    with _door(lane, stage, trial.point.number, FAULTS[trial.fault]) as door:
        program = lane.start(stage, _through(lane, stage, impatient=zombie))
        if zombie:
            return _outlive(lane, door.struck.is_set, program, reference)
        ended = program.wait()
    lane.admin.close()  # the server may have been restarted
    if not door.struck.is_set():
        return [f"the point was not reached; the program said {ended}"]
    return _compare(lane, stage, ended, reference)


def _outlive(lane: Environment, stopped: Callable[[], bool], zombie: Program, reference: dict) -> list[str]:
    """Others finish while it is stopped; when it goes on, it writes nothing."""
    wait_until(lambda: stopped() or zombie.ended(), "the point")
    if not stopped():
        return [f"the point was not reached; the program said {zombie.wait()}"]
    lane.finish()
    problems = snapshot.differences(reference, snapshot.take_snapshot(lane.admin))
    before = snapshot.everything(lane.admin)
    zombie.send(signal.SIGCONT)
    ended = zombie.wait()
    problems += [f"it wrote afterwards: {ended}"] if snapshot.everything(lane.admin) != before else []
    return problems


def _at_mount(lane: Environment, stage: Stage, trial: Trial, reference: dict) -> list[str]:
    trace = lane.folder / "trial.trace"
    trace.unlink(missing_ok=True)
    zombie = trial.fault in ZOMBIES
    program = lane.start(
        stage, _impatient(lane, lane.server.socket) if zombie else lane.direct[stage.program],
        **_watched(lane, trace), FAULT_AT=str(trial.point.number), FAULT_KIND=trial.fault,
    )
    if zombie:
        return _outlive(lane, lambda: _struck(trace) and state(program.pid) == "T", program, reference)
    if trial.fault == "hang":
        wait_until(lambda: _struck(trace) or program.ended(), "the point")
        program.send(signal.SIGTERM)
    ended = program.wait()
    if not _struck(trace):
        return [f"the point was not reached; the program said {ended}"]
    if trial.fault in FACTS:
        return _mend(lane, stage, reference)
    return _compare(lane, stage, ended, reference)


def _compare(lane: Environment, stage: Stage, ended: Ended, reference: dict) -> list[str]:
    """A program that says all is well must have left all well; else it, or another worker, is run once more."""
    assert not form_requests.is_no_answer(ended.output), ended.output
    if stage.works:
        lane.finish()
    elif not (form_requests.went_well(ended.output) if stage.clicks else ended.status == 0):
        again = lane.start(stage, lane.direct[stage.program]).wait()
        assert again.status in (0, 1), again.output
    problems = snapshot.differences(reference, snapshot.take_snapshot(lane.admin))
    return [*problems, f"the program had said {ended}"] if problems else []


def _mend(lane: Environment, stage: Stage, expected: dict) -> list[str]:
    """A file that was not there is a fact: it is said, and once the bundle is queued again, the library is as it should be."""
    if stage.works:
        lane.finish()
        lane.queue_again()
        found = snapshot.library(lane.admin)
        return snapshot.differences({name: expected[name] for name in found}, found)
    lane.start(stage, lane.direct[stage.program]).wait()
    return [each for each in snapshot.differences(expected, snapshot.take_snapshot(lane.admin)) if "passed_over" not in each]


# ------------------------------------------------------------------------------------------------------ parts


def _door(lane: Environment, stage: Stage, at: int = 0, fault=None) -> FaultProxy:
    """The door of a stage; one with a `stop` has SIGTERM come where the words say, and then counts on."""
    door = StoppingDoor if stage.stop else FaultProxy
    until = (at or BEATS) if stage.counted else 0
    # Which of the connections beats, and when, is left out of the numbers, unless it is the one that counts.
    opened = door(lane.door_path, lane.server, at, fault, counted=stage.counted or int(stage.works), hold=stage.hold, until=until)
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


def _through(lane: Environment, stage: Stage, impatient: bool = False) -> Path:
    """The configuration that leads through the door."""
    if impatient:
        return _impatient(lane, lane.door_path, **({"heartbeat_seconds": 0.02} if stage.counted else {}))
    if stage.counted:
        return lane.configuration(lane.door_path, stage.name, "gpu_worker", heartbeat_seconds=0.02)
    return lane.through[stage.program]


def _impatient(lane: Environment, socket: Path, **options) -> Path:
    """A worker's configuration whose idle transactions end after a second."""
    options = {"stale_minutes": 0.05, "heartbeat_seconds": 0.5} | options
    return lane.configuration(socket, f"impatient.{socket.name}", "gpu_worker", **options)


def _watched(lane: Environment, trace: Path) -> dict[str, str]:
    """The environment in which the shim notes what is done on the mount."""
    return {"FAULT_ROOT": str(lane.assets_dir), "FAULT_TRACE": str(trace)}


def _struck(trace: Path) -> bool:
    return trace.exists() and any(line.startswith("! ") for line in trace.read_text().splitlines())
