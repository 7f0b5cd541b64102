"""Simulate a Perl database of another nature: German names and words, bytes for digests, seconds since 1970.

It has TIMESTAMP columns beside local DATETIMEs, a path in two columns, views for the members, and no links of covers.
"""

from gpupanel.db import Database

ZONE, HOURS = "Etc/GMT-5", 5
STATES = {
    "discovered": "entdeckt",
    "preflight_passed": "geprueft",
    "preflight_failed": "abgelehnt",
    "queued": "wartend",
    "importing": "laeuft",
    "completed": "fertig",
    "partial": "teilweise",
    "failed": "fehlgeschlagen",
}
JOBS = {
    "queued": "wartend",
    "running": "laeuft",
    "completed": "fertig",
    "failed": "fehlgeschlagen",
    "canceled": "storniert",
}
ACTIONS = {"create": "anlegen", "update": "ändern", "remove": "entfernen"}
TYPES = {"photo": "foto", "cover": "titelbild", "video": "film"}
WORDS = {
    ("ingest_batch", "status"): STATES,
    ("ingest_batch", "action"): ACTIONS,
    ("import_job", "state"): JOBS,
    ("asset", "asset_type"): TYPES,
    ("ingest_batch_item", "asset_type"): TYPES,
}
# What a type of theirs makes of a value of ours; the session is in UTC.
DIGEST, SECONDS, LOCAL = "UNHEX({})", "UNIX_TIMESTAMP({})", f"{{}} + INTERVAL {HOURS} HOUR"
UUID, LOOSE, SAME = "UNHEX(REPLACE({}, '-', ''))", "JSON_LOOSE({})", "{}"
ID, TEXT, TIME, STAMP = "INT UNSIGNED", "VARCHAR(250)", "DATETIME", "TIMESTAMP NULL"
HASH, EPOCH, NUMBER = "BINARY(32)", "INT UNSIGNED", "BIGINT"
BATCH, ASSET = "{} + 5000", "{} + 900"
WORD = "word"  # an ENUM of WORDS

