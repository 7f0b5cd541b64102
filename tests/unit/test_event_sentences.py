"""Each type of event has a sentence, which says what its payload says."""

import json
import re

import pytest
from constants import TREE
from gpupanel.event_sentences import EVENT_TYPES, MAX_REASON, SENTENCES, EventText, describe_event

SYNC_ID, OTHER = "6df12fb8-3d5b-42ca-bcec-3999624acc82", "37e428d2-a4f6-4a31-bacf-0c835fb24084"
DIGEST = "6aeaaef68c502920540c647d688cced68bbe2f9f1ee7d5de57ae4c04535b6f16"
PREFLIGHT = {
    "action": "update", "container_count": 1, "item_count": 4, "item_type_counts": {"photo": 4},
    "manifest_sha256": DIGEST, "phase": "preflight", "prior_sync_id": None, "sync_id": SYNC_ID, "sync_type": "asset",
    "total_bytes": 181162647,
}
REFUSED = dict.fromkeys(PREFLIGHT) | {"phase": "preflight", "sync_id": SYNC_ID}
COUNTS = {"will_create": 4, "will_fail": 0, "will_link": 1}
FINISHED = {"counts": COUNTS, "failure_samples": [], "item_count": 5, "item_type_counts": {}, "phase": "preflight"}
QUEUED = {"auto_preflighted": 0, "items_total": "4", "job_id": 3, "phase": "job_queue", "requested_by": "ada"}
HELD = {
    "hold": "prior", "job_id": 3, "not_before": None, "phase": "job_hold", "prior_sync_id": OTHER,
    "reason": f"waits for job 2 of its prior bundle {OTHER}", "worker": "media:1",
}
DONE = {
    "container_failures": 0, "containers_done": 1, "counts": {"created": 7, "linked": 2, "failed": 3},
    "failure_samples": ["a"], "items_total": 12, "job_id": 3, "manifest_sha256": DIGEST, "phase": "job_finish",
    "worker": "media:1",
}
JOB = {"job_id": 3, "worker": "media:1"}
EXAMPLES = [
    ("scan", {"source": "filesystem", "manifest_sha256": DIGEST, "sync_type": "asset", "action": "update",
              "item_count": "4", "total_bytes": "181162647", "source_host": "flux-1"},
     "The scan recorded this bundle from flux-1: action update, 4 items, 172.8 MB."),
    ("bundle_passed_over", {"phase": "scan", "reason": "status: found \"processing\".", "source": "filesystem"},
     "The scan skipped this bundle: status: found \"processing\"."),
    ("preflight_started", PREFLIGHT, "The preflight began: 4 items, 1 container, 172.8 MB; action update."),
    ("preflight_started", PREFLIGHT | {"phase": "retry"},
     "The preflight of the open items began: 4 items, 1 container, 172.8 MB; action update."),
    ("preflight_started", PREFLIGHT | {"action": "undo", "undo_of": OTHER, "total_bytes": 0},
     f"The planning of the undo of batch {OTHER} began: 4 items, 1 container."),
    ("preflight_started", REFUSED, "The preflight began, and could not read the manifest."),
    ("preflight_finished", FINISHED | {"ok": 1}, "The preflight passed: 4 will_create, 1 will_link."),
    ("preflight_finished", FINISHED | {"ok": 0, "failure_samples": ["items: found 0.", "x", "y"]},
     "The preflight failed: items: found 0. The payload has 2 more reasons."),
    ("preflight_finished", FINISHED | {"ok": 0}, "The preflight failed."),
    ("preflight_requested",
     {"phase": "preflight_request", "priority": 100, "requested_by": "ada", "then_queue": 1},
     "ada requested the preflight by a worker, which also queues the batch if it passes."),
    ("preflight_canceled", {"cancelled_by": "ada", "phase": "preflight_cancel"},
     "ada canceled the requested preflight."),
    ("preflight_abandoned",
     {"attempts": 5, "phase": "preflight_request", "reason": "the mount is away", "worker": "media:1"},
     "Worker media:1 gave up the requested preflight after 5 attempts: the mount is away."),
    ("job_queued", QUEUED, "ada queued job 3, and so approved the plan of 4 items."),
    ("job_queued", QUEUED | {"auto_preflighted": 1, "items_total": "1"},
     "ada queued job 3 after a preflight, and so approved the plan of 1 item."),
    ("job_queued", QUEUED | {"replaces_job_id": 2},
     "Worker actor queued job 3 for ada: the new plan of 4 items replaces job 2."),
    ("job_canceled", {"cancelled_by": "ada", "job_id": "3", "phase": "job_cancel"}, "ada canceled job 3."),
    ("job_priority", {"before": 100, "job_id": 3, "phase": "job_priority", "priority": -5},
     "actor changed the priority of job 3 from 100 to -5."),
    ("job_held", HELD, f"Job 3 is held (prior): waits for job 2 of its prior bundle {OTHER}."),
    ("job_held", HELD | {"hold": "backoff", "reason": "found no file", "not_before": "2026-04-30 00:32:19.000001"},
     "Job 3 is held (backoff): found no file. A worker checks again after 2026-04-30 00:32:19."),
    ("job_unheld", {"by": "prior", "job_id": 3, "phase": "job_unhold"},
     "Job 3 is queued again: the job of its prior bundle has ended."),
    ("job_unheld", {"by": "ada", "job_id": 3, "phase": "job_unhold"}, "ada released job 3: it is queued again."),
    ("job_claimed", JOB | {"attempt": 1, "items_done": 0, "items_total": 4, "phase": "job_claim"},
     "Worker media:1 claimed job 3: attempt 1, 4 items."),
    ("job_claimed", JOB | {"attempt": 2, "items_done": 1000, "items_total": 4000, "phase": "job_claim"},
     "Worker media:1 claimed job 3: attempt 2, 1,000 of 4,000 items settled before."),
    ("job_progress", JOB | {"items_done": 1000, "items_total": 4000}, "Job 3 has settled 1,000 of 4,000 items."),
    ("job_progress", JOB | {"items_done": 4, "items_total": 4, "containers_done": 0, "containers_total": 1},
     "Job 3 has settled 4 of 4 items and 0 of 1 container."),
    ("job_released", JOB | {"attempt_counts": 0, "phase": "job_release", "reason": "the worker stops"},
     "Worker media:1 released job 3: the worker stops."),
    ("job_released", JOB | {"attempt_counts": 1, "phase": "job_release", "reason": "the worker stops"},
     "Worker media:1 released job 3: the worker stops. The attempt counts."),
    ("job_reset", JOB | {"attempts": 2, "phase": "job_reset", "reason": "worker media:1 sent no heartbeat"},
     "Job 3 is queued again after 2 attempts: worker media:1 sent no heartbeat."),
    ("job_finished", DONE | {"status": "partial"}, "Job 3 ended partial: 7 created, 2 linked, 3 failed."),
    ("job_finished", DONE | {"status": "failed", "counts": {}, "container_failures": 1},
     "Job 3 ended failed: no items; 1 container failed."),
    ("job_failed", JOB | {"phase": "job_fail", "reason": "gave up after 5 attempts"},
     "Job 3 failed: gave up after 5 attempts."),
    ("container_failed",
     {"container_type": "gallery", "container_hash": DIGEST, "job_id": 3, "missing": [], "missing_count": 2,
      "phase": "import", "reason": "2 members are missing"},
     "Job 3 could not import the gallery 6aeaaef68c502920... as a whole: 2 members are missing."),
    *(("manifest_changed", {"after": "b" * 64, "before": "a" * 64, "phase": phase},
       f"{when}: bbbbbbbbbbbbbbbb... instead of aaaaaaaaaaaaaaaa...") for phase, when in (
        ("preflight", "The preflight found another manifest than the one before"),
        ("import", "The import found another manifest than the approved one"),
        ("import_end", "Upstream replaced the manifest during the import"),
    )),
    ("attention_seen", {"phase": "attention", "reasons": ["partial", "replaced by upstream"], "seen_by": "ada"},
     "ada marked the batch as seen: partial, replaced by upstream."),
    ("undo_requested", {"phase": "undo", "requested_by": "ada", "undo_of": SYNC_ID, "undo_sync_id": OTHER},
     f"ada requested the undo of batch {SYNC_ID}, as batch {OTHER}."),
    ("batch_archived", {"file": "a.jsonl.gz", "items": 4, "phase": "archive", "receipts": 1},
     "actor archived 4 items with their results and events in a.jsonl.gz."),
    ("batch_restored", {"file": "a.jsonl.gz", "phase": "restore"}, "actor restored the archived rows from a.jsonl.gz."),
    ("times_converted", {"direction": "utc", "phase": "cutover", "zone": "Europe/Berlin"},
     "actor converted the times that the Perl side wrote from Europe/Berlin to UTC."),
    ("times_converted", {"direction": "local", "phase": "cutover", "zone": "Europe/Berlin"},
     "actor converted the times that the Perl side wrote from UTC to Europe/Berlin."),
]


