"""What archives promise: each row is in the database or in a verified file that the database has recorded."""

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

from gpupanel import config
from gpupanel.archive import Archiver, Restorer
from gpupanel.db import Database
from gpupanel.receipts import DatabaseVerifier, verify_file
from gpupanel.receipts.lines import EVENT, ITEM, MEMBER, RESULT, TOMBSTONE, parse_line
from gpupanel.receipts.verify_file import open_lines

# table -> the kind of its lines, and the columns that name a row
MOVED = {
    "ingest_result": (RESULT, ("id",)), "ingest_result_member": (MEMBER, ("result_id", "asset_id")),
    "ingest_result_tombstone": (TOMBSTONE, ("result_id", "asset_hash")), "ingest_event": (EVENT, ("id",)),
    "ingest_batch_item": (ITEM, ("id",)),
}
OURS = ("batch_archived", "batch_restored")  # events of archives, which stay
ACTOR = "archivist"


def archive(environment, checkpoint: Callable[[str], None] = lambda step: None) -> None:
    """Archive all that is old, as a timer does."""
    with closing(_database(environment)) as db:
        [row] = db.execute("SELECT NOW(6) AS now")
        Archiver(db, environment.archives, ACTOR, checkpoint).run(row["now"] - timedelta(days=1))


def restore(environment, file: Path, checkpoint: Callable[[str], None] = lambda step: None) -> None:
    with closing(_database(environment)) as db:
        Restorer(db, file, ACTOR, checkpoint).run()


def _database(environment) -> Database:
    return Database(config.load(environment.direct["archive"]).database)


def files(environment) -> list[Path]:
    """The complete files, the oldest first."""
    return sorted(environment.archives.glob("archive-*"))


def rows(db: Database) -> dict[str, list[dict]]:
    """The rows that archives move, but for the events of archives."""
    return {
        table: [row for row in db.execute(f"SELECT * FROM {table} ORDER BY {', '.join(key)}")
                if row.get("event_type") not in OURS]
        for table, (_, key) in MOVED.items()
    }


def lost(environment, before: dict[str, list[dict]]) -> list[str]:
    """The rows that are neither in the database nor in a verified file that it has recorded."""
    problems, filed = [], {kind: set() for kind, _ in MOVED.values()}
    for file in _recorded(environment):
        if not file.exists() or (check := verify_file(file)).problems:
            problems.append(f"the recorded archive {file.name} is gone or damaged")
            continue
        assert check.archives
        for kind, key in _keys(file):
            filed[kind].add(key)
    present = rows(environment.admin)
    for table, (kind, key) in MOVED.items():
        known = {_key(row, key) for row in present[table]} | filed[kind]
        gone = [row for row in before[table] if _key(row, key) not in known]
        problems += [f"{len(gone)} rows of {table} are lost, such as {gone[0]}"] if gone else []
    return problems


def _recorded(environment) -> list[Path]:
    """The files whose rows are not all in the database again."""
    found = environment.admin.execute(
        "SELECT DISTINCT file FROM ingest_archive WHERE restored_at IS NULL ORDER BY file"
    )
    return [environment.archives / row["file"] for row in found]


def _keys(file: Path) -> Iterator[tuple[str, tuple]]:
    """Yield kind and key of each row in a file."""
    with open_lines(file) as lines:
        for text in lines:
            line = parse_line(text.removesuffix(b"\n"))
            for kind, key in MOVED.values():
                if line.kind == kind:
                    yield kind, _key(json.loads(line.body)[kind], key)


def _key(row: dict, key: tuple[str, ...]) -> tuple:
    return tuple(row[name] for name in key)


def broken_promises(environment, before: dict[str, list[dict]], *, may_be_damaged: bool) -> list[str]:
    """Check files and receipts after all is done; then restore all files, and compare each row with `before`."""
    problems = lost(environment, before) + _of_files(environment, may_be_damaged) + receipt_problems(environment)
    if problems:
        return problems
    for file in _recorded(environment):
        restore(environment, file)
    present = rows(environment.admin)
    problems += [f"{table} came back as other rows" for table in before if present[table] != before[table]]
    return problems + receipt_problems(environment)


def _of_files(environment, may_be_damaged: bool) -> list[str]:
    """Check that each complete file is whole, also one that a killed run left without a record."""
    marked = environment.admin.execute(
        "SELECT file, batch_id, COUNT(*) AS n FROM ingest_archive GROUP BY 1, 2 HAVING n > 1"
    )
    problems = [f"batch {row['batch_id']} was archived {row['n']} times into {row['file']}" for row in marked]
    unfinished = environment.admin.execute("SELECT file FROM ingest_archive WHERE emptied_at IS NULL")
    problems += [f"rows of {row['file']} are not all deleted" for row in unfinished]
    if may_be_damaged:
        return problems
    return problems + [f"{file.name}: {found}" for file in files(environment) if (found := verify_file(file).problems)]


def receipt_problems(environment) -> list[str]:
    """Check all receipts against the rows, in the database or in the files."""
    return DatabaseVerifier(environment.admin, archives=environment.archives).run().problems
