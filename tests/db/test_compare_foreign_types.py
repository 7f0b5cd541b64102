"""compare: values of other types are compared by value; a side that cannot be read is one line and status 3."""
# ruff: noqa: F401, F811 - fixtures are imported

import json

import pytest
import simulated_perl_db
from gpupanel.migration.compared_database import ComparedDatabase, UnreadableSideError
from gpupanel.migration.findings import Findings
from gpupanel.migration import database_diff
from test_compare_databases import (
    OURS, PERL, TOLERANT, admin, command, differences, folder, found, ours, perl, seed, server,
)

EXACT = TOLERANT.__class__(tolerance=0)


def tolerated(findings):
    """Return name -> places of what was converted."""
    return {(name, place) for name, place in findings.tolerated if " stored as " in name or "no times" in name}


def loose(admin):
    """Allow zero dates in the session of the administrator."""
    admin.execute("SET SESSION sql_mode = ''")


@pytest.mark.parametrize(("statements", "what", "place"), [
    ("ALTER TABLE media_assets MODIFY created_at VARCHAR(40)", "times stored as text", "asset.created_at"),
    (
        "ALTER TABLE import_jobs ADD epoch DECIMAL(20, 6); SET time_zone = '+05:00'; UPDATE import_jobs SET epoch ="
        " UNIX_TIMESTAMP(queued_on); SET time_zone = '+00:00'; ALTER TABLE import_jobs DROP queued_on; ALTER TABLE"
        " import_jobs RENAME COLUMN epoch TO queued_on", "times stored as numbers", "import_job.queued_at",
    ),
    (
        "ALTER TABLE media_assets MODIFY asset_digest VARBINARY(64); UPDATE media_assets SET asset_digest ="
        " UNHEX(asset_digest); ALTER TABLE media_assets MODIFY asset_digest BINARY(32)",
        "digests stored as bytes", "asset.asset_hash",
    ),
    (
        "ALTER TABLE import_batches MODIFY bundle_uuid VARBINARY(36); UPDATE import_batches SET bundle_uuid ="
        " UNHEX(REPLACE(bundle_uuid, '-', '')); ALTER TABLE import_batches MODIFY bundle_uuid BINARY(16)",
        "digests stored as bytes", "ingest_batch.sync_id",
    ),
    ("ALTER TABLE import_log MODIFY payload_json LONGBLOB", "texts stored as bytes", "ingest_event.payload"),
    ("ALTER TABLE media_assets MODIFY caption VARBINARY(255)", "texts stored as bytes", "asset.title"),
])
def test_values_of_another_type_are_equal_and_named(perl, ours, admin, statements, what, place):
    seed(admin, statements)
    findings = differences(perl, ours, EXACT)
    assert found(findings) == {}
    assert (f"{what} on the database", place) in tolerated(findings)


def test_a_zero_date_is_told_and_two_equal_ones_are_no_difference(perl, ours, admin):
    loose(admin)
    seed(admin, "UPDATE media_assets SET created_at = '0000-00-00 00:00:00' WHERE id = asset(0)")
    findings = differences(perl, ours)
    assert found(findings) == {("no_time", "asset.created_at"): 1}
    assert findings.groups[0].samples[0].left.startswith("0000-00-00 00:00:00")
    answer = command("databases", perl[0], perl[0], "--left-mapping", perl[1], "--right-mapping", perl[1])
    assert answer.returncode == 0 and "values that are no times" in answer.stdout


def test_zeros_for_no_time_and_empty_texts_are_differences_of_form_and_remove_nothing(perl, ours, admin):
    seed(
        admin,
        "ALTER TABLE media_galleries DROP COLUMN deleted_at; ALTER TABLE media_galleries ADD deleted_at BIGINT NOT NULL"
        " DEFAULT 0; UPDATE import_jobs SET last_error = '' WHERE last_error IS NULL",
    )
    findings = differences(perl, ours)
    assert {group.kind for group in findings.groups} == {"zero_time", "empty"}
    assert {group.weight for group in findings.groups} == {"form"}
    assert {(sample.left, sample.right) for group in findings.groups for sample in group.samples} == {
        ("0", "NULL"), ('""', "NULL"),
    }


