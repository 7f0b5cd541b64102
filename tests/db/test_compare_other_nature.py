"""compare: a Perl side with other words, types and keys is read as ours, and its mapping is proposed."""
# ruff: noqa: F401, F811 - fixtures are imported

import json
import subprocess
import sys

import preloaded_programs
import pytest
import simulated_foreign_db as foreign
from constants import IMPORT_WORKER, TREE
from gpupanel import config
from gpupanel.db import Database
from gpupanel.devtools.bundle_factory import BundleWriter
from gpupanel.migration import mapping, table_specs
from gpupanel.migration.compared_database import ComparedDatabase
from gpupanel.mount import Mount
import worker_helpers
from test_compare_databases import (
    OURS,
    TOLERANT,
    admin,
    command,
    configure,
    differences,
    folder,
    found,
    ours,
    server,
)

NAME = "compared_foreign"
# Columns that this side does not have, and its path in two columns.
STRUCTURE = {"column_missing", "table_missing"}


@pytest.fixture
def theirs(server, admin, ours, folder):
    """The side of another nature, made anew: (configuration, mapping file)."""
    foreign.build(admin, OURS, NAME)
    (folder / "foreign.mapping").write_text(foreign.mapping())
    return configure(server, folder / "foreign.conf", NAME), folder / "foreign.mapping"


def contents(findings):
    """Return (kind, place) -> number, without what the side does not have."""
    return {place: count for place, count in found(findings).items() if place[0] not in STRUCTURE}


def test_bytes_seconds_words_timestamps_and_a_view_for_a_key_in_two_columns_are_read_as_ours(theirs, ours):
    findings = differences(theirs, ours, TOLERANT)
    assert contents(findings) == {}
    assert {group.table for group in findings.groups if group.kind == "table_missing"} == {"asset_cover"}
    counts = {tally.table: tally for tally in findings.tallies}
    assert set(counts) == set(table_specs.BY_NAME) - {"asset_cover"}
    assert all(tally.equal == tally.rows > 0 for tally in findings.tallies)


