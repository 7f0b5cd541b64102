"""The states of batch, job and item, and the plan of an item.

docs/CONTRACT.md, 5. Words for states.
"""

import re
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal, NamedTuple

COUNT_LIMIT = 10_000  # where counts on pages stop, so that a page costs the same in a ledger of any size
SIZE, SHA256 = "size", "sha256"  # how a file is compared with its manifest
BIGINT_MAX = 2**63 - 1  # the greatest BIGINT
CONTAINER_FIELDS = ("title", "cover_hash")  # of a gallery or collection that imports write
PRIORITY = 100  # of a job unless an operator gives it another; jobs with lower numbers are claimed first
MAX_REASON_LENGTH = 2000  # characters stored of a reason, which may contain any path or name of a bundle
SYNC_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")  # the name of a bundle: a lowercase UUID

Changes = dict[str, list[Any]]  # field -> [before, after]


# Word of a filter -> value of ingest_batch.attention: needs attention, and a person has seen that.
ATTENTION = {"new": 1, "seen": 2}

# The events that this program writes; event_sentences.py has the sentence of each.
EventType = Literal[
    "attention_seen", "batch_archived", "batch_restored", "bundle_passed_over", "container_failed", "job_canceled",
    "job_claimed", "job_failed", "job_finished", "job_held", "job_priority", "job_progress", "job_queued",
    "job_released", "job_reset", "job_unheld", "manifest_changed", "preflight_abandoned", "preflight_canceled",
    "preflight_finished", "preflight_requested", "preflight_started", "scan", "times_converted", "undo_requested",
]


class BatchStatus(StrEnum):
    """The states of a batch.

    discovered -> preflight_passed | preflight_failed; queued; importing; completed | partial | failed.
    """

    DISCOVERED = "discovered"
    PREFLIGHT_PASSED = "preflight_passed"
    PREFLIGHT_FAILED = "preflight_failed"
    QUEUED = "queued"
    IMPORTING = "importing"
    COMPLETED = "completed"
    PARTIAL = "partial"
    FAILED = "failed"

    @property
    def has_active_job(self) -> bool:
        """Whether an active job blocks preflight and queueing."""
        return self in (BatchStatus.QUEUED, BatchStatus.IMPORTING)


class JobState(StrEnum):
    """The states of a job.

    queued -> running -> completed | failed; queued -> canceled; running -> queued (released, requeued).
    queued, running -> held -> queued | canceled.
    """

    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELED = "canceled"
    HELD = "held"


class HoldKind(StrEnum):
    """Why a held job is not claimable."""

    PRIOR = "prior"  # the job of its prior bundle is active
    BUNDLE = "bundle"  # its bundle or the mount is away
    BACKOFF = "backoff"  # an attempt failed
    OPERATOR = "operator"  # a person holds it


def advice_on_active_job(state: str) -> str:
    """What to do about an active job that is in the way; `state` is that of the job, or of its batch."""
    if state in (JobState.RUNNING, BatchStatus.IMPORTING):
        return "Wait for its job to end."
    return "Wait for its job to end, or cancel it."


class Decision(StrEnum):
    """What an import will do with an item (`will_...`), or has done."""

    WILL_CREATE = "will_create"
    WILL_UPDATE = "will_update"
    WILL_LINK = "will_link"
    WILL_SKIP = "will_skip"
    WILL_FAIL = "will_fail"
    WILL_REMOVE = "will_remove"
    WILL_UNLINK = "will_unlink"
    CREATED = "created"
    UPDATED = "updated"
    LINKED = "linked"
    SKIPPED = "skipped"
    REMOVED = "removed"
    UNLINKED = "unlinked"
    FAILED = "failed"
    WITHDRAWN = "withdrawn"

    @property
    def done(self) -> "Decision":
        """The decision after this plan was carried out: will_create -> created."""
        return DONE_BY_PLAN[self]


