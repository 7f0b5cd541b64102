"""A row that the database refuses fails its item alone; an error of the server as a whole is never an item's."""

import pytest
import worker_helpers

PACKET = 4 * 1024 * 1024
# An error as a value of one item causes it: the title tells which item.
TRIGGER = """CREATE TRIGGER refuse BEFORE INSERT ON {table} FOR EACH ROW
BEGIN
  IF {condition} THEN SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO = {code}, MESSAGE_TEXT = 'injected'; END IF;
END"""


@pytest.fixture
def refuse(admin_db):
    """`refuse(code, table, condition)`: rows of a table raise an error of the server."""
    def refuse(code: int, table: str = "asset", condition: str = "NEW.title = 'refused'") -> None:
        admin_db.execute(TRIGGER.format(table=table, condition=condition, code=code))

    yield refuse
    admin_db.execute("DROP TRIGGER IF EXISTS refuse")


@pytest.fixture
def photos(bundles):
    """Six photos, of which the third has the title `refused`."""
    each = list(bundles.assets("coast", 6, derivatives=("icon",)))
    each[2] = each[2]._replace(title="refused")
    return each


@pytest.mark.parametrize("code", [1264, 1366, 1406, 1644, 1690, 3819, 4025])
def test_a_refused_row_fails_its_item_and_its_siblings_and_containers_go_on(
    admin_db, panel_db, bundles, mount, bring, refuse, photos, code
):
    refuse(code)
    sync_id = bundles.bundle("coast", photos, [bundles.container("gallery", "Coast", photos[:2])])
    bring(sync_id)
    assert worker_helpers.counts(panel_db, sync_id) == {"created": 5, "failed": 1}
    failed = worker_helpers.items(panel_db, sync_id)[2]
    assert failed["last_error"].startswith("the database refused it: ") and "injected" in failed["last_error"]
    [result] = admin_db.execute("SELECT * FROM ingest_result WHERE decision = 'failed'")
    assert (result["hash"], result["last_error"]) == (photos[2].asset_hash, failed["last_error"])
    assert worker_helpers.batch(panel_db, sync_id)["status"] == "partial"
    assert admin_db.execute("SELECT COUNT(*) AS n FROM asset_gallery_item") == [{"n": 2}]


@pytest.mark.parametrize("code", [1021, 1030, 1041, 1114, 1142, 1146, 1290, 1836])
def test_an_error_of_the_server_as_a_whole_fails_no_item(admin_db, panel_db, bundles, mount, bring, refuse, photos, code):
    refuse(code)
    sync_id = bundles.bundle("coast", photos)
    [job_id] = worker_helpers.queue(panel_db, mount, sync_id)
    bring()
    assert worker_helpers.counts(panel_db, sync_id) == {"will_create": 6}
    assert worker_helpers.job(admin_db, job_id)["state"] in ("queued", "held")


def test_a_result_that_is_refused_fails_its_item_too(admin_db, panel_db, bundles, bring, refuse, photos):
    condition = f"NEW.hash = '{photos[2].asset_hash}' AND NEW.decision <> 'failed'"
    refuse(1406, "ingest_result", condition)
    sync_id = bundles.bundle("coast", photos)
    bring(sync_id)
    assert worker_helpers.counts(panel_db, sync_id) == {"created": 5, "failed": 1}
    assert admin_db.execute("SELECT COUNT(*) AS n FROM asset") == [{"n": 5}]


@pytest.fixture
def small_packets(admin_db):
    """A server that accepts statements of four MiB."""
    [row] = admin_db.execute("SELECT @@GLOBAL.max_allowed_packet AS bytes")
    admin_db.execute("SET GLOBAL max_allowed_packet = %(bytes)s", bytes=PACKET)
    yield
    admin_db.execute("SET GLOBAL max_allowed_packet = %(bytes)s", bytes=row["bytes"])


def test_a_document_that_no_statement_can_carry_fails_its_item_and_names_the_packet(
    admin_db, panel_db, bundles, assets_dir, mount, worker_conf, small_packets
):
    photos = list(bundles.assets("coast", 6, derivatives=("icon",)))
    sync_id = bundles.bundle("coast", photos)
    [job_id] = worker_helpers.queue(panel_db, mount, sync_id)
    large = assets_dir / photos[3].path / "source" / "source.json"
    large.write_text('{"notes": "' + "x" * 5_000_000 + '"}')
    worker_helpers.drain(worker_conf)
    assert worker_helpers.counts(panel_db, sync_id) == {"created": 5, "failed": 1}
    failed = worker_helpers.items(panel_db, sync_id)[3]
    assert "the database refused it: the statement needs 5,000," in failed["last_error"]
    assert "max_allowed_packet is 4,194,304" in failed["last_error"]
    job = worker_helpers.job(admin_db, job_id)
    assert (job["state"], job["attempts"]) == ("completed", 1)
