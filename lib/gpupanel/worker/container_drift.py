"""Find containers that something other than an import changed since their plan.

The rules are those of items, applied to title, cover and mark; memberships have a say of their own
(docs/decisions/0110-plan-approval-result.md, "The library changed").
"""

from typing import NamedTuple

from .. import digests
from ..container_reader import ExistingContainer
from ..db import ReadTransaction
from ..models import Changes
from ..rows import PlannedContainer
from . import planned_values
from .chunk_writer import HOLD, ImportRun
from .container_work import ContainerWork
from .drift import REMEDY, STRONG, Doubt, OwnJob, find_drifted, format_fields, stronger_reason
from .item_decision import LEAVES
from .member_changes import time_of_say


def check(tx: ReadTransaction, works: list[ContainerWork], run: ImportRun) -> None:
    """Let containers fail that are not what their plan saw, for no import's reason; or record that they are written."""
    doubtful = {work.entry.key: doubt for work in works if (doubt := _doubt(work))}
    if not doubtful:
        return
    doubts = [
        Doubt(key, each.plan["planned"], each.is_other, each.existing.target_digest, each.existing.columns)
        for key, each in doubtful.items()
    ]
    for key, undone_by in find_drifted(tx, doubts, OwnJob(run.batch_id, run.job_id)).items():
        each, work = doubtful[key], doubtful[key].work
        if undone_by:
            decision: Changes = {"decision": [each.plan["planned"], work.decision]}
            _note(work, run, stronger_reason(work.decision, undone_by), decision)
            continue
        fields = _fields(tx, each)
        found = format_fields(fields) or "it has another title or cover"
        reason = f"changed outside of an import since the plan: {found}; {REMEDY}"
        _note(work, run, reason, fields or {"title": [None, each.existing.title]})


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
