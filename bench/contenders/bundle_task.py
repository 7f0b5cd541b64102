"""The task of the queues' contenders: insert the rows of one small bundle, from memory, in one transaction.

BENCH_ROWS names a pickle with the rows of each bundle, BENCH_SOCKET and BENCH_USER the server.
"""

import os
import pickle
from functools import cache
from pathlib import Path

CHILDREN = {
    "asset_source": "asset_id", "asset_ai_run": "asset_id", "asset_derivative": "asset_id", "asset_cover": "asset_id",
    "ingest_batch_item": "asset_id", "ingest_result": "target_id",
}


@cache
def _connection():
    import pymysql
    return pymysql.connect(
        unix_socket=os.environ["BENCH_SOCKET"], user=os.environ["BENCH_USER"], database="admin_panel",
        charset="utf8mb4", ssl_disabled=True, init_command="SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
    )


@cache
def _bundles() -> list[list[dict]]:
    return pickle.loads(Path(os.environ["BENCH_ROWS"]).read_bytes())


def insert_bundle(number: int) -> None:
    """Insert the rows of this bundle, with one INSERT of many rows for each table."""
    connection, items = _connection(), _bundles()[number]
    cursor = connection.cursor()
    _insert(cursor, "asset", [row for item in items for row in item["asset"]])
    hashes = [item["asset"][0]["asset_hash"] for item in items]
    cursor.execute("SELECT asset_hash, id FROM asset WHERE asset_type = 'photo' AND asset_hash IN %s", [hashes])
    ids = dict(cursor.fetchall())
    for table, column in CHILDREN.items():
        _insert(cursor, table, [
            row | {column: ids[item["asset"][0]["asset_hash"]]} for item in items for row in item[table]
        ])
    connection.commit()


def _insert(cursor, table: str, rows: list[dict]) -> None:
    names = ", ".join(f"`{name}`" for name in rows[0])
    values = ", ".join(f"%({name})s" for name in rows[0])
    cursor.executemany(f"INSERT INTO {table} ({names}) VALUES ({values})", rows)
