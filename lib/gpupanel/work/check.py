"""import-worker --check: whether this worker could work, with every problem found (DESIGN section 11)."""

import re

from ..config import Settings
from ..database import Database
from ..errors import PanelError
from ..mount import Mount
from ..mount.patience import elsewhere
from .reader import PATIENCE

WRITES = {"SELECT", "INSERT", "UPDATE"}
NEEDED = {
    "asset": WRITES, "asset_source": WRITES, "asset_ai_run": {"SELECT", "INSERT"}, "asset_cover": WRITES,
    "asset_derivative": WRITES, "asset_gallery": WRITES, "asset_gallery_item": WRITES, "asset_collection": WRITES,
    "asset_collection_item": WRITES, "ingest_batch": {"SELECT", "UPDATE"}, "ingest_batch_item": WRITES,
    "ingest_event": {"SELECT", "INSERT"}, "import_job": {"SELECT", "UPDATE"},
}
FORBIDDEN = {"ALL PRIVILEGES", "DELETE", "DROP", "SUPER", "FILE", "DELETE HISTORY"}
GRANT = re.compile(r"GRANT (?P<privileges>.+?) ON (?P<scope>\S+) TO ")
COLUMNS = re.compile(r"\s*\([^)]*\)")


def problems(settings: Settings) -> list[str]:
    """What would keep this worker from working, a line each; nothing when it is ready."""
    return [*_database_problems(settings), *_mount_problems(settings)]


def _database_problems(settings: Settings) -> list[str]:
    db = Database(settings.database)
    try:
        return grant_problems([next(iter(row.values())) for row in db.execute("SHOW GRANTS")], settings.database.name)
    except PanelError as error:
        return [f"database: {error} {error.hint}".rstrip()]
    finally:
        db.close()


def grant_problems(grants: list[str], database: str) -> list[str]:
    """What is missing in these answers of SHOW GRANTS, and what is more than the worker may hold."""
    held: dict[str, set[str]] = {}
    for grant in grants:
        if found := GRANT.match(grant):
            privileges = COLUMNS.sub("", found["privileges"]).upper().split(",")
            held.setdefault(found["scope"].replace("`", ""), set()).update(each.strip() for each in privileges)
    everywhere = held.get("*.*", set()) | held.get(f"{database}.*", set())
    return [
        *_too_much(held, database),
        *(
            f"grants: found no {', '.join(sorted(lacking))} on {table}, expected as in etc/grants.sql"
            for table, needed in NEEDED.items()
            if (lacking := needed - everywhere - held.get(f"{database}.{table}", set()))
            and "ALL PRIVILEGES" not in everywhere
        ),
    ]


def _too_much(held: dict[str, set[str]], database: str) -> list[str]:
    reaching = {scope: privileges & FORBIDDEN for scope, privileges in held.items()
                if scope == "*.*" or scope.startswith(f"{database}.")}
    return [
        f"grants: found {', '.join(sorted(privileges))} on {scope}, expected an account that can delete nothing"
        for scope, privileges in reaching.items() if privileges
    ]


def _mount_problems(settings: Settings) -> list[str]:
    mount = Mount(settings.mount)
    try:
        elsewhere(lambda: next(mount.sentinels(), None), lambda: None, PATIENCE)
    except PanelError as error:
        return [f"mount: {error} {error.hint}".rstrip()]
    if not settings.mount.assets_dir.is_dir():
        return [f"mount: {settings.mount.assets_dir} is not a folder, expected the one that items' paths start from"]
    return []
