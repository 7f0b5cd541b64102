"""Run all checks of an installation, in order."""

from collections.abc import Callable, Iterator

from ..config import Settings
from ..database import Database
from ..errors import DatabaseUnavailable, MountUnavailable, PanelError
from ..mount import bounded
from . import accounts, files, jobs, mount, server, tables
from .finding import WRONG, Finding

# check -> function; the name is reported if the database cannot answer it
OF_THE_DATABASE: dict[str, Callable[[Database, Settings], Iterator[Finding]]] = {
    "version": server.version, "isolation": server.isolation, "snapshots": server.snapshots, "binlog": server.binlog,
    "packet": server.packet, "clock": server.clock,
    "schema version": tables.version, "compare": tables.compare, "own": accounts.own, "others": accounts.others,
    "claim plan": jobs.claim_plan, "silent": jobs.silent, "unclaimed": jobs.unclaimed, "astray": jobs.astray,
    "orphaned": jobs.orphaned, "waiting": jobs.waiting,
}
OF_THE_MOUNT = (mount.sentinels, mount.assets, mount.read_only)
OF_THE_FILES = (files.configuration, files.password, files.secret, files.templates)

ANSWER_SECONDS = 60


def examine(settings: Settings, seconds: float | None = None) -> list[Finding]:
    """Run all checks; database and mount may take `seconds` each."""
    return [
        *_of_the_database(settings, seconds), *_of_the_mount(settings, seconds),
        *(finding for check in OF_THE_FILES for finding in check(settings)),
    ]


def _of_the_database(settings: Settings, seconds: float | None) -> Iterator[Finding]:
    db = Database(settings.database, read_timeout=seconds or ANSWER_SECONDS)
    try:
        for name, check in OF_THE_DATABASE.items():
            try:
                yield from check(db, settings)
            except DatabaseUnavailable:
                raise
            except PanelError as error:
                yield _failed(name, error)
    except DatabaseUnavailable as error:
        yield _failed("database", error)
    finally:
        db.close()


def _of_the_mount(settings: Settings, seconds: float | None) -> Iterator[Finding]:
    try:
        yield from bounded((finding for check in OF_THE_MOUNT for finding in check(settings.mount)), seconds)
    except MountUnavailable as error:
        sync_dir = settings.mount.sync_dir
        yield Finding("mount", WRONG, str(error), f"{sync_dir} is mounted and readable", error.hint)


def _failed(name: str, error: PanelError) -> Finding:
    return Finding(name, WRONG, str(error), "an answer of the server", error.hint or "Look at MariaDB's log.")