def test_numbers_for_words_and_bytes_that_are_no_characters_are_differences(perl, ours, admin):
    seed(
        admin, "ALTER TABLE import_batches MODIFY status VARCHAR(40); UPDATE import_batches SET status = 3;"
        " ALTER TABLE import_batches MODIFY status TINYINT; ALTER TABLE media_assets MODIFY caption VARBINARY(255);"
        " UPDATE media_assets SET caption = UNHEX('ff00fe') WHERE id = asset(0); ALTER TABLE media_assets MODIFY"
        " asset_type VARCHAR(10); UPDATE media_assets SET asset_type = 1 WHERE asset_type = 'cover'; ALTER TABLE"
        " media_assets MODIFY asset_type VARCHAR(10)",
    )
    answer = command(
        "databases", perl[0], ours, "--left-mapping", perl[1], "--json", "--html", folder_of(perl) / "types.html",
        "--each", folder_of(perl) / "types.each",
    )
    kinds = {(group["kind"], group["table"], group["column"]) for group in json.loads(answer.stdout)["groups"]}
    assert answer.returncode == 1 and answer.stderr == ""
    assert {
        ("value", "ingest_batch", "status"), ("value", "asset", "title"), ("value", "asset", "asset_type"),
    } <= kinds


def folder_of(perl):
    return perl[0].parent


def test_a_connection_that_ends_is_one_line_with_side_and_table(perl, ours, admin):
    left, right = ComparedDatabase(perl[0], perl[1], side="left"), ComparedDatabase(ours, side="right")
    with left.opened(), right.opened():
        threads = admin.execute("SELECT ID id FROM information_schema.PROCESSLIST WHERE DB = %(db)s", db=PERL)
        for thread in threads:
            if thread["id"] != admin.execute("SELECT CONNECTION_ID() id")[0]["id"]:
                admin.execute(f"KILL {thread['id']}")
        with pytest.raises(UnreadableSideError, match=r"the left side .*table import_batches: .*connection"):
            database_diff.compare_databases(left, right, TOLERANT, Findings())


@pytest.mark.parametrize("what", ["databases", "schemas", "events"])
@pytest.mark.parametrize(("change", "says"), [
    ("unix_socket = /nowhere/mysqld.sock", "the left side"), ("name = no_such_database", "no_such_database"),
    ("user = nobody_at_all", "the left side"), ("name = information_schema", "the left side"),
])
def test_a_side_that_cannot_be_read_exits_3_with_one_line(perl, ours, tmp_path, what, change, says):
    option = change.partition(" ")[0]
    lines = [change if line.startswith(f"{option} =") else line for line in ours.read_text().splitlines()]
    (tmp_path / "away.conf").write_text("\n".join(lines))
    sync_id = ["37e428d2-a4f6-4a31-bacf-0c835fb24084"] if what == "events" else []
    answer = command(what, tmp_path / "away.conf", ours, *sync_id)
    if what == "schemas" and "information_schema" in change:
        assert answer.returncode == 1 and "Traceback" not in answer.stderr
        return
    assert answer.returncode == 3 and answer.stdout == ""
    first = answer.stderr.splitlines()[0]
    assert first.startswith("gpupanel: the left side") and says in first and "Traceback" not in answer.stderr


def test_what_nobody_can_read_or_write_is_usage(perl, ours, tmp_path):
    assert command("databases", tmp_path / "none.conf", ours).returncode == 2
    refused = command("databases", ours, ours, "--html", "/nowhere/report.html")
    assert refused.returncode == 2
    assert "/nowhere/report.html cannot be opened: No such file or directory." in refused.stderr
    for text, problem in (
        ("", "found an empty file"), ("no plan", "line 1: found no line of a plan"),
        ('{"plan": 1}\n[]', "line 2: found no line of a plan"), ("\udcff", "found bytes that are no UTF-8"),
    ):
        (tmp_path / "plan").write_text(text, errors="surrogateescape")
        refused = command("plan", tmp_path / "plan", ours)
        assert refused.returncode == 2 and problem in refused.stderr, refused.stderr
    refused = command("plan", tmp_path / "none", ours)
    assert refused.returncode == 2 and "Errno" not in refused.stderr
    assert f"{tmp_path}/none cannot be read" in refused.stderr
    assert command("events", ours, ours, "37e428d2-a4f6-4a31-bacf-0c835fb24084").returncode == 2
    assert command("pages", tmp_path / "none.html", tmp_path / "none.html").returncode == 3
    assert simulated_perl_db.mapping() in perl[1].read_text()
