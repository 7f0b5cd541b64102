"""Events of a batch: append them, list them.

docs/CONTRACT.md, 7. Events.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from ..db import ReadTransaction, Transaction, chunked
from ..models import EventType
from ..rows import EventRow
from ..text import json_object
from . import notices


def canonical_json(value: Any) -> str:
    """Encode JSON as Perl's canonical encoder does: sorted, no spaces."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def spaced_json(value: Mapping[str, str]) -> str:
    """Encode JSON as MariaDB's JSON_OBJECT does: unsorted, with spaces."""
    return json.dumps(value, ensure_ascii=False)


def append_event(
    tx: Transaction, batch_id: int, event_type: EventType, payload: Mapping[str, Any] | str, actor: str
) -> None:
    """Append an event with its notice where people are to be told, and lock its batch; a dict is encoded canonically.

    The lock lasts until the transaction ends, so that the events of a batch get their ids in the order of their
    commits: a receipt relies on this (docs/decisions/0155-receipts.md).
    """
    text = payload if isinstance(payload, str) else canonical_json(payload)
    event_id = tx.insert("ledger.append_event", batch_id=batch_id, event_type=event_type, payload=text, actor=actor)
    if kind := notices.kind_of(event_type, payload):
        notices.add(tx, kind, [(batch_id, event_id)])


def append_events(
    tx: Transaction, event_type: EventType, payloads: Iterable[tuple[int, Mapping[str, Any]]], actor: str
) -> None:
    """Append one event for each (batch id, payload) with one INSERT; notices and locks as `append_event` has them.

    The payloads differ in ids alone, so that the first one decides whether people are told of all.
    """
    payloads = list(payloads)
    for ids in chunked(sorted({batch_id for batch_id, _ in payloads})):
        tx.fetch_all("holds.lock_batches", batch_ids=ids)
    appended = tx.insert_many("ledger.append_events", [
        {"batch_id": batch_id, "event_type": event_type, "payload": canonical_json(payload), "actor": actor}
        for batch_id, payload in payloads
    ])
    if payloads and (kind := notices.kind_of(event_type, payloads[0][1])):
        notices.add(tx, kind, [(row["batch_id"], row["id"]) for row in appended])


def list_events(tx: ReadTransaction, batch_id: int, *, limit: int = 50) -> list[EventRow]:
    """The latest events of a batch, newest first, with payloads as text."""
    return tx.fetch_all("ledger.events", batch_id=batch_id, limit=limit)


def latest_event(tx: ReadTransaction, batch_id: int, event_type: str) -> EventRow | None:
    """The newest event of one type, with `payload` decoded; one that is no object, as of another program, is empty."""
    row: EventRow | None = tx.fetch_one("ledger.latest_event", batch_id=batch_id, event_type=event_type)
    if row:
        row["payload"] = json_object(row["payload"]) or {}
    return row
