"""Which errors belong to the server as a whole, and which to the rows of a statement; statements that are too large."""

import pytest
from gpupanel import errors
from gpupanel.db import ConnectionLostError, DataError, Database, DatabaseInternalError, PacketTooLargeError

PACKET = 1024 * 1024
SIGNAL = "SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO = %(code)s, MESSAGE_TEXT = 'injected'"

CLASSES = {
    errors.DatabaseConflictError: (1020, 1205, 1213, 1969, 3024),
    ConnectionLostError: (1047, 1053, 1077, 1927, 2006, 2013, 2055, 4031),
    errors.DatabaseUnavailableError: (1040, 1041, 1049, 1054, 1129, 1146, 1176, 1203, 1226, 1290, 1836),
    DatabaseInternalError: (3, 5, 28, 1021, 1030, 1037, 1038, 1114, 1317),
    errors.DatabaseAccessError: (1044, 1045, 1142, 1143, 1227, 1370, 1698, 4151),
    DataError: (1048, 1264, 1265, 1292, 1366, 1406, 1451, 1452, 1644, 1690, 4025),
}


@pytest.mark.parametrize("code, kind", [(code, kind) for kind, codes in CLASSES.items() for code in codes])
def test_an_error_of_the_server_as_a_whole_is_no_refused_row_and_every_other_one_is(worker_db, code, kind):
    with pytest.raises(errors.PanelError) as caught, worker_db.transaction() as tx:
        tx.fetch_all_sql(SIGNAL, code=code)
    assert type(caught.value) is kind
    assert isinstance(caught.value, DataError) is (kind is DataError)


def test_a_node_that_left_its_cluster_is_named_as_such(worker_db):
    with pytest.raises(ConnectionLostError, match="injected") as caught, worker_db.transaction() as tx:
        tx.fetch_all_sql(SIGNAL, code=1047)
    assert "check wsrep_cluster_status, or name another node" in caught.value.hint


@pytest.fixture
def narrow_db(admin_db, worker_db):
    """A connection that was made while the server accepted one MiB."""
    [row] = admin_db.execute("SELECT @@GLOBAL.max_allowed_packet AS bytes")
    admin_db.execute("SET GLOBAL max_allowed_packet = %(bytes)s", bytes=PACKET)
    db = Database(worker_db.settings)
    db.run_read(lambda tx: tx.fetch_all_sql("SELECT 1"))
    yield db
    db.close()
    admin_db.execute("SET GLOBAL max_allowed_packet = %(bytes)s", bytes=row["bytes"])


def padded(size: int, character: str = "x") -> str:
    """A statement of that many bytes."""
    head, tail = "SELECT LENGTH('", "') AS n"
    count, rest = divmod(size - len(head) - len(tail), len(character.encode()))
    return head + "y" * rest + character * count + tail


@pytest.mark.parametrize("character", ["x", "\u00e9", "\U0001f600"])
def test_the_largest_statement_is_sent_and_one_byte_more_is_refused_before_it_is_sent(narrow_db, character):
    epoch = narrow_db.epoch
    with narrow_db.transaction() as tx:
        assert tx.fetch_all_sql(padded(PACKET - 2, character))
        with pytest.raises(PacketTooLargeError, match="needs 1,048,576 bytes, max_allowed_packet is 1,048,576"):
            tx.fetch_all_sql(padded(PACKET - 1, character))
        assert tx.fetch_all_sql("SELECT 1")
    assert narrow_db.epoch == epoch, "the connection stays"


def test_rows_are_cut_into_statements_that_the_server_accepts(narrow_db, admin_db):
    with narrow_db.transaction() as tx:
        assert tx._insert_characters() == PACKET // 2


@pytest.mark.parametrize("size", [1, 20_000_000])
def test_a_character_without_an_encoding_is_a_refused_value(worker_db, size):
    with pytest.raises(DataError, match=r"no encoding of the character '\\ud800'"), worker_db.transaction() as tx:
        tx.fetch_all_sql("SELECT %(text)s", text="\ud800" + "x" * size)


def test_an_epoch_counts_the_connections_of_its_thread(worker_db, admin_db):
    assert worker_db.epoch == 0
    worker_db.run_read(lambda tx: tx.fetch_all_sql("SELECT 1"))
    assert worker_db.epoch == 1
    worker_db.close()
    worker_db.run_read(lambda tx: tx.fetch_all_sql("SELECT 1"))
    assert worker_db.epoch == 2
