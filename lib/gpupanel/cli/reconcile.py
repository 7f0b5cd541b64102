"""gpupanel reconcile: where the library differs from what the bundles on the mount make of it."""

import json
from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from typing import Any

from ..folds.mending import Mending, Remedies
from ..folds.reconcile import Reconciliation
from ..folds.remedy import Difference
from ..folds.wording import describe_gap
from ..text import pluralize, short_hash
from .context import CommandContext
from .output import format_cell

LISTED = 100  # differences that are printed for people, unless --limit says otherwise
LEFT_OUT = 20  # bundles that are named as left out
WORDS = {
    "missing": "missing here", "extra": "only here", "different": "different",
    "removed_here": "removed here, live upstream", "removed_upstream": "removed upstream, live here",
}


def run(context: CommandContext) -> int:
    """Compare library and mount, and queue what mends the differences with --queue.

    JSON: {differences: [{kind, hash, what, changes, mended_by, although_older, problem}], queued: [{sync_id,
    although_older, job_id, problem}], unreadable: {SYNC_ID: reason}, incomplete: [SYNC_ID], never_imported: n,
    active_jobs: n, bundles: n, entries: n, order_of_arrival: n, invalid_items: n, counts: {what: {kind: n}}}.
    Return 0 if nothing differs and each completed manifest was read, 1 if not.
    """
    remedies = Remedies()
    output = (_JsonOutput if context.args.json else _TextOutput)(context.args.limit)
    with closing(Reconciliation(context.db, context.mount, context.progress)) as reconciliation:
        for difference in reconciliation.differences():
            output.add(difference, reconciliation)
            remedies.add(difference)
        queued = []
        if context.args.queue:
            queued = remedies.queue(
                context.db, context.mount, context.actor, reconciliation, context.progress("queue")
            )
    output.end(reconciliation, queued)
    is_same = not reconciliation.summary.differences and not reconciliation.upstream.unreadable
    return 0 if is_same else 1


class _JsonOutput:
    """Prints each difference when it is found, so that any number needs little memory."""

    def __init__(self, limit: int | None) -> None:
        self._limit, self._printed = limit, 0

    def add(self, difference: Difference, reconciliation: Reconciliation) -> None:
        if self._limit is not None and self._printed >= self._limit:
            return
        print("," if self._printed else '{"differences": [', json.dumps(_public(difference)), sep="\n", flush=True)
        self._printed += 1

    def end(self, reconciliation: Reconciliation, queued: list[Mending]) -> None:
        if not self._printed:
            print('{"differences": [')
        print("],", json.dumps(_summary(reconciliation, queued), indent=1)[1:], sep="\n", flush=True)


class _TextOutput:
    def __init__(self, limit: int | None) -> None:
        self._limit, self._printed = LISTED if limit is None else limit, 0

    def add(self, difference: Difference, reconciliation: Reconciliation) -> None:
        if self._printed < self._limit:
            print(*_format(difference, reconciliation), sep="\n", flush=True)
        self._printed += 1

    def end(self, reconciliation: Reconciliation, queued: list[Mending]) -> None:
        if left := self._printed - min(self._printed, self._limit):
            print(f"and {left:,} more; --limit N shows them")
        print(*_format_summary(reconciliation), *map(_format_mending, queued), sep="\n", flush=True)


# -------------------------------------------------------------------------------------------------------- JSON


def _public(difference: Difference) -> dict[str, Any]:
    (kind, entry_hash), gap, remedy = difference
    return {
        "kind": kind, "hash": entry_hash, "what": gap.what, "changes": gap.changes, "mended_by": remedy.sync_ids,
        "although_older": remedy.although_older, "problem": remedy.problem,
    }


def _summary(reconciliation: Reconciliation, queued: list[Mending]) -> dict[str, Any]:
    summary, upstream = reconciliation.summary, reconciliation.upstream
    counts: dict[str, dict[str, int]] = {}
    for (kind, what), count in summary.gaps.items():
        counts.setdefault(what, {})[kind] = count
    return {
        "queued": [mending._asdict() for mending in queued], "unreadable": upstream.unreadable,
        "incomplete": upstream.incomplete, "never_imported": len(reconciliation.never_imported()),
        "active_jobs": summary.active_jobs, "bundles": len(upstream.bundles), "entries": summary.entries,
        "order_of_arrival": summary.undecided, "invalid_items": upstream.invalid_items, "counts": counts,
    }


# -------------------------------------------------------------------------------------------------------- text


def _format(difference: Difference, reconciliation: Reconciliation) -> Iterator[str]:
    (kind, entry_hash), gap, remedy = difference
    changes = f": {describe_gap(gap.changes)}" if gap.changes else ""
    yield f"{kind} {short_hash(entry_hash)}  {WORDS[gap.what]}{format_cell(changes) if changes else ''}"
    if remedy.sync_ids:
        option = ", with --although-older" if remedy.although_older else ""
        named = ", ".join(f"{each} ({reconciliation.status(each)})" for each in remedy.sync_ids[:3])
        more = f" and {len(remedy.sync_ids) - 3:,} more" if len(remedy.sync_ids) > 3 else ""
        yield f"  mended by {named}{more}{option}"
    if remedy.problem:
        yield f"  not mended: {format_cell(remedy.problem)}"


def _format_summary(reconciliation: Reconciliation) -> Iterator[str]:
    summary, upstream = reconciliation.summary, reconciliation.upstream
    for sync_id, reason in islice(upstream.unreadable.items(), LEFT_OUT):
        yield f"not read: {sync_id}: {format_cell(reason)}"
    if len(upstream.unreadable) > LEFT_OUT:
        yield f"not read: {len(upstream.unreadable) - LEFT_OUT:,} more"
    if upstream.incomplete:
        yield f"{pluralize(len(upstream.incomplete), 'bundle')} left out: upstream has not completed them."
    if upstream.invalid_items:
        yield f"{pluralize(upstream.invalid_items, 'invalid item')} left out; a preflight of their bundles names them."
    if never := reconciliation.never_imported():
        yield f"{pluralize(len(never), 'bundle')} on the mount never imported."
    if summary.active_jobs:
        yield f"{pluralize(summary.active_jobs, 'active job')}: what they import differs until they have ended."
    if summary.undecided:
        yield f"{summary.undecided:,} created more than once: each may have the values of any bundle that brings it."
    yield f"{pluralize(len(upstream.bundles), 'bundle')}, {summary.entries:,} entries compared."
    for (kind, what), count in sorted(summary.gaps.items()):
        yield f"  {count:,} {kind}: {WORDS[what]}"
    differences = pluralize(summary.differences, "difference")
    yield f"{differences}." if summary.differences else "The library is as upstream says."


def _format_mending(mending: Mending) -> str:
    if mending.problem:
        return f"{mending.sync_id}  not queued: {format_cell(mending.problem)}"
    option = " with --although-older" if mending.although_older else ""
    return f"{mending.sync_id}  queued{option} as job {mending.job_id}"
