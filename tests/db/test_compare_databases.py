"""compare databases: a simulated Perl side with other names, ids, times and JSON.

Each deliberate difference is found and named, and nothing else is.
"""

import dataclasses
import json

import installation
import preloaded_programs
import pytest
import simulated_perl_db
import worker_helpers
from constants import GPUPANEL
from gpupanel import config
from gpupanel.db import Database
from gpupanel.devtools.bundle_factory import BundleWriter, defects
from gpupanel.devtools.mariadb_server import MariaDBServer, THROWAWAY
from gpupanel.migration import database_diff, difference_kinds
from gpupanel.migration.compared_database import ComparedDatabase
from gpupanel.migration.findings import Findings
from gpupanel.migration.row_diff import ComparisonOptions
from gpupanel.mount import Mount
from gpupanel.db import schema

OURS, PERL = "compared_ours", "compared_perl"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("compared")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A separate server: the accounts get rights in both databases, which the tests of doctor would report."""
    with MariaDBServer(installation.prepared(tmp_path_factory.mktemp("compared-mariadb")), *THROWAWAY) as running:
        yield running


@pytest.fixture(scope="module")
def admin(server):
    db = Database(server.admin())
    yield db
    db.close()


def configure(server, path, name, assets_dir="/nowhere"):
    settings = server.admin(name)
    path.write_text(
        f"[database]\nunix_socket = {settings.unix_socket}\nuser = {settings.user}\nname = {name}\n"
        f"[mount]\nsync_dir = {assets_dir}/sync\n"
    )
    return path


@pytest.fixture(scope="module")
def ours(server, admin, folder):
    """Our side's configuration, after an import of bundles of every action."""
    settings = dataclasses.replace(server.admin(OURS))
    schema.apply(settings)
    conf = configure(server, folder / "ours.conf", OURS, folder)
    db = Database(settings)
    bring(db, conf, folder)
    db.close()
    return conf


def bring(db, conf, folder):
    writer, mount = BundleWriter(folder / "sync", folder, seed=1, pictures=2), Mount(config.load(conf).mount)
    many = list(writer.assets("many", 24, ("photo", "cover")))
    photos = many[::2]
    hung = [writer.container(kind, kind, photos[:6], cover=many[1]) for kind in ("gallery", "collection")]
    bundles = [
        ("many", many, {"containers": hung, "sync_type": "gallery"}),
        ("again", [photo._replace(title="New", revision=2) for photo in photos[6:9]], {"action": "update"}),
        ("gone", photos[9:10], {"action": "remove"}),
        ("bad", writer.assets("bad", 3, broken={1: defects.broken_document}), {}),
    ]
    for name, items, facts in bundles:
        worker_helpers.queue(db, mount, writer.bundle(name, items, **facts))
        worker_helpers.drain(conf)
    writer.bundle("waiting", writer.assets("waiting", 1), status="processing")
    worker_helpers.services.scan_mount(db, mount, "operator")


@pytest.fixture
def perl(server, admin, ours, folder):
    """The simulated Perl side, made anew: (configuration, mapping file)."""
    simulated_perl_db.build(admin, OURS, PERL)
    mapping = folder / "perl.mapping"
    mapping.write_text(simulated_perl_db.mapping())
    return configure(server, folder / "perl.conf", PERL), mapping


TOLERANT = ComparisonOptions(tolerance=60)


def differences(perl, ours, strictness=TOLERANT, accepted=()):
    """Return the differences between the two sides."""
    findings = Findings(accepted)
    with ComparedDatabase(perl[0], perl[1]).opened() as left, ComparedDatabase(ours).opened() as right:
        database_diff.compare_databases(left, right, strictness, findings)
    return findings


def found(findings):
    """Return (kind, place) -> number of differences."""
    return {(group.kind, group.place): group.count for group in findings.groups}


# ------------------------------------------------------------------------------------------------------- equal


