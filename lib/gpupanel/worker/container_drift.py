"""Find containers that something other than an import changed since their plan.

The rules are those of items, applied to title, cover and mark; memberships have a say of their own
(docs/decisions/0110-plan-approval-result.md, "The library changed").
"""

from typing import NamedTuple

from .. import digests
from ..container_reader import ExistingContainer
from ..db import ReadTransaction
from ..ledger import results
from ..ledger.results import LatestResult
from ..models import Changes
from ..rows import PlannedContainer
from . import planned_values
from .chunk_writer import HOLD, ImportRun
from .container_work import ContainerWork
from .drift import REMEDY, STRONG, format_fields, imported_elsewhere, stronger_reason, undone_since
from .item_decision import LEAVES
from .member_changes import time_of_say


def check(tx: ReadTransaction, works: list[ContainerWork], run: ImportRun) -> None:
    """Let containers fail that are not what their plan saw, for no import's reason; or record that they are written."""
    doubtful = [doubt for work in works if (doubt := _doubt(work))]
    if not doubtful:
        return
    latest = results.latest(tx, [doubt.work.entry.key for doubt in doubtful], run.batch_id)
    left = []
    for each in doubtful:
        if undone_by := undone_since(each.plan["planned"], latest.get(each.work.entry.key)):
            _note(each.work, run, stronger_reason(each.work.decision, undone_by), {
                "decision": [each.plan["planned"], each.work.decision],
            })
        elif each.is_other and not _is_by_import(each.existing, latest.get(each.work.entry.key), run):
            left.append(each)
    imported = imported_elsewhere(tx, run.batch_id, [doubt.existing.columns for doubt in left])
    for doubt in left:
        if doubt.existing.columns.last_batch_id in imported:
            continue
        fields = _fields(tx, doubt)
        found = format_fields(fields) or "it has another title or cover"
        reason = f"changed outside of an import since the plan: {found}; {REMEDY}"
        _note(doubt.work, run, reason, fields or {"title": [None, doubt.existing.title]})


def _note(work: ContainerWork, run: ImportRun, reason: str, drift: Changes) -> None:
    """Let a container fail, or record that it is written all the same."""
    if run.on_change == HOLD:
        work.problem = reason
    else:
        work.drift = drift


class _Doubt(NamedTuple):
    """A container that the bundle writes and that is not what its plan saw, or that its plan left as it was."""

    work: ContainerWork
    plan: PlannedContainer
    existing: ExistingContainer

    @property
    def is_other(self) -> bool:
        return self.existing.target_digest != self.plan["target_digest"]


def _doubt(work: ContainerWork) -> _Doubt | None:
    plan, existing = work.entry.plan, work.existing
    if plan is None or plan["target_digest"] is None or work.decision not in STRONG or existing is None:
        return None
    is_older = time_of_say(work.bundle, existing.say) is None
    doubt = _Doubt(work, plan, existing)
    return doubt if not is_older and (doubt.is_other or plan["planned"] in LEAVES) else None


def _is_by_import(existing: ExistingContainer, latest: LatestResult | None, run: ImportRun) -> bool:
    """Whether imports with a result alone changed the container, or this job."""
    if latest and latest.target_digest == existing.target_digest:
        return True
    return latest is not None and (existing.columns.source_batch_id, latest.job_id) == (run.batch_id, run.job_id)


def _fields(tx: ReadTransaction, doubt: _Doubt) -> Changes:
    """field -> [planned before, found]; the mark is named where it alone explains the digest."""
    work, plan, existing = doubt
    container = work.entry.container
    if plan["target_digest"] == digests.ABSENT:
        return {container.type: [None, existing.id]}
    if _digest_if(existing, not existing.removed) == plan["target_digest"]:
        return {"deleted": [not existing.removed, existing.removed]}
    if work.action == "remove":
        return planned_values.container_changes(tx, work.entry.key, existing, plan["target_digest"] or "")
    found = {"title": existing.title, "cover_hash": existing.cover_hash}
    planned = {"title": container.title, "cover_hash": container.cover_hash}
    planned |= {name: before for name, (before, _) in (plan["changes"] or {}).items() if name in found}
    return {name: [planned[name], value] for name, value in found.items() if value != planned[name]}


def _digest_if(existing: ExistingContainer, is_removed: bool) -> str:
    return digests.library_container_digest(existing.title, existing.cover_hash, is_removed)
