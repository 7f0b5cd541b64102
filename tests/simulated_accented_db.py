"""Simulate a Perl database with accented names: milliseconds, numbers as text, and events without a number.

Digests are in capital letters or characters in VARBINARY, 0 and empty texts stand for none, derivatives are in two
tables with a view over both, and the source of an asset has the asset's id as its primary key.
"""

from gpupanel.db import Database

ZONE = "America/Sao_Paulo"  # three hours behind UTC
STATUSES = (
    "discovered", "preflight_passed", "preflight_failed", "queued", "importing", "completed", "partial", "failed",
)
WORDS = {
    ("ingest_batch", "action"): {"create": "criar", "update": "atualizar", "remove": "remover"},
    ("ingest_batch", "status"): {word: str(number) for number, word in enumerate(STATUSES, 1)},
    ("import_job", "state"): {"queued": "F", "running": "R", "completed": "C", "failed": "E", "canceled": "X"},
    ("asset", "asset_type"): {"photo": "foto", "cover": "capa", "video": "v\u00eddeo"},
    ("ingest_batch_item", "asset_type"): {"photo": "foto", "cover": "capa", "video": "v\u00eddeo"},
}
ID, BATCH, ASSET, SAME = "INT", "{} * 7 + 1000", "{} + 40", "{}"
MILLISECONDS, MS = "BIGINT", "ROUND(UNIX_TIMESTAMP({}) * 1000)"
LOCAL, TIME = "DATETIME", "{} - INTERVAL 3 HOUR"
CAPITALS, HASH = "CHAR(64)", "UPPER({})"
BYTES, DIGEST = "BINARY(32)", "UNHEX({})"
TEXT, NUMBER, WORD = "VARCHAR(300) CHARACTER SET utf8mb4", "VARCHAR(20)", "word"
DOCUMENT, AS_BYTES = "LONGBLOB", "CAST({} AS BINARY)"
DERIVATIVE = {
    "id": ("cod", ID, SAME), "asset_id": ("m\u00eddia", ID, ASSET), "kind": ("g\u00eanero", TEXT, SAME),
    "path": ("arquivo", TEXT, SAME), "bytes": ("tamanho", NUMBER, SAME), "sha256": ("soma", BYTES, DIGEST),
    "mime_type": ("mime", TEXT, SAME), "width": ("largura", "INT", SAME), "height": ("altura", "INT", SAME),
    "created_at": ("criado", LOCAL, TIME), "deleted_at": ("removido", LOCAL, TIME),
}
# their table -> (ours, key, {our column: (theirs, type, expression)})
TABLES = {
    "lote": ("ingest_batch", "PRIMARY KEY (cod)", {
        "id": ("cod", ID, BATCH), "sync_id": ("remessa", "CHAR(36)", HASH), "sync_type": ("tipo", TEXT, SAME),
        "action": ("a\u00e7\u00e3o", WORD, SAME), "item_count": ("itens", "DECIMAL(10, 2)", SAME),
        "total_bytes": ("tamanho", NUMBER, SAME), "source_host": ("servidor", TEXT, SAME),
        "status": ("situa\u00e7\u00e3o", "TINYINT", SAME), "manifest_sha256": ("soma", BYTES, DIGEST),
        "manifest_summary": ("resumo", DOCUMENT, AS_BYTES), "container_count": ("grupos", NUMBER, SAME),
        "last_error": ("erro", TEXT, SAME), "discovered_at": ("descoberto", MILLISECONDS, MS),
        "started_at": ("in\u00edcio", MILLISECONDS, MS), "completed_at": ("fim", MILLISECONDS, MS),
    }),
    "tarefa": ("import_job", "PRIMARY KEY (num)", {
        "id": ("num", ID, "{} * 3 + 50"), "batch_id": ("lote", ID, BATCH), "state": ("estado", WORD, SAME),
        "priority": ("prioridade", "TINYINT UNSIGNED", SAME), "requested_by": ("solicitante", TEXT, SAME),
        "queued_at": ("enfileirada", LOCAL, TIME), "claimed_at": ("iniciada", LOCAL, TIME),
        "worker": ("processo", TEXT, SAME), "attempts": ("tentativas", "INT", SAME),
        "heartbeat_at": ("batimento", MILLISECONDS, MS), "items_done": ("feitos", "INT", SAME),
        "items_total": ("total", "INT", SAME), "finished_at": ("terminada", LOCAL, TIME),
        "last_error": ("erro", TEXT, SAME),
    }),
    "item_lote": ("ingest_batch_item", "PRIMARY KEY (lote, tipo, hash), KEY (cod)", {
        "id": ("cod", ID, "{} + 90000"), "batch_id": ("lote", ID, BATCH), "position": ("ordem", "SMALLINT", SAME),
        "asset_type": ("tipo", WORD, SAME), "asset_hash": ("hash", CAPITALS, HASH),
        "decision": ("decis\u00e3o", TEXT, SAME), "reason": ("motivo", TEXT, SAME),
        "asset_id": ("m\u00eddia", ID, "IFNULL({} + 40, 0)"), "last_error": ("erro", TEXT, SAME),
        "job_id": ("tarefa", ID, "{} * 3 + 50"),
    }),
    "evento": ("ingest_event", "KEY (lote, quando)", {
        "batch_id": ("lote", ID, BATCH), "event_type": ("tipo", TEXT, SAME), "payload": ("dados", DOCUMENT, AS_BYTES),
        "created_at": ("quando", MILLISECONDS, "1000 * FLOOR(UNIX_TIMESTAMP({}))"),
    }),
    "m\u00eddia": ("asset", "PRIMARY KEY (cod)", {
        "id": ("cod", ID, ASSET), "asset_type": ("tipo", WORD, SAME), "asset_subtype": ("subtipo", TEXT, SAME),
        "asset_hash": ("hash", CAPITALS, HASH), "path": ("pasta", TEXT, SAME), "title": ("t\u00edtulo", TEXT, SAME),
        "mime_type": ("mime", TEXT, SAME), "width": ("largura", "INT", SAME), "height": ("altura", NUMBER, SAME),
        "bytes": ("tamanho", "DECIMAL(16, 2)", SAME), "duration_seconds": ("dura\u00e7\u00e3o", NUMBER, SAME),
        "first_batch_id": ("primeiro_lote", ID, BATCH), "last_batch_id": ("\u00faltimo_lote", ID, BATCH),
        "created_at": ("criado", LOCAL, TIME), "deleted_at": ("removido", LOCAL, TIME),
    }),
    "m\u00eddia_origem": ("asset_source", "PRIMARY KEY (m\u00eddia)", {
        "asset_id": ("m\u00eddia", ID, ASSET), "document": ("documento", DOCUMENT, AS_BYTES),
        "created_at": ("criado", "INT UNSIGNED", "ROUND(UNIX_TIMESTAMP({}))"),
    }),
    "an\u00e1lise": ("asset_ai_run", "PRIMARY KEY (cod)", {
        "id": ("cod", ID, "{} * 2"), "asset_id": ("m\u00eddia", ID, ASSET),
        "analysis_kind": ("esp\u00e9cie", TEXT, SAME),
        "source_file": ("ficheiro", TEXT, SAME), "document": ("conte\u00fado", "LONGTEXT CHARACTER SET utf8mb4", SAME),
        "content_sha256": ("soma", "VARBINARY(64)", SAME), "created_at": ("criado", LOCAL, TIME),
    }),
    "derivado_imagem": ("asset_derivative", "PRIMARY KEY (cod)", DERIVATIVE),
}
VIEW = "derivados"
OTHERS = (
    "CREATE TABLE derivado_outro LIKE derivado_imagem",
    "INSERT INTO derivado_outro SELECT * FROM derivado_imagem WHERE cod % 3 = 0",
    "DELETE FROM derivado_imagem WHERE cod % 3 = 0",
    f"CREATE VIEW {VIEW} AS SELECT * FROM derivado_imagem UNION ALL SELECT * FROM derivado_outro",
)
ABSENT = ("asset_cover", "asset_gallery", "asset_gallery_item", "asset_collection", "asset_collection_item")
# What no rows of theirs have a number for, or what they do not keep.
NO_COLUMN = {("ingest_event", "id"), ("asset_source", "id"), ("asset_source", "sha256")}


