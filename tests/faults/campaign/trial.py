"""One point, one fault: run the program, let others finish, and compare with an undisturbed run."""

import re
import signal
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from worker_helpers import wait_until

from . import archives, form_requests, snapshot
from .environment import Environment
from .fault_proxy import FaultProxy
from .faults import COMMITS_LOST, FAULTS, LOST_STATEMENTS, TWINS, keep_data, state
from .programs import Ended, Program
from .scenario import BEATS, STAGES, Stage

ERRORS = ("EIO", "ESTALE")
READS = ("short read", "cut short")
WRITES = ("half", "torn", "flipped bit")
KILLS = ("kill -9", "SIGTERM")
DAMAGES = ("flipped bit",)  # to a file that is then complete, and which no database records
ZOMBIES = ("SIGSTOP, SIGCONT",)
MOUNT_FAULTS = (*ERRORS, "ENOENT", "hang", "kill -9", "SIGTERM", "SIGTERM twice", *ZOMBIES)
# A stopped command ends with its terminal; nobody takes over what a person had begun.
# A command that had said that all is well is not run again, so that what the server then forgets is nobody's.
OF_WORKERS = ("SIGTERM twice", *ZOMBIES, COMMITS_LOST)
OF_COMMANDS = ("SIGTERM twice", *ZOMBIES)
# What is lost here depends on what came before the point, so that no two points are alike.
UNIQUE = (COMMITS_LOST,)
# These say something about a bundle, and an operator may have to queue it again.
FACTS = ("ENOENT",)
ENDS = ("COMMIT", "ROLLBACK")
IDS = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}|[0-9a-f]{2,}|\d+")
TIMES = re.compile(r"\d{4}-\d\d-\d\d \d\d:[\d:.]*|\d{8}T\d+")  # another one in each run
STRINGS = re.compile(r"(?:_binary )?'(?:[^'\\]|\\.|'')*'", re.DOTALL)
VALUES = re.compile(r"\b(?:0x[0-9a-f]+|[\d.]+|NULL)\b")
LISTS = re.compile(r"\(\?(?:, ?\?)*\)")
ROWS = re.compile(r"\(\?\)(?:,\s*\(\?\))+")


class Point(NamedTuple):
    """Where something goes wrong: the stage, `sql` or `mount`, the number there, and what is done there."""

    stage: str
    kind: str
    number: int
    what: str
    kin: tuple = ()  # the same of points where the same piece of code does the same

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
    return _statements(environment, stage) + ([] if stage.away else _file_calls(environment, stage))


def _statements(environment: Environment, stage: Stage) -> list[Point]:
    environment.restore(stage.before)
    with _proxy(environment, stage) as proxy:
        ended = environment.start(stage, _through(environment, stage)).wait()
    assert ended.status in (0, 1), ended.output
    first = _stop_at(proxy.statements, stage) + 1 if stage.stop else 0
    last = BEATS if stage.counted else len(proxy.statements)
    kin = [(stage.code, *each) for each in _kin_of_statements(proxy.statements, proxy.connections)]
    return [Point(stage.name, "sql", n + 1, _short(proxy.statements[n]), kin[n]) for n in range(first, last)]


def _stop_at(statements: list[str], stage: Stage) -> int:
    return next(n for n, each in enumerate(statements) if stage.stop in each)


def _file_calls(environment: Environment, stage: Stage) -> list[Point]:
    environment.restore(stage.before)
    trace = environment.folder / f"{stage.name}.trace"
    trace.unlink(missing_ok=True)
    environment.start(stage, environment.direct[stage.configuration], **_watched(environment, stage, trace)).wait()
    calls = trace.read_text().splitlines() if trace.exists() else []
    calls = [TIMES.sub("#", call.replace(str(_root(environment, stage)), "")) for call in calls]
    kind = "file" if stage.archives else "mount"
    alike = [IDS.sub("#", call) for call in calls]
    return [
        Point(stage.name, kind, n + 1, call, (stage.code, *alike[max(0, n - 1):n + 1]))
        for n, call in enumerate(calls)
    ]


def _short(statement: str) -> str:
    return TIMES.sub("#", " ".join(statement.split())[:80])


# --------------------------------------------------------------------------------------------- points that are alike


def _kin_of_statements(statements: list[str], connections: list[int]) -> list[tuple]:
    """Return for each statement what it is, what came before it on its connection, and how its transaction began.

    A COMMIT or ROLLBACK is known by all statements of its transaction. Values do not count.
    """
    kin, open_transactions = [], defaultdict(list)
    for statement, connection in zip(statements, connections, strict=True):
        shape = _shape(statement)
        done = open_transactions[connection]
        done.append(shape)
        if shape in ENDS:
            kin.append(tuple(dict.fromkeys(done)))
            done.clear()
        else:
            kin.append((done[0], *done[-2:]))
    return kin


