"""compare schemas: each proposed line has its evidence, and no wrong one is sure."""
# ruff: noqa: F401, F811 - fixtures are imported

import json

import pytest
import simulated_perl_db
from gpupanel.migration import table_specs
from test_compare_databases import (
    OURS, PERL, admin, command, folder, ours, perl, seed, server,
)

# Other names for columns of the simulated side, of every likeness.
RENAMED = {
    "media_assets": {
        "asset_type": "media_kind",
        "mime_type": "content_type",
        "bytes": "size_bytes",
        "created_at": "added_on",
        "width": "px_width",
        "height": "px_height",
        "deleted_at": "removed_on",
        "last_batch_id": "last_batch",
    },
    "import_batches": {
        "manifest_sha256": "manifest_digest",
        "source_host": "hostname",
        "item_count": "items_count",
        "status": "state",
        "discovered_at": "seen_on",
        "last_error": "error_text",
        "plan": "planned_json",
    },
    "import_jobs": {"requested_by": "who", "attempts": "tries", "finished_at": "finished_on", "last_error": "message"},
    "import_batch_items": {"asset_hash": "asset_digest", "reason": "why", "position": "sort_order"},
    "media_sources": {"document": "json_text", "sha256": "checksum"},
    "media_derivatives": {"path": "file_path", "sha256": "digest"},
}
# Tables that Perl has for its own, with columns like ours.
OTHERS = (
    "CREATE TABLE asset_audit"
    " (id INT PRIMARY KEY, asset_id INT, action VARCHAR(9), created_at DATETIME, who VARCHAR(9))",
    "CREATE TABLE sessions (id INT PRIMARY KEY, worker VARCHAR(9), last_seen DATETIME, state VARCHAR(9))",
)


@pytest.fixture
def renamed(perl, admin):
    """The simulated side with more other names, without a table of cover links; returns (configuration, true names)."""
    true = {(table, ""): theirs for table, theirs in simulated_perl_db.TABLES.items() if table != "asset_cover"}
    seed(admin, "DROP TABLE media_covers")
    for statement in OTHERS:
        admin.execute(statement)
    of_theirs = {theirs: table for table, theirs in simulated_perl_db.TABLES.items()}
    for table, (_, columns) in simulated_perl_db.NAMES.items():
        true |= {(table, column): theirs for column, theirs in columns.items() if table != "asset_cover"}
    for theirs, columns in RENAMED.items():
        for column, name in columns.items():
            actual = true.get((of_theirs[theirs], column), column)
            admin.execute(f"ALTER TABLE {theirs} RENAME COLUMN `{actual}` TO `{name}`")
            true[of_theirs[theirs], column] = name
    admin.execute("ALTER TABLE import_jobs ADD COLUMN last_seen DATETIME NULL")
    return perl[0], true


def test_the_right_names_are_proposed_with_their_evidence_and_no_wrong_one_is_sure(renamed, ours):
    conf, true = renamed
    lines = json.loads(command("schemas", conf, ours, "--json").stdout)["left"]["lines"]
    proposed = {(line["table"], line["column"]): line for line in lines}
    wrong = {place: line for place, line in proposed.items() if line["theirs"] != true.get(place, "-")}
    assert [place for place, line in wrong.items() if line["sure"]] == []
    right = [place for place in true if place in proposed and proposed[place]["theirs"] == true[place]]
    assert len(right) >= len(true) * 80 / 84, {place: proposed.get(place) for place in set(true) - set(right)}
    assert all(line["evidence"] for line in lines)
    assert proposed["asset_cover", ""]["theirs"] == "-"
    assert not {"asset_audit", "sessions", "last_seen"} & {line["theirs"] for line in lines}


def test_the_file_marks_what_is_unsure_and_can_be_used_as_it_is(renamed, ours, tmp_path):
    answer = command("schemas", renamed[0], ours)
    assert answer.returncode == 1 and "% alike" in answer.stdout and "values equal" in answer.stdout
    text = json.loads(command("schemas", renamed[0], ours, "--json").stdout)["left"]["mapping"]
    (tmp_path / "proposed").write_text(f"[side]\ntime_zone = {simulated_perl_db.ZONE}\n{text}")
    report = json.loads(
        command("databases", renamed[0], ours, "--left-mapping", tmp_path / "proposed", "--json").stdout
    )
    assert {table["table"] for table in report["tables"]} == set(table_specs.BY_NAME) - {"asset_cover"}
