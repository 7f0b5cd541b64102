"""The effective history of a target: the results that no undo has taken back.

docs/decisions/0150-undo-is-a-batch.md, "What is taken back"
"""

import json
from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from typing import Any, NamedTuple

from ..db import ReadTransaction, chunk_by_first
from ..library_reader import SayColumns
from ..text import time_text, json_object

Key = tuple[str, str]  # (kind, hash)
Stone = tuple[datetime, int]  # the say of a tombstone: source_at, batch id


class UndoTarget(NamedTuple):
    """The batch that is undone."""

    batch_id: int
    sync_id: str


class Result(NamedTuple):
    """A result since the first one of the batches that are undone; `changes` are decoded for these batches alone."""

    id: int
    batch_id: int
    decision: str
    changes: dict[str, Any]
    target_digest: str | None
    has_written: bool
    undoes: tuple[int, ...]


class Run(NamedTuple):
    """The newest effective results of a target, if they are of the batch; else the batch that is `in_between`.

    `was_undone`: an undo has taken back all that the batch wrote.
    """

    results: tuple[Result, ...] = ()
    in_between: int | None = None
    was_undone: bool = False


def first_result(tx: ReadTransaction, batch_id: int) -> int | None:
    """The id of a batch's first result, None if it has none."""
    first: int | None = tx.fetch_value("undo.first_result", batch_id=batch_id)
    return first


def read_history(
    tx: ReadTransaction, keys: Iterable[Key], targets: list[UndoTarget], first: int
) -> dict[Key, list[Result]]:
    """(kind, hash) -> results from the id `first` on, the newest first."""
    history: dict[Key, list[Result]] = defaultdict(list)
    batch_ids = [target.batch_id for target in targets]
    for kind, hashes in chunk_by_first(keys):
        for row in tx.fetch_all("undo.history", kind=kind, hashes=hashes, first=first, batch_ids=batch_ids):
            history[kind, row["hash"]].append(_result(row))
    for results in history.values():
        results.sort(key=lambda result: result.id, reverse=True)
    return history


def _result(row: dict[str, Any]) -> Result:
    return Result(
        row["id"], row["batch_id"], row["decision"], json_object(row["changes"]) or {},
        row["target_digest"], bool(row["has_written"]), tuple(json.loads(row["undoes"])) if row["undoes"] else (),
    )


def effective_results(results: list[Result], batch_id: int, cancelled: set[int]) -> list[Result]:
    """The results, newest first, that wrote and that no undo but the batch `batch_id` itself has taken back."""
    effective: list[Result] = []
    taken_back = set(cancelled)
    for result in results:
        if result.id in taken_back or not result.has_written:
            continue
        if result.undoes and result.batch_id != batch_id:
            taken_back |= set(result.undoes)
        else:
            effective.append(result)
    return effective


def newest_run(results: list[Result], batch_id: int, cancelled: set[int]) -> Run:
    """Return what an undo of a batch takes back of one target.

    `results` are newest first; `cancelled` are the ids of results that undos before this one take back.
    """
    effective = effective_results(results, batch_id, cancelled)
    if not any(result.batch_id == batch_id for result in effective):
        return Run(was_undone=any(result.batch_id == batch_id and result.has_written for result in results))
    if effective[0].batch_id != batch_id:
        return Run(in_between=effective[0].batch_id)
    others = (number for number, result in enumerate(effective) if result.batch_id != batch_id)
    return Run(tuple(effective[:next(others, len(effective))]))


# ------------------------------------------------------------------------------------------------ says in results


def parse_time(text: str | None) -> datetime | None:
    """The time of a result."""
    return datetime.fromisoformat(text) if text else None


def stone_text(stone: Stone | None) -> list[Any] | None:
    """A tombstone or the say of a derivative as results have it."""
    return None if stone is None else [time_text(stone[0]), stone[1]]


def parse_stone(value: list[Any] | None) -> Stone | None:
    """The tombstone of a result."""
    return None if value is None else (datetime.fromisoformat(value[0]), value[1])


def columns_of(stone: Stone | None) -> SayColumns:
    """The columns of a row that a tombstone speaks for, or no bundle."""
    return SayColumns() if stone is None else SayColumns(stone[0], stone[1], stone[1])


def columns_before(columns: SayColumns, changes: dict[str, Any]) -> SayColumns:
    """The columns of the say before a result."""
    return _columns(columns, changes, 0)


def columns_after(columns: SayColumns, changes: dict[str, Any]) -> SayColumns:
    """The columns of the say that a result left, where it names them."""
    return _columns(columns, changes, 1)


def _columns(columns: SayColumns, changes: dict[str, Any], side: int) -> SayColumns:
    source_at, source_batch_id, last_batch_id = columns
    if "source_at" in changes:
        source_at = parse_time(changes["source_at"][side])
    if "source_batch_id" in changes:
        source_batch_id = changes["source_batch_id"][side]
    if "last_batch_id" in changes:
        last_batch_id = changes["last_batch_id"][side] or 0
    return SayColumns(source_at, source_batch_id, last_batch_id)


def say_changes(before: SayColumns, after: SayColumns) -> dict[str, Any]:
    """name -> [before, after] of the columns of the say that differ."""
    changes: dict[str, Any] = {}
    if before.source_at != after.source_at:
        changes["source_at"] = [time_text(before.source_at), time_text(after.source_at)]
    if before.source_batch_id != after.source_batch_id:
        changes["source_batch_id"] = [before.source_batch_id, after.source_batch_id]
    if before.last_batch_id != after.last_batch_id:
        changes["last_batch_id"] = [before.last_batch_id or None, after.last_batch_id or None]
    return changes
