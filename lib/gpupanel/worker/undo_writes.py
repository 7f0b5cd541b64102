"""Put library rows back as they were before a batch, many rows at once; the caller holds the locks."""

import json
from collections.abc import Iterable
from typing import Any

from ..db import DataError, Transaction, chunked
from ..library_reader import DERIVATIVE_FIELDS
from ..text import time_text
from ..undo import AssetState, AssetUndo, ContainerState, ContainerUndo
from ..undo.effective import Key, Stone
from . import library_containers, library_writer


def put_back_assets(tx: Transaction, undos: dict[Key, AssetUndo]) -> None:
    """Write each value of these assets that differs. Raises DataError where a document was not kept."""
    changed = {key: undo for key, undo in sorted(undos.items()) if undo.results}
    rows = {key: undo for key, undo in changed.items() if undo.before.id is not None}
    tx.insert_many("undo_write.assets", [
        _asset_row(key, undo.after) for key, undo in rows.items() if _columns(undo.before) != _columns(undo.after)
    ])
    tx.insert_many("undo_write.covers", [row for undo in rows.values() for row in _cover_rows(undo)])
    tx.insert_many("undo_write.derivatives", [row for undo in rows.values() for row in _derivative_rows(undo)])
    _put_back_analyses(tx, rows.values())
    _put_back_sources(tx, rows.values())
    put_back_tombstones(tx, {
        key: (undo.before.tombstone, undo.after.tombstone) for key, undo in changed.items()
        if undo.before.tombstone != undo.after.tombstone
    })


def put_back_tombstones(tx: Transaction, stones: dict[Key, tuple[Stone | None, Stone | None]]) -> None:
    """Write tombstones, given as (before, after); one that goes keeps its say."""
    tx.insert_many("undo_write.tombstones", [
        {
            "kind": kind, "hash": hash_, "source_at": time_text((after or before or (None, 0))[0]),
            "batch_id": (after or before or (None, 0))[1], "is_removed": int(after is None),
        }
        for (kind, hash_), (before, after) in sorted(stones.items())
    ])


def put_back_containers(tx: Transaction, kind: str, undos: dict[Key, ContainerUndo]) -> None:
    """Write rows and memberships of containers of one type; tombstones are written apart."""
    changed = {key: undo for key, undo in sorted(undos.items()) if undo.results and undo.after.id is not None}
    library_containers.write_members(tx, kind, [
        {
            "container_id": undo.after.id, "asset_id": change.asset_id, "position": change.position,
            "source_at": time_text(change.source_at), "source_batch_id": change.source_batch_id,
            "is_removed": int(not change.came), "is_change": not change.say_only,
        }
        for undo in changed.values() for change in undo.member_changes
    ])
    library_containers.write_containers(tx, kind, [_container_row(key[1], undo.after) for key, undo in changed.items()])


# ------------------------------------------------------------------------------------------------ rows


def _asset_row(key: Key, state: AssetState) -> dict[str, Any]:
    columns = state.columns
    return {
        "id": state.id, "asset_type": key[0], "asset_hash": key[1], **state.fields, "fingerprint": state.fingerprint,
        "last_batch_id": columns.last_batch_id, "source_batch_id": columns.source_batch_id,
        "source_at": time_text(columns.source_at), "is_removed": int(state.is_removed),
    }


def _columns(state: AssetState) -> tuple[Any, ...]:
    return dict(state.fields), state.fingerprint, state.columns, state.is_removed


def _cover_rows(undo: AssetUndo) -> Iterable[dict[str, Any]]:
    for cover_hash in sorted(undo.before.covers ^ undo.after.covers):
        is_removed = int(cover_hash not in undo.after.covers)
        yield {"asset_id": undo.before.id, "cover_hash": cover_hash, "is_removed": is_removed}


def _derivative_rows(undo: AssetUndo) -> Iterable[dict[str, Any]]:
    before, after = undo.before, undo.after
    for file in sorted(before.files.keys() | after.files.keys()):
        known, wanted = (
            (state.files.get(file), state.file_says.get(file)) for state in (before, after)
        )
        if known == wanted:
            continue
        values = after.files.get(file) or before.files[file]
        source_at, batch_id = (wanted[1] if file in after.files else known[1]) or (None, None)
        yield {
            "asset_id": before.id, "kind": file[0], "path": file[1], "source_at": time_text(source_at),
            "source_batch_id": batch_id, "is_removed": int(file not in after.files),
            **{name: values[name] for name in DERIVATIVE_FIELDS},
        }


def _put_back_analyses(tx: Transaction, undos: Iterable[AssetUndo]) -> None:
    taken, restored = [], []
    for undo in undos:
        ids = undo.before.analysis_ids
        taken += [ids[each] for each in undo.before.analyses - undo.after.analyses]
        restored += [ids[each] for each in undo.after.analyses - undo.before.analyses if each in ids]
    for chunk in chunked(sorted(taken)):
        tx.execute("undo_write.take_back_analyses", ids=chunk)
    for chunk in chunked(sorted(restored)):
        tx.execute("library_write.restore_runs", ids=chunk)


def _put_back_sources(tx: Transaction, undos: Iterable[AssetUndo]) -> None:
    changed = [undo for undo in undos if undo.before.source != undo.after.source]
    ids = sorted(undo.before.id for undo in changed if undo.before.id is not None)
    library_writer.keep_documents(tx, ids)
    for chunk in chunked(sorted(undo.before.id or 0 for undo in changed if undo.after.source is None)):
        tx.execute("undo_write.take_back_sources", ids=chunk)
    pairs = [(undo.before.id, undo.after.source) for undo in changed if undo.after.source is not None]
    for some in chunked(pairs):
        if tx.execute("undo_write.restore_sources", pairs=json.dumps(some)) < len(some):
            raise DataError("a source document that was replaced is not kept in ingest_document")


def _container_row(container_hash: str, state: ContainerState) -> dict[str, Any]:
    columns = state.columns
    return {
        "container_hash": container_hash, "title": state.title, "cover_hash": state.cover_hash,
        "last_batch_id": columns.last_batch_id, "source_at": time_text(columns.source_at),
        "source_batch_id": columns.source_batch_id, "is_removed": int(state.is_removed), "is_last": False,
    }
