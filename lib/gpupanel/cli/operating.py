"""scan, preflight, queue, retry, cancel: what operators do, through the same `actions` as the panel."""

from dataclasses import asdict
from typing import Any

from ... import actions
from ...errors import NotFound, PanelError
from ..shell import Shell
from ..text import counts, plain, table


def scan(shell: Shell) -> int:
    """JSON: {sentinels, known, discovered: [S], passed_over: {S: reason}, strays: [name], left: [S]}."""
    report = actions.scan_mount(shell.db, shell.mount, shell.by, progress=shell.progress("scan"))
    if shell.args.json or not shell.args.quiet or report.discovered:
        shell.tell(asdict(report), _scanned(report))
    return 0


def _scanned(report: actions.ScanReport) -> list[str]:
    lines = [
        f"{report.sentinels} found: {len(report.discovered)} new, {report.known} known,"
        f" {len(report.passed_over)} passed over."
    ]
    lines += _listed("New", ((sync_id,) for sync_id in report.discovered))
    lines += _listed("Passed over", sorted(report.passed_over.items()))
    lines += _listed("Not the name of a bundle", ((name,) for name in sorted(report.strays)))
    return lines + _listed("Left for the next scan", ((sync_id,) for sync_id in report.left))


def _listed(heading: str, rows) -> list[str]:
    lines = table(rows)
    return [f"{heading}:", *lines] if lines else []


def preflight(shell: Shell) -> int:
    """JSON: [{sync_id, ok, item_count, counts: {decision: n}, problems: [text], hint}]; `counts` is empty for a refusal."""
    sync_ids, outcomes, progress = shell.sync_ids(), [], shell.progress("preflight")
    for done, sync_id in enumerate(sync_ids, 1):
        outcomes.append(_preflight(shell, sync_id))
        progress(done, len(sync_ids))
    shell.tell(outcomes, [line for outcome in outcomes for line in _preflighted(outcome)])
    return 0 if all(outcome["ok"] for outcome in outcomes) else 1


def _preflight(shell: Shell, sync_id: str) -> dict[str, Any]:
    try:
        outcome = actions.preflight_batch(shell.db, shell.mount, sync_id, shell.by)
    except PanelError as error:
        refused = {"ok": False, "item_count": 0, "counts": {}, "problems": [str(error)], "hint": error.hint}
        return {"sync_id": sync_id} | refused
    return {"sync_id": sync_id} | outcome._asdict() | {"hint": ""}


def _preflighted(outcome: dict[str, Any]) -> list[str]:
    failed = "failed" if outcome["counts"] else "not preflighted"
    verdict = f"passed: {counts(outcome['counts'])}" if outcome["ok"] else failed
    return [f"{outcome['sync_id']}  {verdict}", *_told(outcome["problems"], outcome["hint"])]


def queue(shell: Shell) -> int:
    """JSON: [{sync_id, job_id, problem, hint}]; `job_id` is null where there is a problem."""
    outcomes = actions.queue_batches(
        shell.db, shell.mount, shell.sync_ids(), shell.by,
        priority=shell.args.priority, progress=shell.progress("queue"),
    )
    shell.tell([each._asdict() for each in outcomes], [line for each in outcomes for line in _queued(each)])
    return 1 if any(each.problem for each in outcomes) else 0


def retry(shell: Shell) -> int:
    """JSON: as `queue`."""
    sync_ids, outcomes, progress = shell.sync_ids(), [], shell.progress("retry")
    for done, sync_id in enumerate(sync_ids, 1):
        outcomes.append(_retry(shell, sync_id))
        progress(done, len(sync_ids))
    shell.tell([each._asdict() for each in outcomes], [line for each in outcomes for line in _queued(each)])
    return 1 if any(each.problem for each in outcomes) else 0


def _retry(shell: Shell, sync_id: str) -> actions.Queued:
    try:
        return actions.Queued(sync_id, actions.retry_batch(
            shell.db, shell.mount, sync_id, shell.by, priority=shell.args.priority,
        ))
    except PanelError as error:
        return actions.Queued(sync_id, None, str(error), error.hint)


def _queued(outcome: actions.Queued) -> list[str]:
    if outcome.problem is None:
        return [f"{outcome.sync_id}  queued as job {outcome.job_id}"]
    return [f"{outcome.sync_id}  not queued", *_told([outcome.problem], outcome.hint)]


def cancel(shell: Shell) -> int:
    """JSON: {job_id, sync_id}."""
    try:
        sync_id = actions.cancel_job(shell.db, shell.args.job, shell.by)
    except NotFound as error:
        raise NotFound(str(error), "bin/gpupanel status lists the jobs that run and wait.") from None
    shell.tell({"job_id": shell.args.job, "sync_id": sync_id}, [f"Job {shell.args.job} of batch {sync_id} is canceled."])
    return 0


def _told(problems: list[str], hint: str) -> list[str]:
    return [f"  {plain(text)}" for text in (*problems, hint) if text]