# their table -> (ours, character set, {our column: (theirs, type, expression)})
TABLES = {
    "lieferungen": (
        "ingest_batch",
        "latin1",
        {
            "id": ("lfd_nr", ID, BATCH),
            "sync_id": ("paket", "BINARY(16)", UUID),
            "sync_type": ("art", TEXT, SAME),
            "action": ("vorgang", WORD, SAME),
            "item_count": ("anzahl", NUMBER, SAME),
            "total_bytes": ("groesse", NUMBER, SAME),
            "source_host": ("rechner", TEXT, SAME),
            "status": ("zustand", WORD, SAME),
            "manifest_sha256": ("pruefsumme", HASH, DIGEST),
            "manifest_summary": ("kurzfassung", "TEXT", LOOSE),
            "container_count": ("behaelter", "SMALLINT", SAME),
            "last_error": ("fehler", "TEXT", SAME),
            "discovered_at": ("entdeckt", EPOCH, SECONDS),
            "started_at": ("begonnen", STAMP, SAME),
            "completed_at": ("beendet", STAMP, SAME),
            "updated_at": ("geaendert", STAMP, SAME),
        },
    ),
    "auftraege": (
        "import_job",
        "utf8mb3",
        {
            "id": ("nr", ID, "{} + 300"),
            "batch_id": ("lieferung", ID, BATCH),
            "state": ("status", WORD, SAME),
            "priority": ("vorrang", "INT", SAME),
            "requested_by": ("auftraggeber", TEXT, SAME),
            "queued_at": ("eingereiht", STAMP, SAME),
            "claimed_at": ("uebernommen", TIME, LOCAL),
            "worker": ("arbeiter", TEXT, SAME),
            "attempts": ("versuche", "INT", SAME),
            "heartbeat_at": ("lebenszeichen", EPOCH, SECONDS),
            "items_done": ("erledigt", "INT", SAME),
            "items_total": ("gesamt", "INT", SAME),
            "finished_at": ("ende", TIME, LOCAL),
            "last_error": ("fehler", "TEXT", SAME),
        },
    ),
    "lieferung_objekte": (
        "ingest_batch_item",
        "latin1",
        {
            "id": ("nr", ID, "{} + 70000"),
            "batch_id": ("lieferung", ID, BATCH),
            "position": ("stelle", "INT", SAME),
            "asset_type": ("objektart", WORD, SAME),
            "asset_hash": ("objekt", HASH, DIGEST),
            "cover_hash": ("titelbild", HASH, DIGEST),
            "decision": ("entscheidung", TEXT, SAME),
            "reason": ("begruendung", "TEXT", SAME),
            "changes": ("aenderungen", "TEXT", LOOSE),
            "asset_id": ("medium", ID, ASSET),
            "last_error": ("fehler", "TEXT", SAME),
            "job_id": ("auftrag", ID, "{} + 300"),
            "updated_at": ("geaendert", STAMP, SAME),
        },
    ),
    "protokoll": (
        "ingest_event",
        "latin1",
        {
            "id": ("nr", NUMBER, "{} + 1"),
            "batch_id": ("lieferung", ID, BATCH),
            "event_type": ("ereignis", TEXT, SAME),
            "payload": ("daten", "LONGBLOB", LOOSE),
            "created_at": ("zeit", EPOCH, SECONDS),
        },
    ),
    "medien": (
        "asset",
        "utf8mb3",
        {
            "id": ("nr", ID, ASSET),
            "asset_type": ("art", WORD, SAME),
            "asset_subtype": ("unterart", TEXT, SAME),
            "asset_hash": ("kennung", HASH, DIGEST),
            "path": ("ordner", TEXT, SAME),
            "title": ("ueberschrift", TEXT, SAME),
            "mime_type": ("mime", TEXT, SAME),
            "width": ("breite", "INT", SAME),
            "height": ("hoehe", "INT", SAME),
            "bytes": ("groesse", NUMBER, SAME),
            "duration_seconds": ("dauer", "DECIMAL(12, 3)", SAME),
            "first_batch_id": ("erste_lieferung", ID, BATCH),
            "last_batch_id": ("letzte_lieferung", ID, BATCH),
            "created_at": ("angelegt", STAMP, SAME),
            "updated_at": ("geaendert", STAMP, SAME),
            "deleted_at": ("geloescht", STAMP, SAME),
        },
    ),
    "medien_quellen": (
        "asset_source",
        "utf8mb4",
        {
            "id": ("nr", ID, "{} + 11"),
            "asset_id": ("medium", ID, ASSET),
            "document": ("dokument", "LONGTEXT", LOOSE),
            "created_at": ("angelegt", TIME, LOCAL),
        },
    ),
    "ki_laeufe": (
        "asset_ai_run",
        "utf8mb4",
        {
            "id": ("nr", ID, "{} + 12"),
            "asset_id": ("medium", ID, ASSET),
            "analysis_kind": ("auswertung", TEXT, SAME),
            "source_file": ("datei", TEXT, SAME),
            "document": ("dokument", "LONGTEXT", LOOSE),
            "content_sha256": ("pruefsumme", HASH, DIGEST),
            "created_at": ("angelegt", EPOCH, SECONDS),
        },
    ),
    "ableitungen": (
        "asset_derivative",
        "latin1",
        {
            "id": ("nr", ID, "{} + 13"),
            "asset_id": ("medium", ID, ASSET),
            "kind": ("sorte", TEXT, SAME),
            "bytes": ("groesse", NUMBER, SAME),
            "sha256": ("pruefsumme", HASH, DIGEST),
            "mime_type": ("mime", TEXT, SAME),
            "width": ("breite", "INT", SAME),
            "height": ("hoehe", "INT", SAME),
            "created_at": ("angelegt", TIME, LOCAL),
            "deleted_at": ("geloescht", STAMP, SAME),
        },
    ),
    **{
        theirs: (
            f"asset_{kind}",
            "utf8mb4",
            {
                "id": ("nr", ID, "{} + 14"),
                f"{kind}_hash": ("kennung", HASH, DIGEST),
                "title": ("ueberschrift", TEXT, SAME),
                "cover_hash": ("titelbild", HASH, DIGEST),
                "first_batch_id": ("erste_lieferung", ID, BATCH),
                "last_batch_id": ("letzte_lieferung", ID, BATCH),
                "created_at": ("angelegt", TIME, LOCAL),
                "deleted_at": ("geloescht", STAMP, SAME),
            },
        )
        for kind, theirs in (("gallery", "galerien"), ("collection", "sammlungen"))
    },
}
MEMBERS = {
    "asset_gallery_item": ("galerie_eintraege", "gallery"),
    "asset_collection_item": ("sammlung_eintraege", "collection"),
}
MEMBER_COLUMNS = {
    "id": "nr",
    "asset_id": "medium",
    "position": "stelle",
    "created_at": "angelegt",
    "deleted_at": "geloescht",
}
NAMES = {
    **{ours: theirs for theirs, (ours, _, _) in TABLES.items()},
    **{ours: name for ours, (name, _) in MEMBERS.items()},
    "asset_derivative": "ableitungen_mit_pfad",
    "asset_cover": "-",
}
OTHERS = (
    "ALTER TABLE ableitungen ADD ordner VARCHAR(200) NOT NULL DEFAULT '', ADD datei VARCHAR(200) NOT NULL DEFAULT ''",
    "UPDATE ableitungen a JOIN {source}.asset_derivative d ON d.id + 13 = a.nr"
    " SET a.datei = SUBSTRING_INDEX(d.path, '/', -1), a.ordner ="
    " LEFT(d.path, GREATEST(0, LENGTH(d.path) - LENGTH(SUBSTRING_INDEX(d.path, '/', -1)) - 1))",
    # What docs/PERL-PARITY.md advises for a key in two columns.
    "CREATE VIEW ableitungen_mit_pfad AS SELECT nr, medium, sorte, CONCAT_WS('/', NULLIF(ordner, ''), datei) AS pfad,"
    " groesse, pruefsumme, mime, breite, hoehe, angelegt, geloescht FROM ableitungen",
    "CREATE VIEW lebende_medien AS SELECT * FROM medien WHERE geloescht IS NULL",
    "CREATE TABLE benutzer (nr INT PRIMARY KEY, name VARCHAR(80), passwort BINARY(32), angelegt DATETIME)",
    "CREATE TABLE eintraege (nr INT UNSIGNED PRIMARY KEY AUTO_INCREMENT, zu VARCHAR(20), behaelter INT UNSIGNED,"
    " medium INT UNSIGNED, stelle INT, angelegt DATETIME, geloescht TIMESTAMP NULL) CHARACTER SET latin1",
)


