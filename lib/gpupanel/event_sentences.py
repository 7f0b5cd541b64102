"""A sentence and a tone for each type of event, which pages and shell show with its payload.

`SENTENCES` has an entry for each EventType. A payload without the keys that its sentence needs, such as one of another
program, has no sentence: the payload itself is always shown.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, get_args

from .models import EventType
from .text import format_size, json_object, pluralize, short_hash, truncate

EVENT_TYPES: tuple[EventType, ...] = get_args(EventType)
MAX_REASON = 300  # characters of a reason in a sentence; the payload has all of it

TONES = {
    "job_failed": "bad", "container_failed": "bad", "preflight_abandoned": "bad",
    "job_held": "mixed", "job_reset": "mixed", "manifest_changed": "mixed", "bundle_passed_over": "mixed",
}

Payload = dict[str, Any]
Sentence = str | Callable[[Payload, str], str]  # a text with names of the payload and `actor`, or a function


class EventText(NamedTuple):
    """The sentence of an event, and its tone: `good`, `mixed`, `bad` or empty."""

    sentence: str = ""
    tone: str = ""


def describe_event(event_type: str, payload: str, actor: str | None) -> EventText:
    """Return sentence and tone of an event; both are empty for an unknown type or payload."""
    sentence = SENTENCES.get(event_type)
    if sentence is None:
        return EventText()
    try:
        values = json_object(payload) or {}
        return EventText(_write(sentence, values, actor or "-"), _tone(event_type, values))
    except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError):
        return EventText()


def _write(sentence: Sentence, payload: Payload, actor: str) -> str:
    if isinstance(sentence, str):
        shown = {"reason": _reason(payload)} if "reason" in payload else {}
        return sentence.format_map({**payload, **shown, "actor": actor})
    return sentence(payload, actor)


def _tone(event_type: str, payload: Payload) -> str:
    if event_type == "job_finished":
        return {"completed": "good", "partial": "mixed"}.get(payload["status"], "bad")
    if event_type == "preflight_finished":
        return "" if payload["ok"] else "bad"
    return TONES.get(event_type, "")


# ------------------------------------------------------------------------------------------- parts of sentences


def _items(number: Any) -> str:
    return pluralize(int(number), "item")


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{count:,} {decision}" for decision, count in counts.items() if count) or "no items"


def _reason(payload: Payload) -> str:
    """The reason of an event as the end of a sentence."""
    return truncate(str(payload["reason"]).strip().rstrip("."), MAX_REASON)


# ----------------------------------------------------------------------------------------------------- sentences


def _scan(payload: Payload, actor: str) -> str:
    size = format_size(int(payload["total_bytes"]))
    return (
        f"The scan recorded this bundle from {payload['source_host']}: action {payload['action']},"
        f" {_items(payload['item_count'])}, {size}."
    )


def _preflight_started(payload: Payload, actor: str) -> str:
    if payload["item_count"] is None:
        return "The preflight began, and could not read the manifest."
    size = f"{_items(payload['item_count'])}, {pluralize(payload['container_count'], 'container')}"
    if "undo_of" in payload:
        return f"The planning of the undo of batch {payload['undo_of']} began: {size}."
    what = "preflight of the open items" if payload["phase"] == "retry" else "preflight"
    return f"The {what} began: {size}, {format_size(payload['total_bytes'])}; action {payload['action']}."


def _preflight_finished(payload: Payload, actor: str) -> str:
    if payload["ok"]:
        return f"The preflight passed: {_counts(payload['counts'])}."
    samples = payload["failure_samples"]
    more = f" The payload has {pluralize(len(samples) - 1, 'more reason')}." if len(samples) > 1 else ""
    first = f": {truncate(str(samples[0]).rstrip('.'), MAX_REASON)}" if samples else ""
    return f"The preflight failed{first}.{more}"


def _preflight_requested(payload: Payload, actor: str) -> str:
    then = ", which also queues the batch if it passes" if payload["then_queue"] else ""
    return f"{payload['requested_by']} requested the preflight by a worker{then}."


def _preflight_abandoned(payload: Payload, actor: str) -> str:
    return (
        f"Worker {payload['worker']} gave up the requested preflight after"
        f" {pluralize(payload['attempts'], 'attempt')}: {_reason(payload)}."
    )


def _job_queued(payload: Payload, actor: str) -> str:
    job, person, items = payload["job_id"], payload["requested_by"], _items(payload["items_total"])
    if "replaces_job_id" in payload:
        replaced = payload["replaces_job_id"]
        return f"Worker {actor} queued job {job} for {person}: the new plan of {items} replaces job {replaced}."
    after = " after a preflight" if int(payload["auto_preflighted"]) else ""
    return f"{person} queued job {job}{after}, and so approved the plan of {items}."


def _job_held(payload: Payload, actor: str) -> str:
    until = f" A worker checks again after {payload['not_before'][:19]}." if payload["not_before"] else ""
    return f"Job {payload['job_id']} is held ({payload['hold']}): {_reason(payload)}.{until}"


def _job_unheld(payload: Payload, actor: str) -> str:
    job = payload["job_id"]
    if payload["by"] == "prior":
        return f"Job {job} is queued again: the job of its prior bundle has ended."
    return f"{payload['by']} released job {job}: it is queued again."


def _job_claimed(payload: Payload, actor: str) -> str:
    done, total = payload["items_done"], _items(payload["items_total"])
    before = f", {done:,} of {total} settled before" if done else f", {total}"
    return f"Worker {payload['worker']} claimed job {payload['job_id']}: attempt {payload['attempt']}{before}."


def _job_progress(payload: Payload, actor: str) -> str:
    total = f" of {_items(payload['items_total'])}" if "items_total" in payload else " items"
    containers = ""
    if "containers_total" in payload:
        number = pluralize(payload["containers_total"], "container")
        containers = f" and {payload['containers_done']:,} of {number}"
    return f"Job {payload['job_id']} has settled {payload['items_done']:,}{total}{containers}."


def _job_released(payload: Payload, actor: str) -> str:
    attempt = " The attempt counts." if payload["attempt_counts"] else ""
    return f"Worker {payload['worker']} released job {payload['job_id']}: {_reason(payload)}.{attempt}"


def _job_reset(payload: Payload, actor: str) -> str:
    attempts = pluralize(payload["attempts"], "attempt")
    return f"Job {payload['job_id']} is queued again after {attempts}: {_reason(payload)}."


def _job_finished(payload: Payload, actor: str) -> str:
    failed = payload["container_failures"]
    containers = f"; {pluralize(failed, 'container')} failed" if failed else ""
    return f"Job {payload['job_id']} ended {payload['status']}: {_counts(payload['counts'])}{containers}."


def _container_failed(payload: Payload, actor: str) -> str:
    name = f"{payload['container_type']} {short_hash(payload['container_hash'])}"
    return f"Job {payload['job_id']} could not import the {name} as a whole: {_reason(payload)}."


def _manifest_changed(payload: Payload, actor: str) -> str:
    when = {
        "import": "The import found another manifest than the approved one",
        "import_end": "Upstream replaced the manifest during the import",
    }.get(payload["phase"], "The preflight found another manifest than the one before")
    return f"{when}: {short_hash(payload['after'])} instead of {short_hash(payload['before'])}"


def _attention_seen(payload: Payload, actor: str) -> str:
    return f"{payload['seen_by']} marked the batch as seen: {', '.join(payload['reasons'])}."


def _batch_archived(payload: Payload, actor: str) -> str:
    return f"{actor} archived {_items(payload['items'])} with their results and events in {payload['file']}."


def _times_converted(payload: Payload, actor: str) -> str:
    zone = payload["zone"]
    way = f"from {zone} to UTC" if payload["direction"] == "utc" else f"from UTC to {zone}"
    return f"{actor} converted the times that the Perl side wrote {way}."


SENTENCES: dict[str, Sentence] = {
    "attention_seen": _attention_seen,
    "batch_archived": _batch_archived,
    "batch_restored": "{actor} restored the archived rows from {file}.",
    "bundle_passed_over": "The scan skipped this bundle: {reason}.",
    "container_failed": _container_failed,
    "job_canceled": "{cancelled_by} canceled job {job_id}.",
    "job_claimed": _job_claimed,
    "job_failed": "Job {job_id} failed: {reason}.",
    "job_finished": _job_finished,
    "job_held": _job_held,
    "job_priority": "{actor} changed the priority of job {job_id} from {before} to {priority}.",
    "job_progress": _job_progress,
    "job_queued": _job_queued,
    "job_released": _job_released,
    "job_reset": _job_reset,
    "job_unheld": _job_unheld,
    "manifest_changed": _manifest_changed,
    "preflight_abandoned": _preflight_abandoned,
    "preflight_canceled": "{cancelled_by} canceled the requested preflight.",
    "preflight_finished": _preflight_finished,
    "preflight_requested": _preflight_requested,
    "preflight_started": _preflight_started,
    "scan": _scan,
    "times_converted": _times_converted,
    "undo_requested": "{requested_by} requested the undo of batch {undo_of}, as batch {undo_sync_id}.",
}
