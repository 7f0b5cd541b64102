"""The lines of a receipt, from the rows of the database.

Results and events of a batch get their ids in the order of their commits, so that two bounds name what a receipt
covers, for ever.
"""

import zlib
from collections.abc import Iterator
from typing import Any, NamedTuple

from ..db import ReadTransaction, chunked
from .lines import CONTAINER, EVENT, FORMAT_VERSION, MEMBER, RESULT, TOMBSTONE, encode_body

CONTAINER_KINDS = ("gallery", "collection")
MAX_CONTAINERS = 50_000  # of a job, whose rows are sealed: up to 40 MB; those beyond are sealed by their results alone
MAX_UNPACKED_BYTES = 256 * 1024 * 1024


class Span(NamedTuple):
    """What a receipt covers: rows of a batch beyond the bounds of its receipt before, and containers of its job.

    One of version 1 covers no tombstones of members.
    """

    batch_id: int
    job_id: int
    after_result: int
    result_id: int
    after_event: int
    event_id: int
    version: int = FORMAT_VERSION


class SealedLine(NamedTuple):
    """The kind of a line, the ids that name its row, and its text without the digest."""

    kind: str
    name: str
    body: bytes


def read_lines(tx: ReadTransaction, span: Span, containers: bytes | None) -> Iterator[SealedLine]:
    """Yield the lines of a receipt in order; `containers` are those that were sealed with it, compressed.

    Each query is read to its end before the next one starts.
    """
    with_members: list[int] = []
    for row in tx.stream("receipts.results", batch_id=span.batch_id, after=span.after_result, until=span.result_id):
        if row["kind"] in CONTAINER_KINDS:
            with_members.append(row["id"])
        yield SealedLine(RESULT, f"result {row['id']}", encode_body(RESULT, row))
    for result_ids in chunked(with_members):
        for row in tx.stream("receipts.members", result_ids=result_ids):
            name = f"member {row['asset_id']} of result {row['result_id']}"
            yield SealedLine(MEMBER, name, encode_body(MEMBER, row))
    for result_ids in chunked(with_members if span.version > 1 else ()):
        for row in tx.stream("receipts.tombstones", result_ids=result_ids):
            name = f"tombstone {row['asset_hash'][:16]} of result {row['result_id']}"
            yield SealedLine(TOMBSTONE, name, encode_body(TOMBSTONE, row))
    for number, body in enumerate(unpack(containers), 1):
        yield SealedLine(CONTAINER, f"container {number} of job {span.job_id}", body)
    for row in tx.stream("receipts.events", batch_id=span.batch_id, after=span.after_event, until=span.event_id):
        yield SealedLine(EVENT, f"event {row['id']} ({row['event_type']})", encode_body(EVENT, row))


def container_lines(tx: ReadTransaction, job_id: int) -> list[bytes]:
    """The rows of the containers that a job settled, as they are now."""
    rows: list[Any] = tx.fetch_all("receipts.settled_containers", job_id=job_id, limit=MAX_CONTAINERS)
    return [encode_body(CONTAINER, row) for row in rows]


def pack(lines: list[bytes]) -> bytes | None:
    """Compress container lines; no lines give None."""
    return zlib.compress(b"\n".join(lines)) if lines else None


def unpack(containers: bytes | None) -> list[bytes]:
    """Return the container lines that were sealed; what is not what `pack` made gives one line that fits nothing."""
    if not containers:
        return []
    try:
        unpacked = zlib.decompressobj()
        text = unpacked.decompress(containers, MAX_UNPACKED_BYTES)
    except zlib.error:
        return [b"not compressed by zlib"]
    return text.split(b"\n") if unpacked.eof else [b"cut off"]