def _shape(statement: str) -> str:
    """Return a statement without its values, and with one row of many."""
    text = VALUES.sub("?", STRINGS.sub("?", statement))
    return " ".join(ROWS.sub("(?)", LISTS.sub("(?)", text)).split())


def faults(point: Point) -> tuple[str, ...]:
    """The faults that make sense at a point."""
    stage = STAGES[point.stage]
    of_all = AT[point.kind](point.what.split()[0])
    left_out = () if stage.works else OF_COMMANDS if stage.recurs else OF_WORKERS
    return tuple(each for each in of_all if each not in left_out)


def _at_file(call: str) -> tuple[str, ...]:
    """Return the faults of a file operation; an open descriptor can only fail with an error."""
    if call in ("fstat", "entry"):
        return ERRORS
    return MOUNT_FAULTS + READS if call == "read" else MOUNT_FAULTS


def _at_archive(call: str) -> tuple[str, ...]:
    """Return the faults of an operation on the files of archives, which are on a disk of this machine."""
    more = {"read": READS, "write": WRITES}.get(call, ())
    return ("EIO", *(("ENOSPC",) if call in ("open", "write", "fsync", "rename") else ()), *KILLS, *more)


AT = {"sql": lambda call: tuple(FAULTS), "mount": _at_file, "file": _at_archive}


def plan(environment: Environment, stages: Iterable[str], *, every: bool = False) -> list[Trial]:
    """The trials of these stages, in an order that stays the same: each fault once among points that are alike.

    Each fault takes another one of these points. Errors that are twins take turns. With `every`, each takes all.
    """
    found = [point for name in stages for point in points(environment, STAGES[name])]
    alike = defaultdict(list)
    for point in found:
        alike[point.kin].append(point)
    trials = [Trial(point, fault) for point in found for fault in faults(point)]
    if every:
        return trials
    numbers = {kin: number for number, kin in enumerate(alike)}
    return [
        each for each in trials
        if each.fault in UNIQUE or (
            each.point == _chosen(each, alike[each.point.kin]) and not _is_twin(each.fault, numbers[each.point.kin])
        )
    ]


def _chosen(trial: Trial, alike: list[Point]) -> Point:
    """Return the one of the points that are alike at which this fault is tried."""
    return alike[faults(trial.point).index(trial.fault) % len(alike)]


def _is_twin(fault: str, number: int) -> bool:
    """Return whether another error of the server, which is the same exception to the programs, has its turn."""
    return any(fault in twins and twins[number % len(twins)] != fault for twins in TWINS)


# ------------------------------------------------------------------------------------------------- run a trial


def run(environment: Environment, trial: Trial) -> list[str]:
    """What is wrong after all; nothing when the fault was survived."""
    stage = STAGES[trial.point.stage]
    reference = environment.reference(stage, again=stage.works and trial.fault in FACTS)
    rows = environment.moved_rows() if stage.archives else {}
    environment.restore(stage.before)
    environment.notices.posts.clear()
    before = snapshot.ids(environment.admin)
    try:
        problems = (_at_server if trial.point.kind == "sql" else _at_file_call)(environment, stage, trial, reference)
        if stage.archives:
            problems += archives.broken_promises(environment, rows, may_be_damaged=trial.fault in DAMAGES)
        if stage.account == "notify":
            problems += _of_notices(environment)
        if stage.recurs:
            problems += archives.receipt_problems(environment)
    except Exception as error:
        environment.recover()
        return [f"{type(error).__name__}: {error}"]
    after = snapshot.ids(environment.admin)
    problems += [f"rows are gone from {table}" for table in before if not before[table] <= after[table]]
    return problems + snapshot.broken_invariants(environment.admin)


def _of_notices(environment: Environment) -> list[str]:
    """Check that each notice was sent, and marked after that."""
    rows = environment.admin.execute("SELECT id, sent_at FROM ingest_notice")
    unsent = [f"notice {row['id']} was never sent" for row in rows if row["sent_at"] is None]
    return unsent if environment.notices.posts else [*unsent, "nothing was posted"]


def _at_server(environment: Environment, stage: Stage, trial: Trial, reference: dict) -> list[str]:
    zombie = trial.fault in ZOMBIES
    proxy = _proxy(environment, stage, trial.point.number, FAULTS[trial.fault])
    if trial.fault == COMMITS_LOST:
        proxy.prepare_at, proxy.prepare = max(1, trial.point.number - LOST_STATEMENTS), keep_data
    with proxy:
        program = environment.start(stage, _through(environment, stage, impatient=zombie))
        if zombie:
            return _outlive(environment, stage, proxy.struck.is_set, program, reference)
        ended = program.wait()
    environment.admin.close()  # the server may have been restarted
    if not proxy.struck.is_set():
        return [f"the point was not reached; the program said {ended}"]
    return _compare(environment, stage, ended, reference)


