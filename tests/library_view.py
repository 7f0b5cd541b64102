"""What the library says, so that a row that an undo took back is as no row: for the property tests of undo."""

from collections import defaultdict

from gpupanel import order
from gpupanel.digests import DERIVATIVE_VALUES, FIELDS
from gpupanel.order import NEVER

NO_SAY = (None, None, 0)
NO_PARTS = (frozenset(), frozenset(), frozenset(), None)


def view(db) -> dict[tuple, tuple]:
    """key -> value of each asset, container, membership and tombstone that counts.

    A removed asset or container without a say and parts is left out, as is a membership that no bundle has decided
    about. One that the library lacks, and of which a tombstone speaks, is removed with the say of the tombstone.
    """
    stones = {
        (row["kind"], row["hash"]): (row["source_at"], row["batch_id"])
        for row in db.execute("SELECT * FROM ingest_tombstone WHERE deleted_at IS NULL")
    }
    entries = _assets(db)
    for (kind, hash_), (source_at, batch_id) in stones.items():
        if kind in ("gallery", "collection"):
            entries["stone", kind, hash_] = source_at, batch_id
        elif kind.endswith("_member"):
            entries[kind, hash_] = "removed", (source_at, batch_id)
        else:
            entries.setdefault((kind, hash_), ("removed", (source_at, batch_id, batch_id), NO_PARTS))
    for kind in ("gallery", "collection"):
        entries |= _containers(db, kind)
    return {key: value for key, value in entries.items() if value not in (("removed", NO_SAY, NO_PARTS), None)}


def _assets(db) -> dict[tuple, tuple]:
    covers, runs, files, sources = (defaultdict(set) for _ in range(4))
    for row in db.execute("SELECT * FROM asset_cover WHERE deleted_at IS NULL"):
        covers[row["asset_id"]].add(row["cover_hash"])
    for row in db.execute("SELECT * FROM asset_ai_run WHERE deleted_at IS NULL"):
        runs[row["asset_id"]].add((row["analysis_kind"], row["content_sha256"], row["document"]))
    for row in db.execute("SELECT * FROM asset_derivative WHERE deleted_at IS NULL"):
        values = tuple(row[name] for name in DERIVATIVE_VALUES)
        files[row["asset_id"]].add((row["kind"], row["path"], *values, row["source_at"], row["source_batch_id"]))
    for row in db.execute("SELECT * FROM asset_source WHERE deleted_at IS NULL"):
        sources[row["asset_id"]] = (row["sha256"], row["document"])
    entries = {}
    for row in db.execute("SELECT * FROM asset"):
        number, columns = row["id"], tuple(row[name] for name in ("source_at", "source_batch_id", "last_batch_id"))
        parts = (*(frozenset(each[number]) for each in (covers, runs, files)), sources.get(number))
        state = ("removed", columns, parts)
        if row["deleted_at"] is None:
            state = ("live", columns, parts, tuple(row[name] for name in (*FIELDS, "fingerprint")))
        entries[row["asset_type"], row["asset_hash"]] = state
    return entries


def _containers(db, kind: str) -> dict[tuple, tuple]:
    entries, owners = {}, {}
    for row in db.execute(f"SELECT * FROM asset_{kind}"):
        columns = tuple(row[name] for name in ("source_at", "source_batch_id", "last_batch_id"))
        owners[row["id"]] = row[f"{kind}_hash"], columns
        live = ("live", columns, row["title"], row["cover_hash"])
        entries[kind, row[f"{kind}_hash"]] = live if row["deleted_at"] is None else ("removed", columns, NO_PARTS)
    for row in db.execute(
        f"SELECT m.*, a.asset_hash, a.asset_type FROM asset_{kind}_item m JOIN asset a ON a.id = m.asset_id"
    ):
        container_hash, columns = owners[row[f"{kind}_id"]]
        own = (row["source_at"], row["source_batch_id"]) if row["source_at"] else ("owner", *columns)
        live = ("live", row["position"], own)
        state = live if row["deleted_at"] is None else None if own[0] == NEVER else ("removed", own)
        entries[order.member_key(kind, container_hash, row["asset_hash"])] = state
    return entries
