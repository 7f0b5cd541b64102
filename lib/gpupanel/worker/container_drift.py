"""Find containers that something other than an import changed since their plan.

The rules are those of items, applied to title, cover and mark; memberships have a say of their own
(docs/decisions/0110-plan-approval-result.md, "The library changed").
"""

from .. import digests
from ..container_reader import ExistingContainer
from ..db import ReadTransaction
from ..ledger import results
from ..ledger.results import LatestResult
from ..models import Changes
from .chunk_writer import HOLD, ImportRun
from .container_work import ContainerWork
from .drift import REMEDY, STRONG, format_fields
from .member_changes import time_of_say


def check(tx: ReadTransaction, works: list[ContainerWork], run: ImportRun) -> None:
    """Let containers fail that are not what their plan saw, for no import's reason; or record that they are written."""
    doubtful = [work for work in works if _is_doubtful(work)]
    if not doubtful:
        return
    latest = results.latest(tx, [work.entry.key for work in doubtful])
    for work in doubtful:
        if _is_by_import(work, latest.get(work.entry.key), run):
            continue
        if run.on_change == HOLD:
            work.problem = f"changed outside of an import since the plan: {format_fields(_fields(work))}; {REMEDY}"
        else:
            work.drift = _fields(work)


def _is_doubtful(work: ContainerWork) -> bool:
    """Whether the bundle writes a container that is not what its plan saw."""
    plan, existing = work.entry.plan, work.existing
    if plan is None or plan["target_digest"] is None or work.decision not in STRONG or existing is None:
        return False
    is_older = time_of_say(work.bundle, existing.say) is None
    return not is_older and existing.target_digest != plan["target_digest"]


def _is_by_import(work: ContainerWork, latest: LatestResult | None, run: ImportRun) -> bool:
    """Whether imports alone changed the container: this job, one with a result, or the Perl worker."""
    existing = work.existing
    assert existing is not None
    if latest and latest.target_digest == existing.target_digest:
        return True
    columns = existing.columns
    if latest and columns.source_batch_id == run.batch_id and latest.job_id == run.job_id:
        return True
    return bool(columns.last_batch_id) and columns.last_batch_id != columns.source_batch_id


def _fields(work: ContainerWork) -> Changes:
    """field -> [planned before, found]; the mark is named where it alone explains the digest."""
    existing, plan, container = work.existing, work.entry.plan, work.entry.container
    assert existing is not None and plan is not None
    if plan["target_digest"] == digests.ABSENT:
        return {container.type: [None, existing.id]}
    if _digest_if(existing, not existing.removed) == plan["target_digest"]:
        return {"deleted": [not existing.removed, existing.removed]}
    found = {"title": existing.title, "cover_hash": existing.cover_hash}
    planned = {"title": container.title, "cover_hash": container.cover_hash} if work.action != "remove" else found
    planned |= {name: before for name, (before, _) in (plan["changes"] or {}).items() if name in found}
    return {name: [planned[name], value] for name, value in found.items() if value != planned[name]}


def _digest_if(existing: ExistingContainer, is_removed: bool) -> str:
    return digests.library_container_digest(existing.title, existing.cover_hash, is_removed)