def test_equal_databases_are_silent_whatever_their_names_ids_time_zones_and_json_spacing(perl, ours):
    findings = differences(perl, ours)
    assert found(findings) == {}
    assert len(findings.tallies) == 13
    assert all(tally.equal == tally.rows > 0 for tally in findings.tallies)


def test_strictly_the_spacing_of_each_json_column_is_told_and_nothing_else(perl, ours):
    groups = differences(perl, ours, ComparisonOptions(by_bytes=True)).groups
    assert {group.kind for group in groups} == {"json_spacing"}
    assert {(group.table, group.column) for group in groups} == {
        ("ingest_batch", "plan"), ("ingest_event", "payload"), ("asset_source", "document"),
        ("asset_ai_run", "document"),
    }


def test_without_its_time_zone_the_mapping_leaves_every_time_five_hours_off(perl, ours):
    perl[1].write_text(perl[1].read_text().replace(f"time_zone = {simulated_perl_db.ZONE}", "time_zone = UTC"))
    kinds = {(group.kind, group.column) for group in differences(perl, ours).groups}
    assert {kind for kind, _ in kinds} == {"time"}
    assert {"created_at", "queued_at", "discovered_at"} <= {column for _, column in kinds}


# ---------------------------------------------------------------------------------------- each kind of difference

# The bundles and assets that the seeds are about: the batch by the order of its scan, the asset by its place in `many`.
BATCH = "(SELECT MIN(batch_no) + {n} FROM {db}.import_batches)"
ASSET = (
    "(SELECT asset_id FROM {db}.import_batch_items"
    " WHERE batch_no = (SELECT MIN(batch_no) FROM {db}.import_batches) AND position = {n})"
)


def sql(text):
    """Replace `batch(0)` and `photo(4)` by subqueries."""
    for n in range(30):
        text = text.replace(f"asset({n})", ASSET.format(n=n, db=PERL)).replace(
            f"batch({n})", BATCH.format(n=n, db=PERL)
        )
    return text


