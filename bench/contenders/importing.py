"""Import the rows of a bundle that are in memory already: importing.py WAY SOCKET USER PASSWORD ROWS [FOLDER].

Prints items a second. ROWS is a pickle: a list of items, each a dict of table -> rows without `asset_id`.
"""

import pickle
import sys
from pathlib import Path
from time import perf_counter

WAY, SOCKET, USER, PASSWORD, ROWS = sys.argv[1:6]
CHUNK = 100
CHILDREN = ("asset_source", "asset_ai_run", "asset_derivative", "asset_cover")
LEDGER = ("ingest_batch_item", "ingest_result")


def chunks(items: list[dict]) -> list[list[dict]]:
    return [items[start:start + CHUNK] for start in range(0, len(items), CHUNK)]


def assets(chunk: list[dict]) -> list[dict]:
    return [row for item in chunk for row in item["asset"]]


def children(chunk: list[dict], table: str, ids: dict[str, int]) -> list[dict]:
    """Return the rows of one table, with the ids of their assets."""
    return [row | {owner(table): ids[item["asset"][0]["asset_hash"]]} for item in chunk for row in item[table]]


def owner(table: str) -> str:
    """The column that names the asset."""
    return "target_id" if table == "ingest_result" else "asset_id"


def connect(**options):
    import pymysql
    return pymysql.connect(
        unix_socket=SOCKET, user=USER, password=PASSWORD, database="admin_panel", charset="utf8mb4", ssl_disabled=True,
        init_command="SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED", **options,
    )


def an_item_a_transaction(items: list[dict]) -> None:
    """Naive: insert the rows of an item one by one, and commit."""
    connection = connect()
    cursor = connection.cursor()

    def insert(table: str, row: dict) -> None:
        columns = ", ".join(f"`{name}`" for name in row)
        cursor.execute(f"INSERT INTO {table} ({columns}) VALUES ({', '.join(['%s'] * len(row))})", list(row.values()))

    for item in items:
        insert("asset", item["asset"][0])
        asset_id = cursor.lastrowid
        for table in (*CHILDREN, *LEDGER):
            for row in item[table]:
                insert(table, row | {owner(table): asset_id})
        connection.commit()


def sqlalchemy(items: list[dict]) -> None:
    """SQLAlchemy Core: one transaction per chunk, one bulk insert per table."""
    from sqlalchemy import MetaData, create_engine, insert, select

    engine = create_engine("mysql+pymysql://", creator=connect)
    tables = MetaData()
    tables.reflect(engine, only=["asset", *CHILDREN, *LEDGER], resolve_fks=False)
    asset = tables.tables["asset"]
    for chunk in chunks(items):
        with engine.begin() as connection:
            connection.execute(insert(asset), assets(chunk))
            hashes = [row["asset_hash"] for row in assets(chunk)]
            found = connection.execute(select(asset.c.asset_hash, asset.c.id).where(
                asset.c.asset_type == "photo", asset.c.asset_hash.in_(hashes)))
            ids = dict(map(tuple, found))
            for table in (*CHILDREN, *LEDGER):
                connection.execute(insert(tables.tables[table]), children(chunk, table, ids))


def django(items: list[dict]) -> None:
    """Django's bulk_create: one transaction per chunk."""
    from bench.contenders.models import Models

    models = Models(SOCKET, USER, PASSWORD)
    for chunk in chunks(items):
        with models.atomic():
            models.create("asset", assets(chunk))
            ids = models.ids([row["asset_hash"] for row in assets(chunk)])
            for table in (*CHILDREN, *LEDGER):
                models.create(table, children(chunk, table, ids))


def load_data(items: list[dict]) -> None:
    """The limit: LOAD DATA of existing files with known ids, without queries."""
    connection = connect(local_infile=True, autocommit=True)
    for table, columns, file in pickle.loads(Path(sys.argv[6]).read_bytes()):
        names = ", ".join(f"`{column}`" for column in columns)
        connection.cursor().execute(
            f"LOAD DATA LOCAL INFILE '{file}' INTO TABLE {table} CHARACTER SET utf8mb4 ({names})"
        )


WAYS = {"naive": an_item_a_transaction, "sqlalchemy": sqlalchemy, "django": django, "load": load_data}


def main() -> None:
    items = pickle.loads(Path(ROWS).read_bytes())
    started = perf_counter()
    WAYS[WAY](items)
    print(len(items) / (perf_counter() - started))


if __name__ == "__main__":
    main()