def build(db: Database, source: str, target: str) -> None:
    """Create the database `target` from the content of `source`."""
    db.execute(f"CREATE OR REPLACE DATABASE {target} CHARACTER SET latin1")
    db.execute(f"USE {target}")
    for theirs, (ours, key, columns) in TABLES.items():
        definitions = ", ".join(
            f"`{name}` {_enum(ours, column) if kind is WORD else kind} {_null(name, key)}"
            for column, (name, kind, _) in columns.items()
        )
        db.execute(f"CREATE TABLE `{theirs}` ({definitions}, {key})")
        values = ", ".join(_value(ours, column, *place[1:]) for column, place in columns.items())
        order = "id DESC" if ours == "ingest_event" else "id"  # nothing but their times says when events were written
        db.execute(f"INSERT INTO `{theirs}` SELECT {values} FROM {source}.{ours} ORDER BY {order}")
    for statement in OTHERS:
        db.execute(statement)


def names() -> dict[tuple[str, str], str]:
    """Return their name of each table and column, by (our table, our column or nothing)."""
    tables = {(ours, ""): theirs for theirs, (ours, _, _) in TABLES.items()} | {("asset_derivative", ""): VIEW}
    return tables | {
        (ours, column): name for ours, _, columns in TABLES.values() for column, (name, _, _) in columns.items()
    }


def tables_of_mapping() -> str:
    """Return the beginning of the mapping file: zone and tables."""
    listed = [f"{ours} = {theirs}" for (ours, column), theirs in names().items() if not column]
    return "\n".join(["[side]", f"time_zone = {ZONE}", "[tables]", *listed, *(f"{table} = -" for table in ABSENT)])


def mapping() -> str:
    """Return the whole mapping file."""
    lines = [tables_of_mapping()]
    for ours, _, columns in TABLES.values():
        lines += [f"[{ours}]", *(f"{column} = {name}" for column, (name, _, _) in columns.items())]
        lines += [f"{column} = -" for table, column in sorted(NO_COLUMN) if table == ours]
    for (table, column), words in WORDS.items():
        lines += [f"[{table}.{column}]", *(f"{ours} = {theirs}" for ours, theirs in words.items())]
    return "\n".join(lines) + "\n"


def _enum(table: str, column: str) -> str:
    return f"ENUM({', '.join(repr(word) for word in WORDS[table, column].values())}) CHARACTER SET utf8mb4"


def _null(name: str, key: str) -> str:
    return "NOT NULL" if name in key.partition(")")[0] else "NULL"


def _value(table: str, column: str, kind: str, expression: str) -> str:
    if (table, column) not in WORDS:
        return expression.format(column)
    return f"CASE {column}{''.join(f' WHEN {ours!r} THEN {name!r}' for ours, name in WORDS[table, column].items())} END"