ASSET = "(SELECT medium FROM lieferung_objekte WHERE lieferung = 5001 AND stelle = {})"
SEEDS = [
    ("UPDATE lieferungen SET zustand = 'laeuft' WHERE lfd_nr = 5003", ("value", "ingest_batch.status")),
    ("UPDATE lieferungen SET rechner = UPPER(rechner) WHERE lfd_nr = 5001", ("wording", "ingest_batch.source_host")),
    (
        "UPDATE lieferungen SET pruefsumme = UNHEX(SHA2('x', 256)) WHERE lfd_nr = 5002",
        ("value", "ingest_batch.manifest_sha256"),
    ),
    ("UPDATE lieferungen SET vorgang = 'entfernen' WHERE lfd_nr = 5002", ("value", "ingest_batch.action")),
    (
        "UPDATE lieferungen SET begonnen = begonnen - INTERVAL 1 HOUR WHERE lfd_nr = 5004",
        ("time", "ingest_batch.started_at"),
    ),
    ("UPDATE lieferungen SET entdeckt = entdeckt - 7200 WHERE lfd_nr = 5004", ("time", "ingest_batch.discovered_at")),
    (
        "ALTER TABLE auftraege MODIFY status VARCHAR(40); UPDATE auftraege SET status = 'ruht' WHERE lieferung = 5002",
        ("value", "import_job.state"),
    ),
    (
        "UPDATE auftraege SET ende = uebernommen - INTERVAL 2 SECOND WHERE lieferung = 5001",
        ("time_order", "import_job"),
    ),
    ("UPDATE auftraege SET versuche = 4 WHERE lieferung = 5003", ("value", "import_job.attempts")),
    (f"UPDATE medien SET ueberschrift = 'Anders' WHERE nr = {ASSET.format(0)}", ("value", "asset.title")),
    (f"UPDATE medien SET art = 'film' WHERE nr = {ASSET.format(3)}", ("value", "asset.asset_type")),
    (f"UPDATE medien SET geloescht = NOW() WHERE nr = {ASSET.format(4)}", ("removed", "asset.deleted_at")),
    (f"UPDATE medien SET letzte_lieferung = 5002 WHERE nr = {ASSET.format(6)}", ("reference", "asset.last_batch_id")),
    (
        "INSERT INTO medien (art, kennung, erste_lieferung, letzte_lieferung)"
        " VALUES ('foto', UNHEX(SHA2('neu', 256)), 5001, 5001)",
        ("left_only", "asset"),
    ),
    (
        f"DELETE FROM ki_laeufe WHERE medium = {ASSET.format(8)} AND auswertung = 'meaning'",
        ("right_only", "asset_ai_run"),
    ),
    (
        "UPDATE medien_quellen SET dokument = REGEXP_REPLACE(dokument, '^.', '{\"neu\": 1, ')"
        f" WHERE medium = {ASSET.format(8)}",
        ("json_key", "asset_source.document: neu"),
    ),
    (
        f"UPDATE ableitungen SET datei = 'anders.jpg' WHERE sorte = 'thumb' AND medium = {ASSET.format(8)}",
        ("value", "asset_derivative.path"),
    ),
    (
        "UPDATE ableitungen SET pruefsumme = UNHEX(SHA2('y', 256)) WHERE sorte = 'thumb'"
        f" AND medium = {ASSET.format(10)}",
        ("value", "asset_derivative.sha256"),
    ),
    (
        f"UPDATE eintraege SET stelle = 40 WHERE zu = 'gallery' AND medium = {ASSET.format(2)}",
        ("value", "asset_gallery_item.position"),
    ),
    (
        f"DELETE FROM eintraege WHERE zu = 'collection' AND medium = {ASSET.format(2)}",
        ("right_only", "asset_collection_item"),
    ),
    ("UPDATE galerien SET ueberschrift = 'Kueste'", ("value", "asset_gallery.title")),
    (
        "UPDATE lieferung_objekte SET entscheidung = 'linked' WHERE lieferung = 5001 AND stelle = 0",
        ("value", "ingest_batch_item.decision"),
    ),
    (
        "DELETE FROM protokoll WHERE lieferung = 5002 AND ereignis = 'job_claimed'",
        ("right_only", "ingest_event: job_claimed"),
    ),
    (
        'UPDATE protokoll SET daten = REPLACE(daten, \'"items_total": "24"\', \'"items_total": 24\')'
        " WHERE lieferung = 5001 AND ereignis = 'job_queued'",
        ("json_type", "ingest_event.payload: items_total of job_queued"),
    ),
]


def test_each_deliberate_difference_is_named_once(theirs, ours, admin):
    for statements, _ in reversed(SEEDS):
        for statement in statements.split("; "):
            admin.execute(statement)
    assert contents(differences(theirs, ours, TOLERANT)) == {
        expected: 1 for _, expected in SEEDS
    }


def test_numbers_for_states_are_words_too_and_a_whole_mapping_leaves_no_question(theirs, ours, admin):
    listed = ", ".join(repr(word) for word in foreign.JOBS.values())
    for statement in (
        "ALTER TABLE auftraege ADD code TINYINT", f"UPDATE auftraege SET code = FIELD(status, {listed})",
        "ALTER TABLE auftraege DROP status, RENAME COLUMN code TO status",
    ):
        admin.execute(statement)
    before, after = foreign.mapping().split("[import_job.state]")
    for number, word in enumerate(foreign.JOBS.values(), 1):
        after = after.replace(f"= {word}\n", f"= {number}\n", 1)
    text = f"{before}[import_job.state]{after}"
    theirs[1].write_text(text)
    assert contents(differences(theirs, ours)) == {}
    assert not [question for question in propose(theirs, ours, text)["open"] if "asset_cover" in question
                or "import_job" in question]


