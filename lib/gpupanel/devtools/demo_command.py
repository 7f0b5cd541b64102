"""gpupanel demo: write the demo bundles.

With --once import them and compare each with its expected outcome.
"""

import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import chain
from pathlib import Path

from .. import config
from ..cli.context import CommandContext
from ..cli.output import format_cell, format_counts, format_table
from ..db import Database
from ..mount import Mount
from . import demo_import
from .bundle_factory import Scenario
from .demo_import import DemoReport, ScenarioResult
from .private_installation import private_folder
from .sandbox import Sandbox

HINT = "Unset GPUPANEL_CONF, or give --var DIR; --config FILE writes the demo bundles to that installation."


def run(context: CommandContext) -> int:
    """JSON: {bundles: [{sync_id, title}]}, or with --once a report.

    The report: {found, new, known, passed_over, planned, done, as_told, right, bundles: [result], panel_conf};
    `planned` and `done` count only new bundles.
    """
    return _import_bundles(context) if context.args.once else _write_bundles(context)


def _write_bundles(context: CommandContext) -> int:
    sync_dir, assets_dir = _mount_folders(context)
    scenarios = list(chain.from_iterable(_scenarios(context, sync_dir, assets_dir)))
    bundles = [{"sync_id": scenario.sync_id, "title": scenario.title} for scenario in scenarios]
    lines = [f"{len(scenarios)} bundles in {sync_dir}:", *format_table(demo_import.describe_scenarios(scenarios))]
    context.emit({"sync_dir": sync_dir, "bundles": bundles}, lines)
    return 0


def _import_bundles(context: CommandContext) -> int:
    with _installation(context) as (panel_conf, worker_conf):
        settings = config.load(panel_conf)
        groups = _scenarios(context, settings.mount.sync_dir, settings.mount.assets_dir)
        target = demo_import.ImportTarget(
            Database(settings.database), Mount(settings.mount), context.actor, demo_import.worker_runner(worker_conf)
        )
        report = demo_import.import_scenarios(target, groups, context.progress("demo"))
    context.emit(_data(report, panel_conf), _format(report, context, panel_conf))
    return 0 if report.right else 1


@contextmanager
def _installation(context: CommandContext) -> Iterator[tuple[Path, Path]]:
    """Yield both configurations of the private or the named installation."""
    if context.args.config:
        yield context.settings.path, context.settings.path.parent / "worker.conf"
        return
    with Sandbox(private_folder(context, HINT)) as sandbox:
        yield sandbox.panel_conf, sandbox.worker_conf


def _mount_folders(context: CommandContext) -> tuple[Path, Path]:
    if context.args.config:
        return context.settings.mount.sync_dir, context.settings.mount.assets_dir
    sync_dir = Sandbox(private_folder(context, HINT)).sync_dir
    return sync_dir, sync_dir.parent


def _scenarios(context: CommandContext, sync_dir: Path, assets_dir: Path) -> list[list[Scenario]]:
    args = context.args
    more = demo_import.AdditionalBundles(args.bundles, args.items)
    return demo_import.write_bundles(sync_dir, assets_dir, args.seed, more)


def _data(report: DemoReport, panel_conf: Path) -> dict[str, object]:
    scan = report.scan
    return {
        "found": scan.sentinels, "new": len(scan.discovered), "known": scan.known, "passed_over": scan.passed_over,
        "planned": report.planned, "done": report.done, "as_told": report.as_told, "right": report.right,
        "bundles": [result._asdict() for result in report.results], "panel_conf": panel_conf,
    }


def _format(report: DemoReport, context: CommandContext, panel_conf: Path) -> list[str]:
    scan = report.scan
    counts = f"{len(scan.discovered)} new, {scan.known} known, {len(scan.passed_over)} skipped"
    return [
        f"Found     {scan.sentinels} bundles: {counts}",
        f"Planned   {_format_new(report.planned)}", f"Imported  {_format_new(report.done)}", "",
        *(line for result in report.results for line in _format_result(result)),
        "", *_verdict(report), _next_step(context, panel_conf),
    ]


def _format_new(numbers: Mapping[str, int]) -> str:
    return format_counts(numbers) if any(numbers.values()) else "nothing new"


def _format_result(result: ScenarioResult) -> list[str]:
    verdict = "as expected" if result.as_told else "correct for this order" if result.right else "UNEXPECTED"
    lines = [f"{result.sync_id}  {result.status or 'not recorded'}, {verdict}: {format_cell(result.title)}"]
    if result.planned:
        earlier = "" if result.new else " earlier"
        lines.append(f"    planned{earlier} {format_counts(result.planned)}; imported {format_counts(result.done)}")
    return lines + ([f"    {format_cell(result.problem)}"] if result.problem else [])


def _verdict(report: DemoReport) -> list[str]:
    total, expected = len(report.results), sum(result.as_told for result in report.results)
    if report.as_told:
        return [f"All {total} bundles ended as expected."]
    if not report.right:
        return [f"{sum(not result.right for result in report.results)} of {total} bundles ended in an unexpected way."]
    return [
        f"All {total} bundles ended correctly: {expected} as expected, {total - expected} as they must after imports",
        "in another order. The expected outcomes are for imports one after the other, each once.",
    ]


def _next_step(context: CommandContext, panel_conf: Path) -> str:
    if context.args.config:
        return f"Show a batch: bin/gpupanel --config {panel_conf} show SYNC_ID"
    command = "make run" if context.args.var in (None, "var") else f"make run VAR={shlex.quote(context.args.var)}"
    return f"Open the panel: `{command}` starts it with the same data and prints its address."
