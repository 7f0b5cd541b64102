"""make faults: every point with every fault, on all cores; prints the numbers of trials and failures.

`python -m campaign --stage import --fault "kill -9 before"` narrows it down, `--only import/sql/17` repeats a point,
`--from N` begins at trial N of the plan that the same options give, `--sample N --seed S` takes N trials. `--every`
also tries each fault at each of several points that are alike, as `--only` does. With
`--done FILE`, an interrupted campaign continues: trials that passed are recorded in the file and not repeated.
"""

import argparse
import multiprocessing
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from . import trial
from .environment import Environment, open_environment
from .scenario import STAGES

SILENT_SECONDS = 600  # an environment that was killed never answers

_mine: dict = {}


def main() -> int:
    options = _options()
    signal.signal(signal.SIGTERM, _leave)
    wanted = options.only.partition("/")[0] if options.only else options.stage
    stages = [name for name in STAGES if wanted in (None, name)]
    done = Done(options.done)
    with multiprocessing.Pool(options.lanes, _open_environment) as pool:
        chosen = _selected(pool.apply(_plan, (stages, options.every or bool(options.only))), options)
        trials = [(number, each) for number, each in chosen if str(each) not in done.before]
        _announce([each for _, each in chosen], len(trials), options.lanes)
        survived = _report(_outcomes(pool, trials), len(trials), done)
        pool.close()
        pool.join()
    return 0 if survived else 1


def _outcomes(pool, trials: list) -> Iterator[tuple[int, trial.Trial, list[str]]]:
    coming = pool.imap_unordered(_try, trials)
    for _ in trials:
        yield coming.next(SILENT_SECONDS)


class Done:
    """The passed trials, one per line of a file that the next campaign reads, if a file is named."""

    def __init__(self, path: Path | None):
        self.before = set(path.read_text().splitlines()) if path and path.exists() else set()
        self._path = path

    def add(self, each: trial.Trial) -> None:
        if self._path:
            with open(self._path, "a") as file:
                print(each, file=file)


def _announce(chosen: list[trial.Trial], left: int, lanes: int) -> None:
    points, faults = {each.point for each in chosen}, {each.fault for each in chosen}
    earlier = f", of which {len(chosen) - left} have survived before" if left < len(chosen) else ""
    print(f"{len(points)} points, {len(faults)} faults, {len(chosen)} trials{earlier}; {lanes} lanes", flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="campaign", description=__doc__.split("\n")[0])
    lanes = 2 * multiprocessing.cpu_count()  # each waits for half of its time
    parser.add_argument("--lanes", type=int, default=lanes, help=f"how many run side by side ({lanes})")
    parser.add_argument("--stage", choices=STAGES, help="only this stage")
    parser.add_argument("--fault", action="append", help="only this fault; may be repeated")
    parser.add_argument("--only", metavar="POINT", help="only this point, such as import/sql/17")
    parser.add_argument("--every", action="store_true", help="each fault at each point, also where points are alike")
    parser.add_argument("--from", dest="first", type=int, default=1, metavar="N", help="begin at trial N")
    parser.add_argument("--done", type=Path, metavar="FILE", help="note what survived, and leave it out the next time")
    parser.add_argument("--sample", type=int, metavar="N", help="only N of the trials")
    parser.add_argument("--seed", type=int, default=1, help="which ones (1)")
    return parser.parse_args()


def _selected(trials: list[trial.Trial], options: argparse.Namespace) -> list[tuple[int, trial.Trial]]:
    chosen = [
        (number, each) for number, each in enumerate(trials, 1) if number >= options.first
        and options.only in (None, str(each.point)) and (not options.fault or each.fault in options.fault)
    ]
    if options.sample and options.sample < len(chosen):
        chosen = sorted(random.Random(options.seed).sample(chosen, options.sample))
    return chosen


def _report(outcomes, total: int, noted: Done) -> bool:
    """Print the failed trials and the figures of each fault; return whether all trials passed."""
    tried, survived, since = Counter(), Counter(), time.monotonic()
    for done, (number, each, problems) in enumerate(outcomes, 1):
        tried[each.fault] += 1
        survived[each.fault] += not problems
        if not problems:
            noted.add(each)
        else:
            print(f"\n{number}. {each}", *problems[:12], sep="\n    ", flush=True)
        if done % 100 == 0 or done == total:
            seconds = time.monotonic() - since
            rate = f"{seconds:.0f} s, {done / seconds:.1f} a second"
            print(f"{done} of {total} tried, {sum(survived.values())} survived, {rate}", flush=True)
    for fault in tried:
        print(f"  {fault:24} {tried[fault]:6} tried {survived[fault]:6} survived")
    return tried == survived


# ---------------------------------------------------------------------------------------------- in each process


def _open_environment() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # only the process that started the environments handles Ctrl-C
    signal.signal(signal.SIGTERM, _leave)
    stack = ExitStack()
    multiprocessing.util.Finalize(None, stack.close, exitpriority=10)
    try:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="campaign-"))
        _mine["environment"] = stack.enter_context(open_environment(Path(folder)))
    except Exception as error:  # raised here, it would only have another environment opened in its place, and again
        _mine["broken"] = error


def _environment() -> Environment:
    if "broken" in _mine:
        raise _mine["broken"]
    return _mine["environment"]


def _leave(number: int, frame) -> None:
    """On SIGTERM, end the environment's processes first, and ignore further signals."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.exit(1)


def _plan(stages: list[str], every: bool) -> list[trial.Trial]:
    return trial.plan(_environment(), stages, every=every)


def _try(numbered: tuple[int, trial.Trial]) -> tuple[int, trial.Trial, list[str]]:
    number, each = numbered
    return number, each, trial.run(_environment(), each)


if __name__ == "__main__":
    sys.exit(main())