SEEDS = [
    # the ledger's batches
    (
        "another status", "UPDATE import_batches SET status = 'failed' WHERE batch_no = batch(3)",
        ("value", "ingest_batch.status"),
    ),
    (
        "a host in capitals", "UPDATE import_batches SET source_host = UPPER(source_host) WHERE batch_no = batch(0)",
        ("wording", "ingest_batch.source_host"),
    ),
    (
        "another size", "UPDATE import_batches SET size_bytes = 1 WHERE batch_no = batch(0)",
        ("value", "ingest_batch.total_bytes"),
    ),
    (
        "an error that we do not have", "UPDATE import_batches SET last_error = 'odd' WHERE batch_no = batch(0)",
        ("presence", "ingest_batch.last_error"),
    ),
    (
        "no time of completion", "UPDATE import_batches SET completed_at = NULL WHERE batch_no = batch(1)",
        ("presence", "ingest_batch.completed_at"),
    ),
    (
        "another digest", "UPDATE import_batches SET manifest_sha256 = SHA2('x', 256) WHERE batch_no = batch(1)",
        ("value", "ingest_batch.manifest_sha256"),
    ),
    (
        "another fact in the summary",
        "UPDATE import_batches SET manifest_summary ="
        " REGEXP_REPLACE(manifest_summary, 'total_files\": [0-9]+', 'total_files\": 7') WHERE batch_no = batch(0)",
        ("json_value", "ingest_batch.manifest_summary: verification.total_files"),
    ),
    (
        "a count as a string",
        "UPDATE import_batches SET plan = REPLACE(plan, '\"will_fail\": 0', '\"will_fail\": \"0\"')"
        " WHERE batch_no = batch(0)",
        ("json_type", "ingest_batch.plan: will_fail"),
    ),
    (
        "a count that is not written",
        "UPDATE import_batches SET plan = JSON_REMOVE(plan, '$.will_skip') WHERE batch_no = batch(1)",
        ("json_key", "ingest_batch.plan: will_skip"),
    ),
    (
        "a bundle that was never scanned",
        "DELETE FROM import_log WHERE batch_no = batch(4); DELETE FROM import_batches WHERE batch_no = batch(4)",
        ("right_only", "ingest_batch"),
    ),
    (
        "a bundle that only Perl knows",
        "INSERT INTO import_batches (bundle_uuid, status) VALUES ('00000000-0000-4000-8000-00000000000a', 'failed')",
        ("left_only", "ingest_batch"),
    ),
    # jobs
    (
        "another state", "UPDATE import_jobs SET state = 'failed' WHERE batch_no = batch(3)",
        ("value", "import_job.state"),
    ),
    ("no worker", "UPDATE import_jobs SET worker = NULL WHERE batch_no = batch(0)", ("presence", "import_job.worker")),
    (
        "claimed after it was finished",
        "UPDATE import_jobs SET claimed_at = finished_at + INTERVAL 1 SECOND WHERE batch_no = batch(1)",
        ("time_order", "import_job"),
    ),
    (
        "another number of attempts", "UPDATE import_jobs SET attempts = 4 WHERE batch_no = batch(1)",
        ("value", "import_job.attempts"),
    ),
    (
        "a job that only Perl ran",
        "INSERT INTO import_jobs (batch_no, state, requested_by) VALUES (batch(3), 'canceled', 'admin')",
        ("left_only", "import_job"),
    ),
    # assets
    ("another title", "UPDATE media_assets SET caption = 'Other words' WHERE id = asset(0)", ("value", "asset.title")),
    (
        "an asset that was not imported",
        "; ".join(
            f"DELETE FROM {table} WHERE media_id = asset(2)"
            for table in ("media_sources", "media_ai_runs", "media_covers", "media_derivatives", "media_gallery_items")
        )
        + "; DELETE FROM media_assets WHERE id = asset(2)",
        ("right_only", "asset"),
    ),
    (
        "an asset that only Perl has",
        "INSERT INTO media_assets (asset_type, asset_digest, fingerprint, first_batch_id, last_batch_id)"
        " VALUES ('photo', REPEAT('0', 64), '', batch(0), batch(0))",
        ("left_only", "asset"),
    ),
    (
        "an asset taken out", "UPDATE media_assets SET deleted_at = NOW(6) + INTERVAL 5 HOUR WHERE id = asset(4)",
        ("removed", "asset.deleted_at"),
    ),
    (
        "an asset brought by another bundle", "UPDATE media_assets SET last_batch_id = batch(1) WHERE id = asset(6)",
        ("reference", "asset.last_batch_id"),
    ),
    (
        "a time two hours off", "UPDATE media_assets SET created_at = created_at - INTERVAL 2 HOUR WHERE id = asset(8)",
        ("time", "asset.created_at"),
    ),
    (
        "a subtype", "UPDATE media_assets SET asset_subtype = 'x' WHERE id = asset(8)",
        ("presence", "asset.asset_subtype"),
    ),
    # documents
    (
        "another word in a source",
        "UPDATE media_sources SET document = REGEXP_REPLACE(document, '^.', '{\"seeded\": 1, ')"
        " WHERE media_id = asset(0)",
        ("json_key", "asset_source.document: seeded"),
    ),
    (
        "a source that is no JSON any more",
        "UPDATE media_sources SET document = CONCAT(document, '}') WHERE media_id = asset(1)",
        ("value", "asset_source.document"),
    ),
    (
        "an analysis that is missing",
        "DELETE FROM media_ai_runs WHERE media_id = asset(4) AND analysis_kind = 'meaning'",
        ("right_only", "asset_ai_run"),
    ),
    (
        "an analysis of another kind",
        "INSERT INTO media_ai_runs (media_id, analysis_kind, source_file, digest)"
        " VALUES (asset(4), 'mood', 'photo.mood.json', '')",
        ("left_only", "asset_ai_run"),
    ),
    (
        "a source of nothing", "INSERT INTO media_sources (media_id, document, sha256) VALUES (999999, '{}', '')",
        ("orphan", "asset_source"),
    ),
    # covers and derivatives
    (
        "a cover link that is missing", "DELETE FROM media_covers WHERE media_id = asset(0)",
        ("right_only", "asset_cover"),
    ),
    (
        "a cover link taken out",
        "UPDATE media_covers SET deleted_at = NOW(6) + INTERVAL 5 HOUR WHERE media_id = asset(4)",
        ("removed", "asset_cover.deleted_at"),
    ),
    (
        "a derivative that we leave out",
        "INSERT INTO media_derivatives (media_id, kind, path) VALUES (asset(0), 'frosted', 'f.jpg')",
        ("left_only", "asset_derivative: frosted"),
    ),
    (
        "another type",
        "UPDATE media_derivatives SET content_type = 'image/png' WHERE media_id = asset(0) AND kind = 'thumb'",
        ("value", "asset_derivative.mime_type"),
    ),
    (
        "the same derivative twice",
        "ALTER TABLE media_derivatives DROP INDEX derivative; INSERT INTO media_derivatives (media_id, kind,"
        " path, bytes, sha256, content_type, width, height, created_at, updated_at) SELECT media_id, kind, path, bytes,"
        " sha256, content_type, width, height, created_at, updated_at FROM media_derivatives"
        " WHERE media_id = asset(4) LIMIT 1",
        ("twice", "asset_derivative"),
    ),
    # containers
    (
        "another title of a gallery", "UPDATE media_galleries SET title = 'Other words'",
        ("value", "asset_gallery.title"),
    ),
    (
        "a member that is missing", "DELETE FROM media_gallery_items WHERE media_id = asset(0)",
        ("right_only", "asset_gallery_item"),
    ),
    (
        "a member at another place", "UPDATE media_gallery_items SET sort_order = 40 WHERE media_id = asset(4)",
        ("value", "asset_gallery_item.position"),
    ),
    ("no memberships at all", "DROP TABLE media_collection_items", ("table_missing", "asset_collection_item")),
    # items
    (
        "another decision",
        "UPDATE import_batch_items SET verdict = 'linked' WHERE batch_no = batch(0) AND position = 0",
        ("value", "ingest_batch_item.decision"),
    ),
    (
        "another reason", "UPDATE import_batch_items SET reason = 'odd' WHERE batch_no = batch(0) AND position = 0",
        ("value", "ingest_batch_item.reason"),
    ),
    (
        "another change",
        "UPDATE import_batch_items SET changes = REPLACE(changes, 'New', 'Newer')"
        " WHERE batch_no = batch(1) AND position = 0",
        ("json_value", "ingest_batch_item.changes: title[]"),
    ),
    (
        "another target",
        "UPDATE import_batch_items SET asset_id = asset(1) WHERE batch_no = batch(0) AND position = 3",
        ("reference", "ingest_batch_item.asset_id"),
    ),
    (
        "an item that is missing", "DELETE FROM import_batch_items WHERE batch_no = batch(3) AND position = 0",
        ("right_only", "ingest_batch_item"),
    ),
    # events
    (
        "an event that is missing", "DELETE FROM import_log WHERE batch_no = batch(3) AND event_kind = 'job_claimed'",
        ("right_only", "ingest_event: job_claimed"),
    ),
    (
        "a number that was a string",
        "UPDATE import_log SET payload_json = REPLACE(payload_json, '\"24\"', '24')"
        " WHERE batch_no = batch(0) AND event_kind = 'job_queued'",
        ("json_type", "ingest_event.payload: items_total of job_queued"),
    ),
    (
        "a fact that is not written",
        "UPDATE import_log SET payload_json = JSON_LOOSE(JSON_REMOVE(payload_json, '$.ok'))"
        " WHERE batch_no = batch(0) AND event_kind = 'preflight_finished'",
        ("json_key", "ingest_event.payload: ok of preflight_finished"),
    ),
    (
        "another fact",
        "UPDATE import_log SET payload_json = REPLACE(payload_json, 'filesystem', 'mount')"
        " WHERE batch_no = batch(0) AND event_kind = 'scan'",
        ("json_value", "ingest_event.payload: source of scan"),
    ),
    (
        "two events the other way round",
        "UPDATE import_log SET id = -id WHERE batch_no = batch(2) AND event_kind = 'job_queued'",
        ("sequence", "ingest_event: job_queued"),
    ),
    # columns
    ("no column for who did it", "ALTER TABLE import_log DROP COLUMN actor", ("column_missing", "ingest_event.actor")),
    ("a column of its own", "ALTER TABLE media_assets ADD COLUMN mood INT", ("column_unknown", "asset.mood")),
]


