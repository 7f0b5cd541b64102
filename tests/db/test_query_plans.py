"""Every named query finds its rows by an index (etc/schema.sql says which, and why)."""

import json
import re

import installation
import pytest
from gpupanel.db import fill, queries, query
from gpupanel.resources import TREE

FILES = sorted(path.stem for path in (TREE / "lib/gpupanel/sql").glob("*.sql"))
# Those of find.py that are completed with a source and filters have tests of their own, in test_search.py.
NAMES = [f"{file}.{name}" for file in FILES for name in queries(file) if "{" not in query(f"{file}.{name}")]

# These read an index from one end, and stop at the limit; a census goes on to the other one.
FROM_THE_END = {
    "ledger.count", "search.ledger_state", "job_queue.version", "job_queue.count_by_state", "workers.latest",
    "receipts.last", "receipts.latest_end",
}

HASHED = "0" * 63 + "1"
HASH = "LPAD(HEX(seq), 64, '0')"
FILL = [
    """INSERT INTO ingest_batch (id, sync_id, status, discovered_at)
        SELECT seq, LPAD(seq, 36, '0'), ELT(1 + seq % 8, 'discovered', 'preflight_passed', 'preflight_failed', 'queued',
               'importing', 'completed', 'partial', 'failed'), NOW(6) FROM seq_1_to_3000""",
    """INSERT INTO import_job (id, batch_id, state, requested_by, claim_token, heartbeat_at, finished_at)
       SELECT seq, seq, ELT(1 + seq % 5, 'queued', 'running', 'completed', 'failed', 'canceled'), 'x',
              LPAD(seq, 32, '0'), NOW(6), IF(seq % 5 > 1, NOW(6), NULL) FROM seq_1_to_3000""",
    f"""INSERT INTO ingest_batch_item (batch_id, position, asset_type, asset_hash, decision)
        SELECT 1 + seq DIV 10, seq % 10, 'photo', {HASH}, 'will_create' FROM seq_1_to_9000""",
    """INSERT INTO ingest_event (batch_id, event_type, payload, actor)
       SELECT 1 + seq DIV 5, 'scan', '{}', 'x' FROM seq_1_to_9000""",
    f"""INSERT INTO ingest_result (id, batch_id, job_id, kind, hash, decision)
        SELECT seq, 1 + seq DIV 5, 1 + seq DIV 5, 'photo', {HASH}, 'created' FROM seq_1_to_9000""",
    "INSERT INTO ingest_result_member (result_id, asset_id, came) SELECT seq, seq, 1 FROM seq_1_to_3000",
    f"""INSERT INTO ingest_result_tombstone (result_id, asset_hash) SELECT seq, {HASH} FROM seq_1_to_3000""",
    f"""INSERT INTO ingest_receipt (id, batch_id, job_id, `lines`, root)
        SELECT seq, seq, seq, 5, {HASH} FROM seq_1_to_3000""",
    f"""INSERT INTO ingest_archive (batch_id, file, first_receipt_id, receipt_id, result_id, event_id, items, root)
        SELECT seq, 'x', seq, seq, seq * 5, seq * 5, 1, {HASH} FROM seq_1_to_3000""",
    """INSERT INTO ingest_notice (batch_id, event_id, kind, sent_at)
       SELECT seq, seq, 'failed', IF(seq < 2900, NOW(6), NULL) FROM seq_1_to_3000""",
    f"""INSERT INTO asset (id, asset_type, asset_hash, fingerprint, first_batch_id, last_batch_id)
        SELECT seq, 'photo', {HASH}, {HASH}, 1, 1 FROM seq_1_to_3000""",
    "INSERT INTO import_worker (host, slot, pid, boot) SELECT CONCAT('host', seq), 1, seq, 'x' FROM seq_1_to_1000",
    "INSERT INTO asset_source (asset_id, document, sha256) SELECT id, '{}', asset_hash FROM asset",
    "INSERT INTO asset_ai_run (asset_id, analysis_kind, source_file, content_sha256)"
    " SELECT id, 'a', 'a', asset_hash FROM asset",
    "INSERT INTO asset_cover (asset_id, cover_hash) SELECT id, asset_hash FROM asset",
    "INSERT INTO asset_derivative (asset_id, kind, path) SELECT id, 'thumb', 'thumb.jpg' FROM asset",
]
for kind in ("gallery", "collection"):
    FILL += [
        f"""INSERT INTO asset_{kind} (id, {kind}_hash, first_batch_id, last_batch_id)
            SELECT seq, {HASH}, 1, 1 FROM seq_1_to_1000""",
        f"""INSERT INTO asset_{kind}_item ({kind}_id, asset_id, position)
            SELECT 1 + id % 1000, id, 1 + id DIV 1000 FROM asset""",
    ]