def name_of(value):
    """Name an example by its type of event."""
    return value if isinstance(value, str) and value in EVENT_TYPES else ""


def test_each_type_of_event_has_a_sentence_and_an_example():
    assert set(SENTENCES) == set(EVENT_TYPES) == {event_type for event_type, *_ in EXAMPLES}


def test_the_contract_names_each_type_of_event():
    section = (TREE / "docs" / "CONTRACT.md").read_text().split("## 7. Events")[1].split("\n## ")[0]
    assert set(EVENT_TYPES) <= set(re.findall(r"`(\w+)`", section))


@pytest.mark.parametrize("event_type, payload, sentence", EXAMPLES, ids=name_of)
def test_the_sentence_says_what_the_payload_says(event_type, payload, sentence):
    assert describe_event(event_type, json.dumps(payload), "actor").sentence == sentence


@pytest.mark.parametrize("event_type", [*EVENT_TYPES, "of_another_program"])
@pytest.mark.parametrize("payload", ["{}", "[]", "null", "7", '"text"', "no JSON", "", "[" * 100_000])
def test_a_payload_of_another_program_has_no_sentence_and_stops_nothing(event_type, payload):
    assert describe_event(event_type, payload, None) == EventText()


@pytest.mark.parametrize("event_type, payload, _", EXAMPLES, ids=name_of)
def test_a_value_of_another_type_stops_nothing(event_type, payload, _):
    for key in payload:
        for value in (None, "x", -1, [], {}, [1], {"a": "b"}, 1.5, True):
            describe_event(event_type, json.dumps(payload | {key: value}), "actor")


@pytest.mark.parametrize("event_type, payload, tone", [
    ("job_finished", DONE | {"status": "completed"}, "good"), ("job_finished", DONE | {"status": "partial"}, "mixed"),
    ("job_finished", DONE | {"status": "failed"}, "bad"), ("preflight_finished", FINISHED | {"ok": 1}, ""),
    ("preflight_finished", FINISHED | {"ok": 0}, "bad"), ("job_failed", JOB | {"reason": "x"}, "bad"),
    ("job_held", HELD, "mixed"), ("job_queued", QUEUED, ""),
])
def test_the_tone_follows_from_the_payload(event_type, payload, tone):
    assert describe_event(event_type, json.dumps(payload), "actor").tone == tone


def test_a_long_reason_is_cut():
    told = describe_event("job_failed", json.dumps(JOB | {"reason": "x" * 2000}), "actor").sentence
    assert "x" * MAX_REASON + "..." in told and "x" * (MAX_REASON + 1) not in told
