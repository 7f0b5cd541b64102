"""Read assets and containers with all that results name of them."""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

from .. import library_reader, order
from ..db import ReadTransaction, chunk_by_first, chunked, fill
from ..library_reader import DERIVATIVE_FIELDS, FIELDS, SayColumns
from ..models import MemberChange, TombstoneChange
from .assets import AssetState
from .containers import ContainerState, MemberState, Parts
from .effective import Key, Stone


def read_assets(tx: ReadTransaction, keys: list[Key], *, lock: bool = False) -> dict[Key, AssetState]:
    """(kind, hash) -> state of each of these assets; `lock` locks the tombstones."""
    rows = {
        (kind, row["asset_hash"]): row
        for kind, hashes in chunk_by_first(keys)
        for row in tx.fetch_all("undo.assets", asset_type=kind, hashes=hashes)
    }
    stones = _tombstones(tx, keys, lock)
    parts = _AssetParts(tx, [row["id"] for row in rows.values()])
    return {key: parts.state(rows.get(key), stones.get(key)) for key in keys}


def _tombstones(tx: ReadTransaction, keys: Iterable[Key], lock: bool) -> dict[Key, Stone]:
    return {
        key: (say.order.source_at, say.batch_id) for key, say in order.tombstones(tx, keys, lock=lock).items()
    }


class _AssetParts:
    """The parts of some assets, by asset id."""

    def __init__(self, tx: ReadTransaction, ids: list[int]) -> None:
        self._covers = _by_asset(tx, "library_read.covers", ids)
        self._files = _by_asset(tx, "library_read.derivatives", ids)
        self._analyses = _by_asset(tx, "undo.analyses", ids)
        self._sources = {row["asset_id"]: row["sha256"] for row in _of_assets(tx, "undo.sources", ids)}

    def state(self, row: Any, tombstone: Stone | None) -> AssetState:
        if row is None:
            return AssetState(tombstone=tombstone)
        asset_id = row["id"]
        covers, files, analyses = self._covers[asset_id], self._files[asset_id], self._analyses[asset_id]
        return AssetState(
            asset_id, row["deleted_at"] is not None, {name: row[name] for name in FIELDS}, row["fingerprint"],
            SayColumns(row["source_at"], row["source_batch_id"], row["last_batch_id"]),
            frozenset(each["cover_hash"] for each in covers if each["deleted_at"] is None),
            {each["cover_hash"]: each["id"] for each in covers},
            {(each["kind"], each["path"]): {name: each[name] for name in DERIVATIVE_FIELDS} for each in files},
            {(each["kind"], each["path"]): _say(each) for each in files},
            self._sources.get(asset_id),
            frozenset(_analysis(each) for each in analyses if each["deleted_at"] is None),
            {_analysis(each): each["id"] for each in analyses}, tombstone,
        )


def _analysis(row: Any) -> tuple[str, str]:
    return row["analysis_kind"], row["content_sha256"]


def _say(row: Any) -> Stone | None:
    return None if row["source_at"] is None else (row["source_at"], row["source_batch_id"])


def _by_asset(tx: ReadTransaction, name: str, ids: list[int]) -> dict[int, list[Any]]:
    found: dict[int, list[Any]] = defaultdict(list)
    for row in _of_assets(tx, name, ids):
        found[row["asset_id"]].append(row)
    return found


def _of_assets(tx: ReadTransaction, name: str, ids: list[int]) -> Iterator[Any]:
    for chunk in chunked(ids):
        yield from tx.fetch_all(name, asset_ids=chunk)


# ------------------------------------------------------------------------------------------------ containers


def read_parts(tx: ReadTransaction, result_ids: list[int]) -> dict[int, Parts]:
    """result id -> what it recorded of members and of their tombstones."""
    members: dict[int, list[MemberChange]] = defaultdict(list)
    stones: dict[int, list[TombstoneChange]] = defaultdict(list)
    for chunk in chunked(result_ids):
        for row in tx.fetch_all("undo.members", result_ids=chunk):
            change = MemberChange(*(row[name] for name in MemberChange._fields))
            change = change._replace(came=bool(change.came), say_only=bool(change.say_only))
            members[row["result_id"]].append(change)
        for row in tx.fetch_all("undo.tombstones", result_ids=chunk):
            stones[row["result_id"]].append(TombstoneChange(*(row[name] for name in TombstoneChange._fields)))
    return {each: Parts(tuple(members[each]), tuple(stones[each])) for each in result_ids}


def read_containers(
    tx: ReadTransaction, keys: list[Key], parts: dict[Key, list[Parts]], *, lock: bool = False
) -> dict[Key, ContainerState]:
    """(type, hash) -> state of each of these containers, with the members and tombstones that `parts` name."""
    rows = {
        (kind, row["container_hash"]): row
        for kind, hashes in chunk_by_first(keys)
        for row in tx.fetch_all_sql(fill("undo.containers", type=kind), hashes=hashes)
    }
    names = {key: [row.asset_hash for each in parts.get(key, []) for row in each.stones] for key in keys}
    ids = library_reader.all_asset_ids_by_hash(tx, {name for each in names.values() for name in each})
    namesakes = {key: {name: ids.get(name, []) for name in each} for key, each in names.items()}
    wanted = {
        key: {row.asset_id for each in parts.get(key, []) for row in each.members}
        | {asset_id for each in namesakes[key].values() for asset_id in each}
        for key in keys
    }
    members = _members(tx, rows, wanted)
    member_keys = {key: {name: order.member_key(*key, name) for name in each} for key, each in names.items()}
    stones = _tombstones(tx, [*keys, *(each for named in member_keys.values() for each in named.values())], lock)
    return {
        key: _container(rows.get(key), stones.get(key))._replace(
            members=members[key], stones={name: stones.get(each) for name, each in member_keys[key].items()},
            namesakes=namesakes[key],
        )
        for key in keys
    }


def _container(row: Any, tombstone: Stone | None) -> ContainerState:
    if row is None:
        return ContainerState(tombstone=tombstone)
    columns = SayColumns(row["source_at"], row["source_batch_id"], row["last_batch_id"])
    return ContainerState(
        row["id"], row["deleted_at"] is not None, row["title"], row["cover_hash"], columns, tombstone
    )


def _members(
    tx: ReadTransaction, rows: dict[Key, Any], wanted: dict[Key, set[int]]
) -> dict[Key, dict[int, MemberState]]:
    found: dict[Key, dict[int, MemberState]] = defaultdict(dict)
    for kind in library_reader.CONTAINER_TYPES:
        keys = {row["id"]: key for key, row in rows.items() if key[0] == kind}
        statement = fill("library_read.members", type=kind)
        pairs = ((container_id, asset_id) for container_id, key in keys.items() for asset_id in sorted(wanted[key]))
        for chunk in chunked(pairs):
            for row in tx.fetch_all_sql(statement, pairs=json.dumps(chunk)):
                found[keys[row["container_id"]]][row["asset_id"]] = MemberState(
                    row["position"], row["deleted_at"] is not None, row["source_at"], row["source_batch_id"]
                )
    return found