def seed(admin, statements):
    admin.execute(f"USE {PERL}")
    for statement in sql(statements).split("; "):
        admin.execute(statement)


@pytest.fixture
def seeded(admin, perl):
    admin.execute(f"ALTER TABLE {PERL}.import_log MODIFY id BIGINT NOT NULL")
    for _, statements, _ in reversed(SEEDS):
        seed(admin, statements)
    perl[1].write_text(simulated_perl_db.mapping(absent="asset_collection_item"))
    return perl


def test_every_deliberate_difference_is_found_named_truly_and_nothing_else_is(seeded, ours):
    assert found(differences(seeded, ours)) == {expected: 1 for _, _, expected in SEEDS}


def test_each_difference_has_both_values_and_names_its_bundle(seeded, ours, admin):
    [many] = {row["sync_id"] for row in admin.execute(f"SELECT sync_id FROM {OURS}.ingest_batch WHERE item_count = 24")}
    samples = {(group.kind, group.place): group.samples[0] for group in differences(seeded, ours).groups}
    title = samples["value", "asset.title"]
    assert title.left == "Other words" and title.right not in ("", "Other words") and title.bundle == many
    string = samples["json_type", "ingest_event.payload: items_total of job_queued"]
    assert (string.left, string.right, string.bundle) == ("24", '"24"', many)
    assert samples["json_key", "ingest_event.payload: ok of preflight_finished"].left == "(no such key)"


