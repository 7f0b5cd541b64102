"""The message that a person gets: counts by kind, the first batches with their reasons, and how many are left out.

All texts from outside are escaped to one line. The subject has numbers and words of ours only.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple
from urllib.parse import urlencode

from ..config import Url
from ..ledger.notices import NoticeKind
from ..rows import NoticeDetails
from ..text import escape_unprintable, json_object, truncate, whole_number

MAX_ENTRIES = 50  # batches of a message
MAX_REASON = 500  # characters
MAX_TITLE = 100  # characters
# kind -> words for one batch or more of them
WORDS = {
    NoticeKind.FAILED: "failed", NoticeKind.PARTIAL: "partial", NoticeKind.PREFLIGHT_FAILED: "failed the preflight",
    NoticeKind.CHANGED: "replaced by upstream", NoticeKind.NO_WORKER: "waiting without a worker",
    NoticeKind.NO_MOUNT: "waiting for the mount", NoticeKind.STALLED: "stalled", NoticeKind.HELD: "held",
    NoticeKind.RESET: "reset after a stall",
}
NEXT_STEP = "gpupanel show SYNC_ID shows a batch in a shell; docs/runbook.md says what to do."


@dataclass(frozen=True, slots=True)
class Message:
    """A message for every channel; `id` is the same whenever the same notices are sent again."""

    id: str
    subject: str
    lines: tuple[str, ...]
    facts: dict[str, Any]

    @property
    def text(self) -> str:
        return "\n".join(self.lines) + "\n"

    def as_json(self, sent_at: datetime) -> bytes:
        """The body of a POST; `text` is what the mail says."""
        head = {"id": self.id, "sent_at": _time(sent_at), "subject": self.subject, "text": self.text}
        return json.dumps(head | self.facts, ensure_ascii=False).encode()


@dataclass(frozen=True, slots=True)
class Entry:
    """What a message says of one batch."""

    kind: NoticeKind
    sync_id: str
    title: str
    at: datetime
    reason: str
    job_id: int | None
    url: str | None

    def as_json(self) -> dict[str, Any]:
        return {
            "kind": self.kind, "sync_id": self.sync_id, "title": self.title, "at": _time(self.at),
            "reason": self.reason, "job_id": self.job_id, "url": self.url,
        }

    def lines(self) -> list[str]:
        job = f", job {self.job_id}" if self.job_id else ""
        title = f"  {self.title}" if self.title else ""
        return [
            f"{self.at:%Y-%m-%d %H:%M:%S}  {WORDS[self.kind]}{job}: batch {self.sync_id}{title}",
            *([f"    {self.reason}"] if self.reason else []),
            *([f"    {self.url}"] if self.url else []),
            "",
        ]


class NoticesToSend(NamedTuple):
    """The notices of a message: their ids, numbers of batches by kind, and details of the first ones.

    `is_bounded` says that more notices wait than one message counts.
    """

    ids: list[int]
    counts: Counter[NoticeKind]
    details: list[NoticeDetails]
    is_bounded: bool = False


def compose(host: str, notices: NoticesToSend, panel: Url | None) -> Message:
    """Write the message of some notices."""
    ids, counts, details, is_bounded = notices
    entries = [_entry(row, panel) for row in details]
    more = counts.total() - len(entries)
    summary = ", ".join(f"{counts[kind]:,} {WORDS[kind]}" for kind in NoticeKind if counts[kind])
    left_out = f"{more:,} more batches are" if more > 1 else "One more batch is"
    lines = [
        f"Import Media on {host}: {summary}.", "", *(line for entry in entries for line in entry.lines()),
        *([f"{left_out} left out; the page Events lists all.", ""] if more else []),
        *(["More notices wait for the next message.", ""] if is_bounded else []),
        f"Times are UTC. {NEXT_STEP}",
    ]
    facts = {
        "host": host, "counts": {str(kind): number for kind, number in counts.items()}, "more": more,
        "entries": [entry.as_json() for entry in entries],
    }
    return Message(_digest(host, *map(str, sorted(ids))), f"Import Media, {host}: {summary}", tuple(lines), facts)


def compose_unit_failed(host: str, unit: str, result: str, now: datetime) -> Message:
    """Write the message of a systemd unit that failed; `result` is what systemd says of it."""
    unit, result = escape_unprintable(unit), escape_unprintable(truncate(result, MAX_REASON))
    lines = (
        f"The unit {unit} on {host} failed{f': {result}' if result else ''}.", "",
        "Nothing is imported by it until it is started again.",
        f"systemctl status {unit} and journalctl -u {unit} on {host} say why; then systemctl start {unit}.",
    )
    facts = {"host": host, "counts": {"unit_failed": 1}, "more": 0, "entries": [], "unit": unit, "result": result}
    return Message(_digest(host, unit, _time(now)), f"Import Media, {host}: a service failed", lines, facts)


def compose_trial(host: str, now: datetime) -> Message:
    """Write the message by which a person checks the configuration."""
    lines = (f"This is a test message of Import Media on {host}.", "Nothing failed.")
    return Message(
        _digest(host, "test", _time(now)), f"Import Media, {host}: a test message", lines,
        {"host": host, "counts": {}, "more": 0, "entries": []},
    )


def compose_head(host: str, receipt_id: int, head: str, now: datetime) -> Message:
    """Write the message that keeps the head of the chain of receipts outside of the database."""
    lines = (f"Receipt {receipt_id}, head {head}", "Keep this message: gpupanel verify --all --heads FILE uses it.")
    facts = {"receipt_id": receipt_id, "head": head, "at": _time(now)}
    return Message(
        _digest(host, "head", head), f"Import Media, {host}: head of the receipts", lines,
        {"host": host, "counts": {}, "more": 0, "entries": [], **facts},
    )


def first_entries(notices: Iterable[tuple[int, int, NoticeKind]]) -> tuple[Counter[NoticeKind], list[int]]:
    """Count batches by their most serious kind; return the ids of the notices to show, the most serious first.

    A notice is (id, batch id, kind); of several of one kind, the latest counts.
    """
    rank = {kind: position for position, kind in enumerate(NoticeKind)}
    worst: dict[int, tuple[int, int]] = {}
    for notice_id, batch_id, kind in notices:
        best = worst.get(batch_id)
        if best is None or (rank[kind], -notice_id) < (best[0], -best[1]):
            worst[batch_id] = rank[kind], notice_id
    kinds = tuple(NoticeKind)
    counts = Counter(kinds[position] for position, _ in worst.values())
    return counts, [notice_id for _, notice_id in sorted(worst.values())[:MAX_ENTRIES]]


def _entry(row: NoticeDetails, panel: Url | None) -> Entry:
    payload = json_object(row["payload"]) or {}
    title = row["container_title"] or row["item_title"] or ""
    return Entry(
        NoticeKind(row["kind"]), row["sync_id"], truncate(escape_unprintable(title), MAX_TITLE), row["created_at"],
        truncate(escape_unprintable(_reason(row, payload)), MAX_REASON),
        whole_number(payload.get("job_id")) or row["job_id"], _page(panel, row["sync_id"]),
    )


def _reason(row: NoticeDetails, payload: dict[str, Any]) -> str:
    """Say why, from the event, else from the active job, else from the batch."""
    match row["kind"]:
        case NoticeKind.STALLED:
            since = f"{row['heartbeat_at']:%Y-%m-%d %H:%M:%S}" if row["heartbeat_at"] else "its claim"
            return f"worker {row['worker']} sent no heartbeat since {since}"
        case NoticeKind.NO_WORKER:
            return "no worker is alive, so nothing is imported; this is the job that waits longest"
        case NoticeKind.NO_MOUNT:
            return "no worker can read its mount, so nothing is imported; this is the job that waits longest"
        case NoticeKind.CHANGED:
            return "upstream replaced the bundle after its plan was approved; preflight it to see what changes"
    reason = str(payload.get("reason") or row["last_error"] or "")
    samples = payload.get("failure_samples")
    first = str(samples[0]) if isinstance(samples, list) and samples else ""
    return reason if first in reason else f"{reason}: {first}" if reason else first


def _page(panel: Url | None, sync_id: str) -> str | None:
    if panel is None:
        return None
    query = urlencode({"action": "detail", "sync_id": sync_id})
    return f"{panel.origin}{panel.target.rstrip('/')}/import-media.cgi?{query}"


def _digest(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]


def _time(moment: datetime) -> str:
    """Format a UTC time; those of the database have no zone."""
    return moment.replace(tzinfo=UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
