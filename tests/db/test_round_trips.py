"""How often the worker asks the database, as the server counts it: what bounds small jobs and large bundles."""

from datetime import date

import worker_helpers
from gpupanel.db import bulk_insert
from gpupanel.models import BatchStatus, Decision
from gpupanel.worker import claims, preflights
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

ENDED = claims.ImportResult(BatchStatus.COMPLETED, {"created": 1}, {}, None)


def questions(db, scope: str) -> int:
    [row] = db.execute(f"SHOW {scope} STATUS LIKE 'Questions'")
    return int(row["Value"])


def counted(db, variable: str) -> int:
    [row] = db.execute(f"SHOW GLOBAL STATUS LIKE '{variable}'")
    return int(row["Value"])


def asked(db, work, *args) -> tuple[int, object]:
    """How many questions a transaction comes to, its COMMIT included, and what `work` returned."""
    before = questions(db, "SESSION")
    answer = db.run_transaction(work, *args)
    return questions(db, "SESSION") - before - len(("autocommit off", "autocommit on", "SHOW STATUS")), answer


def test_a_claim_and_an_end_take_four_statements_each(admin_db, worker_db):
    worker_helpers.enqueue(admin_db, 1)
    for_claim, claim = asked(worker_db, claims.claim, claims.ClaimRequest("a" * 32, worker_helpers.HOST))
    for_end, _ = asked(worker_db, claims.finish, claim, ENDED, claims.SAME_MANIFEST)
    assert for_claim == len(("SELECT job", "UPDATE job, batch", "INSERT event", "COMMIT"))
    assert for_end == len(("UPDATE job, batch", "INSERT event", "SELECT followers", "COMMIT"))


def test_a_chunk_asks_as_often_for_many_items_as_for_few(
    admin_db, panel_db, mount, bundles, worker_conf, monkeypatch
):
    monkeypatch.setattr(preflights, "LOOK_SECONDS", 3600)  # the worker looks for requests by the clock
    patient = worker_helpers.with_options(worker_conf, heartbeat_seconds=60, chunk_items=50)
    worker_helpers.drain(patient)  # the first worker of a host adds its slot, and later ones take it
    asked = {}
    for count in (1, 4, 50):  # the first worker makes its slot
        assets = bundles.assets(f"{count}", count, documents=("photo.analysis.json",))
        worker_helpers.queue(panel_db, mount, bundles.bundle(f"{count}", assets))
        before = questions(admin_db, "GLOBAL")
        assert f"completed, {count} of {count} items in" in worker_helpers.drain(patient)
        asked[count] = questions(admin_db, "GLOBAL") - before
    # A heartbeat may write a claim too, and a connection that was idle is tested: a few, and not one for each item.
    assert abs(asked[4] - asked[50]) <= 5
    [ledger] = admin_db.execute("SELECT COUNT(*) AS items, MAX(id) - MIN(id) + 1 AS ids FROM ingest_batch_item")
    assert ledger["items"] == ledger["ids"], "settled items are found by their ids, not by an insert in vain"


OF_A_JOB = (
    "SELECT job", "UPDATE job, batch", "SELECT planned items", "INSERT event", "COMMIT",
    "SELECT assets", "SELECT removals", "INSERT assets", "SELECT removals since then", "INSERT sources",
    "INSERT analyses", "INSERT derivatives", "INSERT covers", "UPDATE job, batch", "INSERT items", "INSERT results",
    "INSERT event", "SELECT followers", "COMMIT",
)


