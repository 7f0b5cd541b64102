"""doctor: an ordered list of small checks of an installation; it looks at everything and changes nothing."""

from collections.abc import Callable, Iterator

from ..config import Settings
from ..database import Database
from ..errors import DatabaseUnavailable, MountUnavailable, PanelError
from ..mount import bounded
from . import accounts, files, jobs, mount, server, tables
from .finding import NOTE, OK, WRONG, Finding

__all__ = ["NOTE", "OK", "WRONG", "Finding", "examine"]

OF_THE_DATABASE: tuple[Callable[[Database, Settings], Iterator[Finding]], ...] = (
    server.version, server.isolation, server.snapshots, server.binlog, server.packet, server.clock,
    tables.version, tables.compare, accounts.own, accounts.others,
    jobs.claim_plan, jobs.silent, jobs.unclaimed, jobs.astray, jobs.orphaned, jobs.waiting,
)
OF_THE_MOUNT = (mount.sentinels, mount.assets, mount.read_only)
OF_THE_FILES = (files.configuration, files.password, files.secret, files.templates)

ANSWER_SECONDS = 60


def examine(settings: Settings, seconds: float | None = None) -> list[Finding]:
    """All findings. Neither database nor mount is waited for longer than `seconds`; None waits for the mount as it takes."""
    return [*_of_the_database(settings, seconds), *_of_the_mount(settings, seconds), *_of_the_files(settings)]


def _of_the_database(settings: Settings, seconds: float | None) -> Iterator[Finding]:
    db = Database(settings.database, read_timeout=seconds or ANSWER_SECONDS)
    try:
        for check in OF_THE_DATABASE:
            yield from _asked(check, db, settings)
    except DatabaseUnavailable as error:
        yield _unanswered("database", error)
    finally:
        db.close()


def _asked(check: Callable, db: Database, settings: Settings) -> Iterator[Finding]:
    """What one check finds; that it could not be asked is a finding, too, unless nothing more can be."""
    try:
        yield from check(db, settings)
    except DatabaseUnavailable:
        raise
    except PanelError as error:
        yield _unanswered(check.__name__.replace("_", " "), error)


def _of_the_mount(settings: Settings, seconds: float | None) -> Iterator[Finding]:
    try:
        yield from bounded((finding for check in OF_THE_MOUNT for finding in check(settings.mount)), seconds)
    except MountUnavailable as error:
        sync_dir = settings.mount.sync_dir
        yield Finding("mount", WRONG, str(error), f"{sync_dir} is there and can be read", error.hint)


def _of_the_files(settings: Settings) -> Iterator[Finding]:
    for check in OF_THE_FILES:
        yield from check(settings)


def _unanswered(what: str, error: PanelError) -> Finding:
    return Finding(what, WRONG, str(error), "an answer", error.hint or "Look at MariaDB's log.")
