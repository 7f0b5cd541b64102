"""run, demo: the whole thing on this machine, with bundles of its own."""

import os
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Iterator

from ... import config
from ...database import Database
from ...errors import InvalidInput
from ...mount import Mount
from ...paths import TREE
from .. import demo as demo_set
from .. import run as demo_panel
from ..playground import Playground
from ..shell import Shell
from ..text import counts, plain, table

ELSEWHERE = "Unset GPUPANEL_CONF, or say --var DIR; --config FILE is how to have the demo bundles in another installation."


def run(shell: Shell) -> int:
    """Until Ctrl-C. JSON, once all is up: {address, panel_conf, worker_conf, logs}."""
    if shell.args.config:
        _refuse_other(shell, "--config", shell.args.config, "Leave --config away; --var names another folder.")
    demo_panel.run(_private(shell, "Unset GPUPANEL_CONF, or say --var DIR."), say=shell.say, ready=shell.tell)
    return 0


def demo(shell: Shell) -> int:
    """JSON: {bundles: [{sync_id, title}]}; with --once {found, new, known, passed_over, planned, done, as_told, right,
    bundles: [result], panel_conf}, where `planned` and `done` count what is new."""
    return _once(shell) if shell.args.once else _write(shell)


def _write(shell: Shell) -> int:
    sync_dir, assets_dir = _mount(shell)
    stories = list(chain.from_iterable(_stories(shell, sync_dir, assets_dir)))
    data = {"sync_dir": sync_dir, "bundles": [{"sync_id": each.sync_id, "title": each.title} for each in stories]}
    lines = [f"{len(stories)} bundles in {sync_dir}:", *table(demo_set.listing(stories))]
    shell.tell(data, lines)
    return 0


def _once(shell: Shell) -> int:
    with _installation(shell) as (panel_conf, worker_conf):
        settings = config.load(panel_conf)
        groups = _stories(shell, settings.mount.sync_dir, settings.mount.assets_dir)
        report = demo_set.once(
            Database(settings.database), Mount(settings.mount), groups, shell.by, demo_set.worker(worker_conf),
            shell.progress("demo"),
        )
    shell.tell(_data(report, panel_conf), _lines(report, shell, panel_conf))
    return 0 if report.right else 1


@contextmanager
def _installation(shell: Shell) -> Iterator[tuple[Path, Path]]:
    """The two configurations: those of a private installation, unless --config names another."""
    if shell.args.config:
        yield shell.settings.path, shell.settings.path.parent / "worker.conf"
        return
    with Playground(_private(shell, ELSEWHERE)) as playground:
        yield playground.panel_conf, playground.worker_conf


def _mount(shell: Shell) -> tuple[Path, Path]:
    if shell.args.config:
        return shell.settings.mount.sync_dir, shell.settings.mount.assets_dir
    sync_dir = Playground(_private(shell, ELSEWHERE)).sync_dir
    return sync_dir, sync_dir.parent


def _folder(shell: Shell) -> Path:
    """var/ beside lib/ when run in place, and in the current folder when installed."""
    return Path(shell.args.var or (TREE if (TREE / "bin").is_dir() else Path()) / "var")


def _private(shell: Shell, hint: str) -> Path:
    """The folder of the private installation. Raises InvalidInput where GPUPANEL_CONF names another one, and no --var
    says that this is what is meant."""
    if not shell.args.var and (named := os.environ.get("GPUPANEL_CONF")):
        _refuse_other(shell, "GPUPANEL_CONF", named, hint)
    return _folder(shell)


def _refuse_other(shell: Shell, where: str, named: str, hint: str) -> None:
    own = Playground(_folder(shell)).panel_conf
    if Path(named).resolve() != own.resolve():
        raise InvalidInput(f"{shell.args.command} has a configuration of its own, {own}; {where} names {named}.", hint)


def _stories(shell: Shell, sync_dir: Path, assets_dir: Path) -> list[list[demo_set.Story]]:
    args = shell.args
    return demo_set.write(sync_dir, assets_dir, args.seed, args.bundles, args.items)


def _data(report: demo_set.Report, panel_conf: Path) -> dict:
    return {
        "found": report.scan.sentinels, "new": len(report.scan.discovered), "known": report.scan.known,
        "passed_over": report.scan.passed_over, "planned": report.planned, "done": report.done,
        "as_told": report.as_told, "right": report.right, "bundles": [result._asdict() for result in report.results], "panel_conf": panel_conf,
    }


def _lines(report: demo_set.Report, shell: Shell, panel_conf: Path) -> list[str]:
    scan = report.scan
    lines = [
        f"Found     {scan.sentinels} bundles: {len(scan.discovered)} new, {scan.known} known,"
        f" {len(scan.passed_over)} passed over",
        f"Planned   {_new(report.planned)}", f"Imported  {_new(report.done)}", "",
    ]
    for result in report.results:
        lines += _bundle(result)
    return [*lines, "", *_verdict(report), *_where(shell, panel_conf)]


def _new(numbers: dict[str, int]) -> str:
    return counts(numbers) if any(numbers.values()) else "nothing new"


def _verdict(report: demo_set.Report) -> list[str]:
    total, told = len(report.results), sum(result.as_told for result in report.results)
    if report.as_told:
        return [f"All {total} bundles ended as their stories say."]
    if not report.right:
        return [f"{sum(not result.right for result in report.results)} of {total} bundles ended unlike their stories."]
    return [
        f"All {total} bundles ended well: {told} as their stories say, and {total - told} as they must in the order in",
        "which they were queued before. The stories are told for one after the other, each once.",
    ]


def _bundle(result: demo_set.Result) -> list[str]:
    verdict = "as told" if result.as_told else "right in this order" if result.right else "UNLIKE ITS STORY"
    lines = [f"{result.sync_id}  {result.status or 'not recorded'}, {verdict}: {plain(result.title)}"]
    if result.planned:
        before = "" if result.new else " before"
        lines.append(f"    planned{before} {counts(result.planned)}; imported {counts(result.done)}")
    return lines + ([f"    {plain(result.problem)}"] if result.problem else [])


def _where(shell: Shell, panel_conf: Path) -> list[str]:
    if shell.args.config:
        return [f"Look at one of them: bin/gpupanel --config {panel_conf} show S"]
    again = "make run" if shell.args.var in (None, "var") else f"make run VAR={shell.args.var}"
    return [f"Look at them in the panel: `{again}` starts it over the same data, and prints its address."]
