"""The three vocabularies and the values that travel between the rooms (docs/CONTRACT.md, 5)."""

import re
from enum import StrEnum
from typing import Any, NamedTuple

BOUND = 10_000  # counts that people look at go no further, so that they cost the same however much there is
HIGHEST = 2**63 - 1  # what a BIGINT column holds at most: an id, a count, a size
SYNC_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")  # a lowercase UUID, the name of a bundle


class BatchStatus(StrEnum):
    """discovered -> preflight_passed | preflight_failed; queued; importing; completed | partial | failed."""

    DISCOVERED = "discovered"
    PREFLIGHT_PASSED = "preflight_passed"
    PREFLIGHT_FAILED = "preflight_failed"
    QUEUED = "queued"
    IMPORTING = "importing"
    COMPLETED = "completed"
    PARTIAL = "partial"
    FAILED = "failed"

    @property
    def busy(self) -> bool:
        """A busy batch belongs to its job: it can be neither preflighted nor queued."""
        return self in (BatchStatus.QUEUED, BatchStatus.IMPORTING)


class JobState(StrEnum):
    """queued -> running -> completed | failed; queued -> canceled; running -> queued (released, reset)."""

    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELED = "canceled"


class Decision(StrEnum):
    """What will happen to an item, or what did."""

    WILL_CREATE = "will_create"
    WILL_UPDATE = "will_update"
    WILL_LINK = "will_link"
    WILL_SKIP = "will_skip"
    WILL_FAIL = "will_fail"
    WILL_REMOVE = "will_remove"
    CREATED = "created"
    UPDATED = "updated"
    LINKED = "linked"
    SKIPPED = "skipped"
    REMOVED = "removed"
    FAILED = "failed"
    WITHDRAWN = "withdrawn"

    @property
    def done(self) -> "Decision":
        """The decision that records this plan as carried out: will_create -> created."""
        return DONE[self]


DONE = {
    Decision.WILL_CREATE: Decision.CREATED,
    Decision.WILL_UPDATE: Decision.UPDATED,
    Decision.WILL_LINK: Decision.LINKED,
    Decision.WILL_SKIP: Decision.SKIPPED,
    Decision.WILL_REMOVE: Decision.REMOVED,
    Decision.WILL_FAIL: Decision.FAILED,
}

SETTLED = tuple(DONE.values())  # what a job did, one way or the other

# What a preflight counts; `will_remove` is counted in a `remove` batch only.
PLANNED = (Decision.WILL_CREATE, Decision.WILL_FAIL, Decision.WILL_LINK, Decision.WILL_SKIP, Decision.WILL_UPDATE)


EMPTY = (None, "", [])

# What begins the reason of an item that failed because the database would not take it.
REFUSED_BY_DATABASE = "the database refused it"


def emptied(decision: str, changes: dict[str, list[Any]] | None) -> list[str]:
    """The fields that had a value and would end, or ended, without one; only an update writes what differs."""
    if decision not in (Decision.WILL_UPDATE, Decision.UPDATED):
        return []
    return [field for field, (before, after) in (changes or {}).items() if before not in EMPTY and after in EMPTY]


class Plan(NamedTuple):
    """The decision for one item and why; `changes` maps a field to its [before, after]. `path` is the item's folder on
    the mount, `picture` the file in it that shows the item; `id` is that of the item's row, where it is known."""

    position: int
    asset_type: str
    asset_hash: str
    cover_hash: str | None
    decision: Decision
    reason: str
    changes: dict[str, list[Any]] | None = None
    asset_id: int | None = None
    cover_id: int | None = None
    path: str | None = None
    picture: str | None = None
    id: int | None = None