def _outlive(
    environment: Environment, stage: Stage, stopped: Callable[[], bool], zombie: Program, reference: dict
) -> list[str]:
    """Others finish while it is stopped; when it goes on, it writes nothing."""
    wait_until(lambda: stopped() or zombie.ended(), "the point")
    if not stopped():
        return [f"the point was not reached; the program said {zombie.wait()}"]
    environment.mend(stage)
    environment.finish(stage)
    problems = snapshot.differences(reference, snapshot.take_snapshot(environment.admin))
    before = snapshot.everything(environment.admin)
    zombie.send(signal.SIGCONT)
    ended = zombie.wait()
    problems += [f"it wrote afterwards: {ended}"] if snapshot.everything(environment.admin) != before else []
    return problems


def _at_file_call(environment: Environment, stage: Stage, trial: Trial, reference: dict) -> list[str]:
    trace = environment.folder / "trial.trace"
    trace.unlink(missing_ok=True)
    zombie = trial.fault in ZOMBIES
    program = environment.start(
        stage, _impatient(environment, stage, environment.server.socket) if zombie
        else environment.direct[stage.configuration],
        **_watched(environment, stage, trace), FAULT_AT=str(trial.point.number), FAULT_KIND=trial.fault,
    )
    if zombie:
        return _outlive(environment, stage, lambda: _struck(trace) and state(program.pid) == "T", program, reference)
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
    problems = archives.lost(environment, environment.moved_rows()) if stage.archives else []
    environment.mend(stage)
    if stage.works:
        environment.finish(stage)
    elif stage.recurs or not (form_requests.went_well(ended.output) if stage.clicks else ended.status == 0):
        environment.wait_for_run_locks()
        again = environment.start(stage, environment.direct[stage.configuration]).wait()
        assert again.status in (0, 1), again.output
    problems += snapshot.differences(reference, snapshot.take_snapshot(environment.admin))
    return [*problems, f"the program had said {ended}"] if problems else []


def _says_unreadable(stage: Stage, ended: Ended) -> bool:
    """Return whether a scan skipped a bundle that it could not read; the next scan reads it again."""
    messages = ("cannot be read: ", " of its ")  # an error, or a file that ended early
    return stage.name == "scan" and ended.status == 0 and any(words in ended.output for words in messages)


def _mend(environment: Environment, stage: Stage, expected: dict) -> list[str]:
    """Check that, after a missing file was reported, queueing the bundle again completes the library."""
    if stage.works:
        environment.mend(stage)
        environment.finish(stage)
        environment.queue_again()
        library = snapshot.library(environment.admin)
        return snapshot.differences({name: expected[name] for name in library}, library)
    environment.start(stage, environment.direct[stage.configuration]).wait()
    return [
        each
        for each in snapshot.differences(expected, snapshot.take_snapshot(environment.admin))
        if "passed_over" not in each
    ]


# ------------------------------------------------------------------------------------------------------ parts


def _proxy(environment: Environment, stage: Stage, at: int = 0, fault=None) -> FaultProxy:
    """The proxy of a stage; one with a `stop` has SIGTERM come where the words say, and then counts on."""
    proxy = StoppingProxy if stage.stop else FaultProxy
    until = (at or BEATS) if stage.counted else 0
    # Which of the connections beats, and when, is left out of the numbers, unless it is the one that counts.
    opened = proxy(
        environment.proxy_path, environment.server, at, fault, counted=stage.counted or int(stage.works),
        hold=stage.hold, until=until,
    )
    opened.words = stage.stop
    return opened


class StoppingProxy(FaultProxy):
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
        options = {"heartbeat_seconds": 0.02} if stage.counted else {}
        return _impatient(environment, stage, environment.proxy_path, **options)
    if stage.counted:
        return environment.configuration(environment.proxy_path, stage.name, "gpu_worker", heartbeat_seconds=0.02)
    return environment.through[stage.configuration]


def _impatient(environment: Environment, stage: Stage, socket: Path, **options) -> Path:
    """A worker's configuration whose idle transactions end after a second."""
    options = {"stale_minutes": 0.05, "heartbeat_seconds": 0.5} | options
    options |= {"on_change": "replan"} if stage.account == "replan" else {}
    return environment.configuration(socket, f"impatient.{socket.name}", "gpu_worker", **options)


def _root(environment: Environment, stage: Stage) -> Path:
    """The folder whose files a stage reads or writes."""
    return environment.archives if stage.archives else environment.assets_dir


def _watched(environment: Environment, stage: Stage, trace: Path) -> dict[str, str]:
    """The environment in which the shim notes what is done there."""
    return {"FAULT_ROOT": str(_root(environment, stage)), "FAULT_TRACE": str(trace)}


def _struck(trace: Path) -> bool:
    return trace.exists() and any(line.startswith("! ") for line in trace.read_text().splitlines())