def test_what_follows_from_a_missing_parent_is_counted_and_not_repeated(seeded, ours):
    implied = {tally.table: tally.implied for tally in differences(seeded, ours).tallies}
    assert implied["asset_source"] == 1 and implied["asset_ai_run"] >= 4 and implied["asset_derivative"] >= 4
    assert implied["asset_gallery_item"] == 1 and implied["ingest_event"] >= 1


# ------------------------------------------------------------------------------------------------- true causes


def told(findings):
    """Return (weight, kind, place, count) of each group."""
    return [(group.weight, group.kind, group.place, group.count) for group in findings.groups]


def test_a_missing_thumbnail_is_lost_content_and_a_frosted_file_is_left_out_on_purpose(perl, ours, admin):
    seed(
        admin,
        "DELETE FROM media_derivatives WHERE kind = 'thumb'; INSERT INTO media_derivatives (media_id, kind, path)"
        " VALUES (asset(0), 'frosted', 'f.jpg')",
    )
    findings = differences(perl, ours)
    assert [(weight, kind, place) for weight, kind, place, _ in told(findings)] == [
        ("lost", "right_only", "asset_derivative: thumb"), ("form", "left_only", "asset_derivative: frosted"),
    ]
    assert ["on purpose" in group.cause for group in findings.groups] == [False, True]


def test_digests_in_capitals_are_one_line_for_each_column_that_holds_them(perl, ours, admin):
    seed(admin, "UPDATE media_assets SET asset_digest = UPPER(asset_digest)")
    assert [(kind, place) for _, kind, place, _ in told(differences(perl, ours))] == [("hash_case", "asset.asset_hash")]