def propose(theirs, ours, text=""):
    (theirs[0].parent / "given.mapping").write_text(text)
    answer = command("schemas", theirs[0], ours, "--left-mapping", theirs[0].parent / "given.mapping", "--json")
    assert answer.returncode == 1, answer.stderr
    return json.loads(answer.stdout)["left"]


def truth():
    """Return (table or table.column, column or word) -> the name on their side."""
    words = {
        (f"{table}.{column}", word): name
        for (table, column), listed in foreign.WORDS.items()
        for word, name in listed.items()
    }
    tables = {(ours, ""): theirs for ours, theirs in foreign.NAMES.items()}
    return tables | foreign.columns() | words | {("asset_derivative", ""): "ableitungen"}


def test_no_wrong_line_of_a_proposal_is_sure_and_values_find_what_names_do_not(theirs, ours):
    lines = propose(theirs, ours)["lines"]
    true = truth()
    wrong = [
        line for line in lines if line["sure"] and line["theirs"] != true.get((line["table"], line["column"]), "-")
    ]
    assert wrong == []
    right = {
        (line["table"], line["column"])
        for line in lines
        if line["theirs"] != "-" and line["theirs"] == true.get((line["table"], line["column"]))
    }
    assert {
        ("ingest_batch_item", ""),
        ("asset", ""),
        ("asset", "id"),
        ("asset", "asset_hash"),
        ("ingest_batch_item", "cover_hash"),
        ("ingest_batch_item", "asset_id"),
        ("asset", "title"),
    } <= right
    assert all(
        line["sure"] or line["theirs"] != "-"
        for line in lines
        if (line["table"], line["column"]) in {("ingest_batch", "undo_of"), ("asset", "source_at")}
    )


def test_rows_with_the_same_digest_find_few_values_and_words_where_samples_have_no_rows_in_common(theirs, ours, admin):
    for table, key in (("medien", "kennung"), ("lieferung_objekte", "objekt")):
        admin.execute(f"RENAME TABLE {table} TO alle_{table}")  # a view has no key, and here its rows in another order
        admin.execute(f"CREATE VIEW {table} AS SELECT * FROM alle_{table} ORDER BY {key}")
    tables = "".join(f"{ours} = {name}\n" for ours, name in foreign.NAMES.items())
    lines = propose(theirs, ours, f"[tables]\n{tables}")["lines"]
    true = truth()
    sure = {place_of(line): line["theirs"] for line in lines if line["sure"] and line["column"]}
    assert {place: name for place, name in sure.items() if name != true.get(place, "-")} == {}
    by_rows = {place_of(line) for line in lines if "rows with the same digest agree" in line["evidence"]}
    proposed = {place_of(line): line["theirs"] for line in lines}
    for place in (
        ("asset", "asset_hash"), ("asset", "asset_type"), ("asset", "width"), ("asset", "mime_type"),
        ("ingest_batch_item", "decision"), ("ingest_batch_item", "position"),
    ):
        assert proposed[place] == true[place], place
        assert place in by_rows, place


def place_of(line):
    return line["table"], line["column"]


def test_a_sample_has_the_first_and_last_rows_once_and_the_beginning_of_long_values(theirs, ours, admin):
    admin.execute("CREATE TABLE filme (nr INT PRIMARY KEY, film LONGBLOB, titel VARCHAR(20))")
    admin.execute("INSERT INTO filme SELECT seq, REPEAT('x', 100000), CONCAT('Film ', seq) FROM seq_1_to_30")
    with ComparedDatabase(theirs[0]).opened() as side:
        for limit, numbers in ((10, [*range(1, 6), *range(26, 31)]), (200, range(1, 31))):
            rows = side.sample("filme", ["film", "titel"], limit)
            assert sorted(int(row["titel"].removeprefix("Film ")) for row in rows) == list(numbers)
            assert {len(row["film"]) for row in rows} == {65536} and {*rows[0]} == {"film", "titel"}