def test_a_job_of_one_chunk_takes_19_statements_and_two_commits(
    admin_db, panel_db, mount, bundles, worker_conf, monkeypatch
):
    monkeypatch.setattr(preflights, "LOOK_SECONDS", 3600)  # the worker looks for requests by the clock
    patient = worker_helpers.with_options(worker_conf, heartbeat_seconds=60)
    worker_helpers.drain(patient)  # the first worker of a host adds its slot, and later ones take it
    asked, commits = {}, {}
    for jobs in (1, 11):
        for number in range(jobs):
            name = f"{number} of {jobs}"
            assets = [
                asset._replace(cover_hash=asset.asset_hash)
                for asset in bundles.assets(name, 4, documents=("photo.analysis.json",))
            ]
            worker_helpers.queue(panel_db, mount, bundles.bundle(name, assets))
        before = questions(admin_db, "GLOBAL"), counted(admin_db, "Com_commit")
        worker_helpers.drain(patient)
        asked[jobs] = questions(admin_db, "GLOBAL") - before[0]
        commits[jobs] = counted(admin_db, "Com_commit") - before[1]
    # The heartbeat at the start of a worker may write its claim too.
    assert round((asked[11] - asked[1]) / 10) == len(OF_A_JOB) == 19
    assert round((commits[11] - commits[1]) / 10) == OF_A_JOB.count("COMMIT") == 2


# ------------------------------------------------------------------------------------------------ what is asked

SPECIAL = st.sampled_from("'\"\\%\0\n\r\x1a\u00a5\u20a9\U0001f600")
TEXTS = st.text(st.one_of(SPECIAL, st.characters(exclude_categories=["Cs"])), max_size=40)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.one_of(TEXTS, st.none(), st.integers(-2**63, 2**63 - 1)), min_size=1, max_size=8))
def test_whatever_is_written_as_a_literal_of_ours_comes_back_as_it_was(worker_db, values):
    with worker_db.reading() as tx:
        written = bulk_insert.literal_writers(tx._connection)
        cursor = tx._connection.cursor()
        cursor.execute(f"SELECT {', '.join(written[type(value)](value) for value in values)}")
        assert list(cursor.fetchone()) == values


VALUES = st.one_of(
    TEXTS, st.none(), st.integers(-2**63, 2**63 - 1), st.sampled_from(Decision), st.booleans(), st.floats(0, 1e6),
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(1, 4).flatmap(lambda width: st.lists(st.tuples(*[VALUES] * width), min_size=1, max_size=6)))
def test_whatever_is_written_as_rows_of_an_insert_comes_back_as_it_was(worker_db, rows):
    with worker_db.reading() as tx:
        template = f"SELECT 'a', {', '.join(['%s'] * len(rows[0]))}, 'b' AS last"
        cursor = tx._connection.cursor()
        texts = bulk_insert.RowWriter(tx._connection, template).write(iter(rows))
        assert len(texts) == len(rows)
        for text, row in zip(texts, rows, strict=True):
            cursor.execute(text)
            assert list(cursor.fetchone()) == ["a", *row, "b"]


def test_a_value_of_another_type_is_written_by_the_driver_whatever_its_column_has_beside_it(worker_db):
    with worker_db.reading() as tx:
        writer = bulk_insert.RowWriter(tx._connection, "(%s,%s,%s)")
        texts = writer.write([("it's", None, 1), ("a\\b", date(2026, 1, 31), True)])
    assert texts == ["('it\\'s',NULL,1)", "('a\\\\b','2026-01-31',1)"]


def test_a_session_in_which_a_backslash_is_no_escape_gets_literals_that_it_understands(worker_db):
    with worker_db.reading() as tx:
        cursor = tx._connection.cursor()
        cursor.execute("SET SESSION sql_mode = 'NO_BACKSLASH_ESCAPES'")
        cursor.execute(f"SELECT {bulk_insert.literal_writers(tx._connection)[str](text := chr(92) + chr(39) + ' --')}")
        assert cursor.fetchone() == (text,)
    worker_db.close()


def test_rows_are_packed_up_to_a_size_and_a_larger_one_comes_alone():
    assert list(bulk_insert.join_up_to(["aa", "bb", "cccccccc", "d"], 5)) == ["aa,bb", "cccccccc", "d"]
    assert list(bulk_insert.join_up_to([], 5)) == []