def test_a_changed_kind_and_a_new_version_of_a_document_are_told_as_such(perl, ours, admin):
    seed(
        admin,
        "UPDATE media_ai_runs SET analysis_kind = 'mood' WHERE media_id = asset(0) AND analysis_kind = 'meaning';"
        " UPDATE media_ai_runs SET digest = SHA2('x', 256), document = '{}' WHERE media_id = asset(2) AND"
        " analysis_kind = 'meaning'",
    )
    findings = differences(perl, ours)
    assert {(kind, place, count) for _, kind, place, count in told(findings)} == {
        ("value", "asset_ai_run.analysis_kind", 1), ("value", "asset_ai_run.content_sha256", 1),
    }
    [kind] = [group.samples[0] for group in findings.groups if group.column == "analysis_kind"]
    assert (kind.left, kind.right) == ("mood", "meaning") and kind.bundle


def test_an_older_additional_job_is_one_line_and_moves_no_other_job(perl, ours, admin):
    seed(
        admin, "UPDATE import_jobs SET id = id + 100000; UPDATE import_batch_items SET job_id = job_id + 100000;"
        " UPDATE import_log SET payload_json = REGEXP_REPLACE(payload_json, '(\"job_id\": \"?)', '\\\\19');"
        " INSERT INTO import_jobs (id, batch_no, state, requested_by) VALUES (1, batch(0), 'canceled', 'admin')",
    )
    findings = differences(perl, ours)
    assert told(findings) == [("record", "left_only", "import_job", 1)]
    assert "additional job" in findings.groups[0].cause


def test_twins_on_both_sides_are_compared_with_each_other(perl, ours, admin):
    seed(admin, "ALTER TABLE media_derivatives DROP INDEX derivative")
    twin = (
        "INSERT INTO media_derivatives (media_id, kind, path, bytes) SELECT media_id, kind, path, 1"
        " FROM media_derivatives WHERE media_id = asset(4) LIMIT 1"
    )
    seed(admin, twin)
    assert told(differences(perl, ours)) == [("content", "twice", "asset_derivative", 1)]


def test_lost_content_comes_first_then_wrong_content_history_and_cosmetics(seeded, ours):
    weights = [group.weight for group in differences(seeded, ours).groups]
    assert weights == sorted(weights, key=list(difference_kinds.WEIGHTS).index)
    assert set(weights) == set(difference_kinds.WEIGHTS)


# ------------------------------------------------------------------------------------------------- the command


def command(*args):
    return preloaded_programs.run([GPUPANEL, "compare", *args])


def test_equal_databases_exit_0_and_different_ones_1_as_text_json_and_html(perl, ours, admin, tmp_path):
    sides = (perl[0], ours, "--left-mapping", perl[1])
    equal = command("databases", *sides)
    assert (equal.returncode, equal.stderr) == (0, "") and equal.stdout.startswith("The two sides agree.")
    seed(admin, "UPDATE media_assets SET caption = '<b>Bold</b>' WHERE id = asset(0)")
    different = command("databases", *sides, "--json", "--html", tmp_path / "report.html", "--each", tmp_path / "each")
    report = json.loads(different.stdout)
    assert different.returncode == 1 and report["differences"] == 1
    [line] = (tmp_path / "each").read_text().splitlines()
    assert json.loads(line) == report["groups"][0]["samples"][0]
    html = (tmp_path / "report.html").read_text()
    assert "&lt;b&gt;Bold&lt;/b&gt;" in html and "<b>Bold" not in html
    assert not any(word in html for word in ("http://", "https://", "<script", "<link", "src="))


def test_accepted_differences_are_honoured_listed_and_told_when_they_are_not_met_any_more(perl, ours, admin, tmp_path):
    seed(admin, "UPDATE media_assets SET caption = 'Other words' WHERE id = asset(0)")
    decisions = tmp_path / "accepted"
    decisions.write_text(
        "[titles]\ntable = asset\ncolumn = title\nreason = Perl trims titles.\n"
        "[old]\nkind = twice\nreason = Was once so.\n"
    )
    answer = command("databases", perl[0], ours, "--left-mapping", perl[1], "--accept", decisions, "--json")
    report = json.loads(answer.stdout)
    assert answer.returncode == 0 and report["groups"] == []
    assert [(each["name"], each["met"]) for each in report["accepted"]] == [("titles", 1), ("old", 0)]


