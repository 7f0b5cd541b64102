"""compare: a Perl side with accented names and habits of its own is read as ours, and its mapping is proposed."""
# ruff: noqa: F401, F811 - fixtures are imported

import json

import pytest
import simulated_accented_db as accented
from gpupanel.migration import table_specs
from test_compare_databases import (
    OURS, TOLERANT, admin, command, configure, differences, folder, found, ours, server,
)

NAME = "compared_accented"
# What this side lacks; digests in capital letters.
FORM = {"column_missing", "table_missing", "hash_case"}


@pytest.fixture
def theirs(server, admin, ours, folder):
    """The side with accented names, made anew: (configuration, mapping file)."""
    accented.build(admin, OURS, NAME)
    (folder / "accented.mapping").write_text(accented.mapping(), encoding="utf-8")
    return configure(server, folder / "accented.conf", NAME), folder / "accented.mapping"


def contents(findings):
    return {place: count for place, count in found(findings).items() if place[0] not in FORM}


def test_accented_names_numbers_as_text_and_events_without_a_number_are_read_as_ours(theirs, ours):
    findings = differences(theirs, ours, TOLERANT)
    assert contents(findings) == {}
    numbers = {place for name, place in findings.tolerated if name.startswith("numbers stored as text")}
    assert numbers == {"ingest_batch.total_bytes", "ingest_batch.container_count", "asset.height",
                       "asset_derivative.bytes"}
    assert {tally.table for tally in findings.tallies} == set(table_specs.BY_NAME) - set(accented.ABSENT)
    assert {tally.table: tally.equal for tally in findings.tallies if tally.table == "ingest_event"}["ingest_event"] > 9


PHOTO = "(SELECT `m\u00eddia` FROM item_lote WHERE lote = 1007 AND ordem = {})"
SEEDS = [
    ("UPDATE `m\u00eddia` SET altura = '007' WHERE cod = " + PHOTO.format(0), ("value", "asset.height")),
    ("UPDATE `m\u00eddia` SET altura = CONCAT(altura, ' ') WHERE cod = " + PHOTO.format(1),
     ("wording", "asset.height")),
    ("UPDATE `m\u00eddia` SET `dura\u00e7\u00e3o` = '12,5' WHERE cod = " + PHOTO.format(2),
     ("presence", "asset.duration_seconds")),
    ("UPDATE `m\u00eddia` SET hash = REPEAT('AB', 32) WHERE cod = " + PHOTO.format(4), ("value", "asset.asset_hash")),
    ("UPDATE lote SET tamanho = tamanho + 1 WHERE cod = 1007", ("value", "ingest_batch.total_bytes")),
    ("UPDATE lote SET `a\u00e7\u00e3o` = 'remover' WHERE cod = 1014", ("value", "ingest_batch.action")),
    ("UPDATE lote SET fim = fim - 7200000 WHERE cod = 1014", ("time", "ingest_batch.completed_at")),
    ("UPDATE tarefa SET estado = 'E' WHERE lote = 1014", ("value", "import_job.state")),
    ("UPDATE derivado_outro SET largura = largura + 1 LIMIT 1", ("value", "asset_derivative.width")),
    ("UPDATE evento SET quando = quando - 86400000 WHERE lote = 1014 AND tipo = 'job_finished'",
     ("sequence", "ingest_event: job_finished")),
]


def test_each_deliberate_difference_is_named_once(theirs, ours, admin):
    for statement, _ in SEEDS:
        admin.execute(statement)
    told = contents(differences(theirs, ours, TOLERANT))
    also = {("time", "ingest_event.created_at: job_finished"): 1}  # of the event whose time moved it
    assert told == {expected: 1 for _, expected in SEEDS} | also


def propose(theirs, ours, text):
    given = theirs[0].parent / "given-accented.mapping"
    given.write_text(text, encoding="utf-8")
    answer = command("schemas", theirs[0], ours, "--left-mapping", given, "--json")
    assert answer.returncode == 1, answer.stderr
    return json.loads(answer.stdout)["left"]


@pytest.mark.parametrize("text", ["", accented.tables_of_mapping()], ids=["nothing", "tables"])
def test_no_wrong_line_is_sure_and_the_proposal_can_be_read_again(theirs, ours, text):
    proposal = propose(theirs, ours, text)
    true = accented.names()
    columns = [line for line in proposal["lines"] if "." not in line["table"]]
    wrong = [line for line in columns if line["theirs"] != true.get((line["table"], line["column"]), "-")]
    assert [line for line in wrong if line["sure"]] == []
    assert propose(theirs, ours, proposal["mapping"])["lines"]


def test_values_find_the_columns_whatever_their_names_and_the_rest_is_listed(theirs, ours):
    proposal = propose(theirs, ours, accented.tables_of_mapping())
    proposed = {(line["table"], line["column"]): line for line in proposal["lines"]}
    true = accented.names()
    for place in (
        ("ingest_batch", "sync_id"), ("ingest_batch", "total_bytes"),
        ("ingest_batch", "manifest_sha256"), ("asset", "asset_type"), ("asset", "title"), ("asset_source", "asset_id"),
        ("asset_ai_run", "analysis_kind"), ("asset_ai_run", "content_sha256"), ("asset_derivative", "path"),
        ("asset_derivative", "width"), ("asset_derivative", "height"), ("ingest_batch_item", "asset_id"),
    ):
        assert proposed[place]["theirs"] == true[place], proposed[place]
    assert any(text.startswith("import_job: no line names these columns of tarefa: ") and "enfileirada" in text
               for text in proposal["open"])


def test_a_view_over_two_tables_is_proposed_rather_than_one_of_them(theirs, ours):
    proposed = {(line["table"], line["column"]): line for line in propose(theirs, ours, "")["lines"]}
    line = proposed["asset_derivative", ""]
    assert (line["theirs"], line["sure"]) == (accented.VIEW, False)
    assert "derivado_imagem is like it, and has fewer rows" in line["evidence"]
