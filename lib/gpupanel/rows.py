"""The types of database rows that cross module boundaries."""

from datetime import datetime
from typing import Any, NotRequired, TypedDict

from .models import Changes


class Facts(TypedDict):
    """The columns of ingest_batch that come from the manifest."""

    sync_type: str | None
    action: str | None
    item_count: int
    total_bytes: int
    source_host: str | None
    manifest_sha256: str | None
    manifest_summary: Any
    container_count: int
    prior_sync_id: str | None


class BatchRow(Facts):
    """A row of ingest_batch, with its JSON decoded."""

    id: int
    sync_id: str
    status: str
    plan: Any
    last_error: str | None
    source_at: datetime | None
    although_older: int
    undo_of: int | None
    changed_at: datetime | None
    changed_sha256: str | None
    imported_at: datetime | None
    imported_job_id: int | None
    imported_sha256: str | None
    seen_by: str | None
    seen_at: datetime | None
    scan_title: str | None
    scan_container: str | None
    scan_path: str | None
    scan_picture: str | None
    attention: int | None
    discovered_at: datetime
    started_at: datetime | None
    completed_at: datetime | None
    updated_at: datetime
    archived_at: datetime | None
    archive_file: NotRequired[str | None]  # of one batch alone


class UndoRow(TypedDict):
    """An undo of a batch, with its latest job and who queued it."""

    sync_id: str
    status: str
    imported_at: datetime | None
    discovered_at: datetime
    job_id: int | None
    job_state: str | None
    requested_by: str | None


class ListedBatch(BatchRow):
    """A batch with its latest job, and what names it: its first container or item.

    `undone` is the status of the undo that took the batch back.
    """

    container_title: str | None
    first_id: int | None
    first_title: str | None
    first_picture: str | None

    job_id: int | None
    job_state: str | None
    hold_reason: str | None
    items_done: int | None
    items_total: int | None

    undone: str | None


class SkippedBundle(TypedDict):
    """A skipped bundle, and the state of its manifest then."""

    sync_id: str
    status: str
    last_error: str | None
    skipped_state: str


class ChosenBatch(TypedDict):
    """What an action on many batches needs to know of a batch; `is_held` by a person or for its bundle."""

    id: int
    sync_id: str
    status: str
    last_error: str | None
    changed_at: datetime | None
    attention: int | None
    is_held: int


class PlannedItem(TypedDict):
    """The plan of an item, and what a job did with it; only ItemRow has `changes` decoded."""

    id: int
    asset_type: str
    asset_hash: str
    planned: str | None
    decision: str
    job_id: int | None
    changes: Any
    item_digest: str | None
    target_digest: str | None


class PreflightRequest(TypedDict):
    """A row of preflight_request."""

    batch_id: int
    requested_by: str
    requested_at: datetime
    then_queue: int
    priority: int
    although_older: int
    state: str
    worker: str | None
    claim_token: str | None
    attempts: int
    heartbeat_at: datetime | None
    last_error: str | None
    finished_at: datetime | None


class ItemRow(PlannedItem):
    """An item with `changes` decoded and the result of the job before."""

    batch_id: int
    position: int
    cover_hash: str | None
    reason: str
    asset_id: int | None
    cover_id: int | None
    last_error: str | None
    path: str | None
    picture: str | None
    earlier: str | None
    earlier_reason: str | None
    earlier_job_id: int | None
    empties: int | None
    differs: int | None
    item_title: str | None
    updated_at: datetime


class PlannedContainer(TypedDict):
    """The plan of a container, and how far a job is with it; `changes` is decoded."""

    id: int
    type: str
    container_hash: str
    container_digest: str | None
    target_digest: str | None
    planned: str | None
    decision: str
    changes: Changes | None
    members: int
    members_done: int
    job_id: int | None


class ContainerRow(PlannedContainer):
    """A container of a batch, with `changes` and `missing` decoded."""

    batch_id: int
    position: int
    title: str | None
    cover_hash: str | None
    reason: str
    missing: list[str]
    missing_count: int
    target_id: int | None
    last_error: str | None
    updated_at: datetime


class EventRow(TypedDict):
    """A row of ingest_event; only `latest_event` decodes `payload`."""

    id: int
    batch_id: int
    event_type: str
    payload: Any
    actor: str
    created_at: datetime


class LockedJob(TypedDict):
    """A row of import_job."""

    id: int
    batch_id: int
    state: str
    priority: int
    requested_by: str
    queued_at: datetime
    claimed_at: datetime | None
    worker: str | None
    claim_token: str | None
    attempts: int
    heartbeat_at: datetime | None
    items_done: int
    items_total: int
    finished_at: datetime | None
    last_error: str | None
    hold: str | None
    hold_reason: str | None
    hold_batch_id: int | None
    not_before: datetime | None
    held_at: datetime | None
    hold_count: int


class ChangedJob(LockedJob):
    """A job that an operator is about to change, and the database's time."""

    now: datetime


class HeldJob(TypedDict):
    """A held or queued job with its bundle, as the sweep reads it; `prior_job_id` is the prior's active job."""

    id: int
    batch_id: int
    priority: int
    sync_id: str
    hold: str | None
    prior_job_id: int | None


class JobRow(LockedJob):
    """A job with the columns of its bundle."""

    sync_id: str
    sync_type: str | None
    action: str | None


class ListedJob(JobRow):
    """A job of a list; finished jobs have the batch's present `status`."""

    now: datetime
    status: str


class WorkerRow(TypedDict):
    """A row of import_worker; `age` is the time in seconds since the worker was seen."""

    host: str
    slot: int
    pid: int
    version: str
    state: str
    job_id: int | None
    mount_ok: int | None
    started_at: datetime
    seen_at: datetime
    ended_at: datetime | None
    age: float
    is_late: int


class QueueControl(TypedDict):
    """Who paused the queue, why and since when."""

    paused_by: str
    reason: str
    since: datetime


class SayRow(TypedDict):
    """What says which bundle decided about a row last: its columns, and those of the batch of last_batch_id."""

    source_at: datetime | None
    source_batch_id: int | None
    last_batch_id: int
    last_sync_id: str | None
    last_source_at: datetime | None
    last_prior_sync_id: str | None
    last_completed_at: str | None
    last_discovered_at: datetime


class AssetRow(SayRow):
    """The columns of `asset` that have a use here, and FIELDS."""

    id: int
    asset_type: str
    asset_hash: str
    first_sync_id: str | None
    fingerprint: str
    deleted_at: Any


class UnsentNotice(TypedDict):
    """A notice that a channel has not sent; the next attempt is due at `not_before`, or now."""

    id: int
    batch_id: int
    kind: str
    not_before: datetime | None
    now: datetime


class NoticeDetails(TypedDict):
    """A notice with its batch, and with the event and the active job if there are any."""

    id: int
    kind: str
    created_at: datetime
    sync_id: str
    last_error: str | None
    payload: str | None
    actor: str | None
    job_id: int | None
    worker: str | None
    heartbeat_at: datetime | None
    container_title: str | None
    item_title: str | None


class BatchProgress(TypedDict):
    """Status of a batch with its latest job, and the state of its open preflight request, if there are any."""

    sync_id: str
    status: str
    last_error: str | None
    job_id: int | None
    job_state: str | None
    hold_reason: str | None
    items_done: int | None
    items_total: int | None
    preflight_state: str | None
    worker: str | None
    silent_seconds: int | None