DONE_BY_PLAN = {
    Decision.WILL_CREATE: Decision.CREATED,
    Decision.WILL_UPDATE: Decision.UPDATED,
    Decision.WILL_LINK: Decision.LINKED,
    Decision.WILL_SKIP: Decision.SKIPPED,
    Decision.WILL_REMOVE: Decision.REMOVED,
    Decision.WILL_UNLINK: Decision.UNLINKED,
    Decision.WILL_FAIL: Decision.FAILED,
}

DONE_DECISIONS = tuple(DONE_BY_PLAN.values())  # the decisions that a job writes

# The decisions that a preflight counts; `will_remove` is counted in a `remove` batch only.
COUNTED_PLANS = (Decision.WILL_CREATE, Decision.WILL_FAIL, Decision.WILL_LINK, Decision.WILL_SKIP, Decision.WILL_UPDATE)

EMPTY: tuple[Any, ...] = (None, "", [])

# The reason of an item that failed because the database refused a value starts with this.
REFUSED_BY_DATABASE = "the database refused it"


def cleared_fields(decision: str, changes: Changes | None) -> list[str]:
    """The fields that an update clears."""
    if decision not in (Decision.WILL_UPDATE, Decision.UPDATED):
        return []
    return [field for field, (before, after) in (changes or {}).items() if before not in EMPTY and after in EMPTY]


class ItemPlan(NamedTuple):
    """The decision for one item, and its reason.

    `path` is the item's folder on the mount, `picture` the file in it that shows the item, `id` the id of the item's
    row if it has one. The digests are what an approval binds (docs/decisions/0110-plan-approval-result.md).
    """

    position: int
    asset_type: str
    asset_hash: str
    cover_hash: str | None
    decision: Decision
    reason: str
    changes: Changes | None = None
    asset_id: int | None = None
    cover_id: int | None = None
    path: str | None = None
    picture: str | None = None
    id: int | None = None
    item_digest: str | None = None
    target_digest: str | None = None
    item_title: str | None = None


class ContainerPlan(NamedTuple):
    """The decision for one container, and its reason.

    `members` counts distinct hashes, `missing` has the first of the `missing_count` members that are neither in the
    library nor brought by the bundle, `id` is that of the container's row if it has one.
    """

    position: int
    type: str
    container_hash: str
    container_digest: str | None
    target_digest: str | None
    title: str | None
    cover_hash: str | None
    decision: Decision
    reason: str
    changes: Changes | None = None
    members: int = 0
    missing: tuple[str, ...] = ()
    missing_count: int = 0
    target_id: int | None = None
    id: int | None = None


class EntryResult(NamedTuple):
    """What a job did with an item or container: a row of ingest_result.

    `planned` and `approved` are the decision and changes of the plan; `changes` names each value that was written.
    """

    kind: str
    hash: str
    planned: str | None
    approved: Any
    decision: Decision
    reason: str
    last_error: str | None = None
    changes: dict[str, Any] | None = None
    target_digest: str | None = None
    target_id: int | None = None
    cover_id: int | None = None


class MemberChange(NamedTuple):
    """A member that came into a container or moved in it (`came`), or went; or of which the say alone moved.

    With `say_only`, `came` is whether the member is live. `source_at` and `source_batch_id` are its say after the
    write, and those of `_before` its say before: that of its container where they are None.
    """

    asset_id: int
    position: int
    came: bool
    position_before: int | None = None
    say_only: bool = False
    source_at: datetime | None = None
    source_batch_id: int | None = None
    source_at_before: datetime | None = None
    source_batch_id_before: int | None = None


class TombstoneChange(NamedTuple):
    """A member's tombstone that was written: its say after and before, None where there is none."""

    asset_hash: str
    source_at: datetime | None
    batch_id: int | None
    source_at_before: datetime | None = None
    batch_id_before: int | None = None

    @property
    def after(self) -> tuple[datetime, int] | None:
        return None if self.source_at is None else (self.source_at, self.batch_id or 0)

    @property
    def before(self) -> tuple[datetime, int] | None:
        return None if self.source_at_before is None else (self.source_at_before, self.batch_id_before or 0)