KNOWN = {
    "limit": 50, "kind": "photo", "since": "2026-01-01", "before": 2000, "start": 5, "status": "queued",
    "state": "queued",
    "asset_type": "photo", "sync_id": "0" * 35 + "1", "token": "0" * 31 + "1", "sync_ids": ["0" * 35 + "1"],
    "hashes": ["0" * 63 + "1"], "container_hash": "0" * 63 + "1", "asset_hash": "0" * 63 + "1", "host": "host7",
    "worker": "host7:7", "perl_offset": 7200, "hold": "operator", "boot": "x",
}


def examples(statement: str) -> dict:
    """A value for each parameter of the statement, a list after IN."""
    names = re.findall(r"(\bIN )?%\((\w+)\)s", statement)
    return {name: KNOWN.get(name, [1, 2] if listed else 1) for listed, name in names}


def parts(name: str) -> list[str]:
    """What of a query looks for rows: all of it, or the statements in a compound one."""
    text = query(name)
    return re.findall(r"\b(?:SELECT|UPDATE)\b[^;]*", text.replace(" INTO job", "")) if ";" in text else [text]


def explain(db, name: str) -> list[dict]:
    return [row for part in parts(name) for row in db.execute(f"EXPLAIN {part}", **examples(part))]


@pytest.fixture(scope="module")
def filled(server):
    with installation.filled(server, FILL) as db:
        yield db


@pytest.mark.parametrize(
    "name", [name for name in NAMES if parts(name) and parts(name)[0].startswith(("SELECT", "UPDATE"))]
)
def test_no_query_reads_a_whole_table(filled, name):
    plan = explain(filled, name)
    # `pair` is no table, but a parameter
    found = [row for row in plan if not str(row["table"]).startswith("<") and row["table"] != "pair"]
    scans = [row for row in found if row["type"] in ("ALL", "index")]
    assert name in FROM_THE_END or not scans, scans


@pytest.mark.parametrize("container_type", ["gallery", "collection"])
@pytest.mark.parametrize("name", ["library_read.containers", "library_read.members"])
def test_containers_and_their_members_are_found_by_their_keys(filled, name, container_type):
    """The pairs of container and asset are a table of the statement itself."""
    statement = fill(name, type=container_type)
    pairs = json.dumps([[number, number] for number in range(1, 500)])
    parameters = examples(statement) | ({"pairs": pairs} if name == "library_read.members" else {})
    plan = filled.execute(f"EXPLAIN {statement}", **parameters)
    scans = [row for row in plan if row["type"] in ("ALL", "index") and row["table"] != "pair"]
    assert not scans, scans


@pytest.mark.parametrize("container_type", ["gallery", "collection"])
@pytest.mark.parametrize(
    "name",
    ["undo.containers", "undo.listed_since", "undo.own_members", "undo.foreign_members", "undo.containers_of_covers"],
)
def test_an_undo_finds_what_refers_to_an_asset_by_an_index(filled, name, container_type):
    statement = fill(name, type=container_type)
    plan = filled.execute(f"EXPLAIN {statement}", **examples(statement))
    assert not [row for row in plan if row["type"] in ("ALL", "index")], plan


@pytest.mark.parametrize("container_type", ["gallery", "collection"])
@pytest.mark.parametrize("name", ["folds.container_hashes", "folds.members", "folds.count_members"])
def test_the_pages_of_a_fold_are_read_by_their_keys(filled, name, container_type):
    statement = fill(name, type=container_type)
    plan = filled.execute(f"EXPLAIN {statement}", **examples(statement) | {"after": 1 if "members" in name else HASHED})
    assert not [row for row in plan if row["type"] == "ALL" and row["table"] != "<derived2>"], plan
    assert not [row for row in plan if "filesort" in (row["Extra"] or "")], plan


@pytest.mark.parametrize("name", ["search.batches_with_asset", "ledger.items", "ledger.events", "job_queue.history"])
def test_no_list_is_sorted_after_the_fact(filled, name):
    plan = explain(filled, name)
    assert not [row for row in plan if "filesort" in (row["Extra"] or "")], plan