def test_a_side_that_has_years_more_is_matched_by_its_last_rows(theirs, ours, admin):
    admin.execute("UPDATE medien SET nr = nr + 100000 ORDER BY nr DESC")
    admin.execute(
        "INSERT INTO medien (nr, art, kennung, ordner, ueberschrift) SELECT seq, 'foto', UNHEX(SHA2(seq, 256)),"
        " CONCAT('alt/', seq), CONCAT('Alt ', seq) FROM seq_1_to_500"
    )
    lines = {(line["table"], line["column"]): line for line in propose(theirs, ours)["lines"]}
    assert lines["asset", ""]["theirs"] == "medien" and lines["asset", "asset_hash"]["theirs"] == "kennung"


def test_a_second_run_keeps_the_lines_of_the_file_and_proposes_the_words(theirs, ours):
    tables = "".join(f"{ours} = {name}\n" for ours, name in foreign.NAMES.items())
    places = {(table, column): foreign.columns()[table, column] for table, column in foreign.WORDS}
    named = mapping.format_mapping(mapping.NameMapping({}, places))
    proposal = propose(theirs, ours, f"[side]\ntime_zone = {foreign.ZONE}\n[tables]\n{tables}{named}")
    lines = {(line["table"], line["column"]): (line["theirs"], line["sure"]) for line in proposal["lines"]}
    assert all(lines[ours, ""] == (name, True) for ours, name in foreign.NAMES.items())
    assert f"time_zone = {foreign.ZONE}" in proposal["mapping"]
    assert lines["asset.asset_type", "photo"] == ("foto", True)
    assert lines["ingest_batch.status", "completed"][0] == "fertig"
    assert lines["ingest_batch.action", "update"][0] == "ändern"
    assert any(
        line.startswith("import_job.state: their word 'storniert' has no counterpart") for line in proposal["open"]
    )


def test_one_batch_of_it_is_found_by_its_bytes(theirs, ours, admin, folder):
    [batch] = admin.execute(f"SELECT sync_id FROM {OURS}.ingest_batch WHERE item_count = 24")
    answer = command("events", theirs[0], ours, batch["sync_id"], "--left-mapping", theirs[1], "--json")
    counts = {table["table"]: table for table in json.loads(answer.stdout)["tables"]}["ingest_event"]
    assert counts["left_only"] == counts["right_only"] == 0 < counts["equal"] + counts["different"]
    writer, mount = BundleWriter(folder / "sync", folder, seed=9, pictures=2), Mount(config.load(ours).mount)
    sync_id = writer.bundle("planned", writer.assets("planned", 3, ("photo", "cover")))
    db = Database(config.load(ours).database)
    worker_helpers.queue(db, mount, sync_id)
    dry_run = preloaded_programs.run([IMPORT_WORKER, "--config", ours, "--dry-run", "--batch", sync_id])
    assert dry_run.returncode == 0
    (folder / "plan").write_text(dry_run.stdout)
    worker_helpers.drain(ours)
    db.close()
    foreign.build(admin, OURS, NAME)
    answer = command("plan", folder / "plan", theirs[0], "--right-mapping", theirs[1], "--json")
    tables = {table["table"]: table for table in json.loads(answer.stdout)["tables"]}
    assert {name: tables[name]["equal"] for name in ("asset", "ingest_batch", "ingest_batch_item")} == {
        "asset": 3,
        "ingest_batch": 1,
        "ingest_batch_item": 3,
    }
    assert all(table["left_only"] == table["right_only"] == table["different"] == 0 for table in tables.values())


def test_a_reader_that_has_read_enough_is_no_file_that_cannot_be_written(theirs, ours):
    program = [sys.executable, str(TREE / "bin" / "gpupanel"), "compare", "databases", str(ours), str(ours)]
    with subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as comparison:
        comparison.stdout.close()
        assert comparison.stderr.read() == b""