def build(db: Database, source: str, target: str) -> None:
    """Create the database `target` from the content of `source`."""
    db.execute(f"CREATE OR REPLACE DATABASE {target} CHARACTER SET latin1")
    db.execute(f"USE {target}")
    for theirs, (ours, characters, columns) in TABLES.items():
        definitions = ", ".join(
            f"{name} {_enum(ours, column) if kind is WORD else kind}{' PRIMARY KEY AUTO_INCREMENT' * (column == 'id')}"
            for column, (name, kind, _) in columns.items()
        )
        db.execute(f"CREATE TABLE {theirs} ({definitions}) CHARACTER SET {characters}")
        values = ", ".join(_value(ours, column, *place) for column, place in columns.items())
        names = ", ".join(name for name, _, _ in columns.values())
        db.execute(f"INSERT INTO {theirs} ({names}) SELECT {values} FROM {source}.{ours}")
    for statement in OTHERS:
        db.execute(statement.format(source=source))
    for ours, (view, kind) in MEMBERS.items():
        db.execute(
            f"INSERT INTO eintraege (zu, behaelter, medium, stelle, angelegt, geloescht) SELECT '{kind}',"
            f" {kind}_id + 14, asset_id + 900, position, created_at + INTERVAL {HOURS} HOUR, deleted_at"
            f" FROM {source}.{ours}"
        )
        db.execute(
            f"CREATE VIEW {view} AS SELECT nr, behaelter AS {kind}_nr, medium, stelle, angelegt, geloescht"
            f" FROM eintraege WHERE zu = '{kind}'"
        )


def columns() -> dict[tuple[str, str], str]:
    """Return their name of each column that they have, by (our table, our column)."""
    names = {(ours, column): name for ours, _, listed in TABLES.values() for column, (name, _, _) in listed.items()}
    for ours, (_, kind) in MEMBERS.items():
        names |= {(ours, column): name for column, name in {**MEMBER_COLUMNS, f"{kind}_id": f"{kind}_nr"}.items()}
    return names | {("asset_derivative", "path"): "pfad"}


def mapping() -> str:
    """Return the whole mapping file."""
    lines = ["[side]", f"time_zone = {ZONE}", "[tables]", *(f"{ours} = {theirs}" for ours, theirs in NAMES.items())]
    for table in NAMES:
        lines += [f"[{table}]", *(f"{column} = {name}" for (of, column), name in columns().items() if of == table)]
    for (table, column), words in WORDS.items():
        lines += [f"[{table}.{column}]", *(f"{ours} = {theirs}" for ours, theirs in words.items())]
    return "\n".join(lines)


def _enum(table: str, column: str) -> str:
    return f"ENUM({', '.join(repr(word) for word in WORDS[table, column].values())})"


def _value(table: str, column: str, name: str, kind: str, expression: str) -> str:
    if kind is not WORD:
        return expression.format(column)
    return f"CASE {column}{''.join(f' WHEN {a!r} THEN {b!r}' for a, b in WORDS[table, column].items())} END"