def test_accounts_that_may_only_read_suffice(perl, ours, server, admin, tmp_path):
    admin.execute("CREATE OR REPLACE USER looker@localhost IDENTIFIED BY 'see'")
    for name in (OURS, PERL):
        admin.execute(f"GRANT SELECT ON {name}.* TO looker@localhost")
    confs = []
    for name in (PERL, OURS):
        confs.append(tmp_path / name)
        confs[-1].write_text(
            f"[database]\nunix_socket = {server.socket}\nuser = looker\npassword = see\nname = {name}\n"
        )
    assert command("databases", *confs, "--left-mapping", perl[1]).returncode == 0


def test_a_mapping_that_does_not_fit_exits_2_with_every_problem(perl, ours, tmp_path):
    wrong = tmp_path / "wrong"
    wrong.write_text("[tables]\nasset = photos\n[ingest_batch]\nsync_id = uuid\nstatus = mood\n")
    answer = command("databases", ours, ours, "--left-mapping", wrong)
    assert answer.returncode == 2
    for problem in ("asset = photos", "sync_id = uuid", "status = mood"):
        assert problem in answer.stderr


# ----------------------------------------------------------------------------------------------- schemas, events


def test_compare_schemas_proposes_the_mapping_with_which_the_databases_are_equal(perl, ours, tmp_path):
    answer = command("schemas", perl[0], ours, "--json")
    proposed = json.loads(answer.stdout)
    assert answer.returncode == 1 and proposed["right"]["mapping"] == ""
    assert all(" is unsure: " in question for question in proposed["left"]["open"])
    (tmp_path / "proposed").write_text(proposed["left"]["mapping"])
    assert command("databases", perl[0], ours, "--left-mapping", tmp_path / "proposed").returncode == 0


def test_compare_events_shows_both_streams_side_by_side_and_tells_types_from_spacing(perl, ours, admin):
    [many] = admin.execute(f"SELECT sync_id FROM {OURS}.ingest_batch WHERE item_count = 24")
    seed(
        admin,
        "DELETE FROM import_log WHERE batch_no = batch(0) AND event_kind = 'job_claimed'; UPDATE import_log"
        " SET payload_json = REPLACE(payload_json, '\"24\"', '24')"
        " WHERE batch_no = batch(0) AND event_kind = 'job_queued'",
    )
    answer = command("events", perl[0], ours, many["sync_id"], "--left-mapping", perl[1], "--json")
    report = json.loads(answer.stdout)
    assert answer.returncode == 1
    kinds = {(group["kind"], group["path"]) for group in report["groups"]}
    assert {
        ("json_type", "items_total of job_queued"), ("right_only", "job_claimed"), ("json_spacing", "job_finished"),
    } <= kinds
    assert ("json_spacing", "scan") not in kinds
    assert [line[0] for line in report["lines"][1:]].count("only here") == 1


# ------------------------------------------------------------------------------------------------------- doctor


def doctor(conf, mapping):
    answer = preloaded_programs.run([GPUPANEL, "doctor", "--config", conf, "--mapping", mapping, "--json"])
    return answer.returncode, [(finding["level"], finding["check"]) for finding in json.loads(answer.stdout)]


def test_doctor_says_what_a_database_with_other_names_lacks(perl, admin):
    assert doctor(*perl) == (0, [("ok", "mapping")])
    seed(
        admin, "ALTER TABLE media_assets DROP COLUMN fingerprint; ALTER TABLE media_assets DROP COLUMN path;"
        " DROP TABLE media_collection_items",
    )
    perl[1].write_text(simulated_perl_db.mapping(absent="asset_collection_item"))
    assert doctor(*perl) == (1, [
        ("ok", "columns of asset that this system added"), ("wrong", "column asset.path"),
    ])
    perl[1].write_text(perl[1].read_text().replace("[asset]\n", "[asset]\nfingerprint = -\npath = -\n"))
    assert doctor(*perl) == (0, [("ok", "mapping")])
