"""The output of a dry run: a line of JSON for each row to be written.

The first line names the batch and the digest of its manifest; the last one has the batch's final status. The lines
between them are {"table", "key", "values"}, with natural keys as in `compare`: `asset_id.asset_hash` instead of a
number.
"""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from ..library_reader import DERIVATIVE_FIELDS, FIELDS
from ..db import ReadTransaction, chunked
from .recording_transaction import RecordedWrite

REMOVED = {"deleted_at": "removed"}
LIVE = {"deleted_at": None}
ASSET_ROW = (*FIELDS, "fingerprint")
CONTAINER_ROW = ("title", "cover_hash")

Line = dict[str, Any]


def line(value: Line) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


class NaturalKeyFormatter:
    """Formats recorded writes with natural keys, before their rollback."""

    def __init__(self, tx: ReadTransaction, sync_id: str, written: list[RecordedWrite]):
        self._sync_id, self._last = sync_id, {"last_batch_id.sync_id": sync_id}
        self._assets = _named(tx, "dry_run.assets", _ids(written, "asset_id") | _listed(written, *ASSET_LISTS))
        self._containers: dict[str, dict[int, Line]] = {}
        for kind, plural in (("gallery", "galleries"), ("collection", "collections")):
            rows = [row for row in written if row.values.get("type") == kind]
            self._containers[kind] = _named(tx, f"dry_run.{plural}", _ids(rows, "container_id"))

    def lines(self, written: Iterable[RecordedWrite]) -> Iterator[Line]:
        """Yield the lines of each recorded row."""
        for row in written:
            if row.statement.startswith("library_write."):
                yield from ASSET_LINES[row.statement](self, row.values)
            elif row.statement.startswith("containers."):
                yield from CONTAINER_LINES[row.statement](self, row.values["type"], row.values)

    # ------------------------------------------------------------------------------------------------- assets

    def create_assets(self, row: Line) -> Iterator[Line]:
        key = {"asset_type": row["asset_type"], "asset_hash": row["asset_hash"]}
        values = _picked(row, ASSET_ROW) | {"first_batch_id.sync_id": self._sync_id} | self._last
        yield _line("asset", key, values | LIVE)

    def update_assets(self, row: Line) -> Iterator[Line]:
        key = {"asset_type": row["asset_type"], "asset_hash": row["asset_hash"]}
        yield _line("asset", key, _picked(row, ASSET_ROW) | self._last | LIVE)

    def remove_assets(self, row: Line) -> Iterator[Line]:
        for asset_id in row["ids"]:
            yield _line("asset", self._assets[asset_id], self._last | REMOVED)

    def set_say(self, row: Line) -> Iterator[Line]:
        """Yield a line without values: no column changes but those of the latest bundle."""
        for asset_id in row["ids"]:
            yield _line("asset", self._assets[asset_id], {})

    def skip(self, row: Line) -> Iterator[Line]:
        """Yield nothing: the Perl panel has no such table."""
        return iter(())

    def write_sources(self, row: Line) -> Iterator[Line]:
        yield self._of_asset("asset_source", row, {}, _picked(row, ("document", "sha256")))

    def add_runs(self, row: Line) -> Iterator[Line]:
        key = {"analysis_kind": row["kind"], "content_sha256": row["sha256"]}
        values = {"source_file": row["file"], "document": row["text"], "parse_error": row["parse_error"]}
        yield self._of_asset("asset_ai_run", row, key, values)

    def write_derivatives(self, row: Line) -> Iterator[Line]:
        values = _picked(row, DERIVATIVE_FIELDS) | LIVE
        yield self._of_asset("asset_derivative", row, _picked(row, ("kind", "path")), values)

    def write_covers(self, row: Line) -> Iterator[Line]:
        yield self._of_asset("asset_cover", row, _picked(row, ("cover_hash",)), LIVE)

    def _of_asset(self, table: str, row: Line, key: Line, values: Line) -> Line:
        return _line(table, _through("asset_id", self._assets[row["asset_id"]]) | key, values)

    # --------------------------------------------------------------------------------------------- containers

    def container_create(self, kind: str, row: Line) -> Iterator[Line]:
        values = _picked(row, CONTAINER_ROW) | {"first_batch_id.sync_id": self._sync_id} | self._last
        yield _line(f"asset_{kind}", {f"{kind}_hash": row["container_hash"]}, values | LIVE)

    def container_write(self, kind: str, row: Line) -> Iterator[Line]:
        values = _picked(row, CONTAINER_ROW) | (self._last if row["is_last"] else {})
        yield _line(f"asset_{kind}", {f"{kind}_hash": row["container_hash"]}, values | _mark(row))

    def container_members(self, kind: str, row: Line) -> Iterator[Line]:
        """Yield nothing where only the latest bundle of a membership changes."""
        if not row["is_change"]:
            return
        container = _through(f"{kind}_id", self._containers[kind][row["container_id"]])
        asset = _through("asset_id", self._assets[row["asset_id"]])
        values = {} if row["is_removed"] else {"position": row["position"]}
        yield _line(f"asset_{kind}_item", container | asset, values | _mark(row))


ASSET_LISTS = ("library_write.remove_assets", "library_write.set_say")
ASSET_LINES = {
    "library_write.set_say": NaturalKeyFormatter.set_say,
    "library_write.insert_tombstones": NaturalKeyFormatter.skip,
    "library_write.replace_tombstones": NaturalKeyFormatter.skip,
    "library_write.keep_documents": NaturalKeyFormatter.skip,
    "library_write.restore_runs": NaturalKeyFormatter.skip,
    "library_write.create_assets": NaturalKeyFormatter.create_assets,
    "library_write.update_assets": NaturalKeyFormatter.update_assets,
    "library_write.remove_assets": NaturalKeyFormatter.remove_assets,
    "library_write.write_sources": NaturalKeyFormatter.write_sources,
    "library_write.add_runs": NaturalKeyFormatter.add_runs,
    "library_write.write_derivatives": NaturalKeyFormatter.write_derivatives,
    "library_write.write_covers": NaturalKeyFormatter.write_covers,
}
CONTAINER_LINES = {
    "containers.create": NaturalKeyFormatter.container_create, "containers.write": NaturalKeyFormatter.container_write,
    "containers.write_members": NaturalKeyFormatter.container_members,
}


def _mark(row: Line) -> Line:
    return REMOVED if row["is_removed"] else LIVE


def _line(table: str, key: Line, values: Line) -> Line:
    return {"table": table, "key": key, "values": values}


def _picked(row: Line, names: Iterable[str]) -> Line:
    return {name: row[name] for name in names}


def _through(way: str, key: Line) -> Line:
    return {f"{way}.{name}": value for name, value in key.items()}


def _ids(written: Iterable[RecordedWrite], column: str) -> set[int]:
    return {row.values[column] for row in written if column in row.values}


def _listed(written: Iterable[RecordedWrite], *statements: str) -> set[int]:
    return {id_ for row in written if row.statement in statements for id_ in row.values["ids"]}


def _named(tx: ReadTransaction, query: str, ids: set[int]) -> dict[int, Line]:
    """Return id -> natural key."""
    rows = (row for chunk in chunked(sorted(ids)) for row in tx.fetch_all(query, ids=chunk))
    return {row.pop("id"): row for row in rows}
