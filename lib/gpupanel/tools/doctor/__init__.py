"""doctor: an ordered list of small checks of an installation; it looks at everything and changes nothing."""

from collections.abc import Callable, Iterator

from ...config import Settings
from ...database import Database
from ...errors import PanelError
from . import accounts, files, jobs, server, tables
from .finding import NOTE, OK, WRONG, Finding

__all__ = ["NOTE", "OK", "WRONG", "Finding", "examine"]

# In this order; what a later check asks makes sense only when the earlier ones could be asked.
OF_THE_DATABASE: tuple[Callable[[Database, Settings], Iterator[Finding]], ...] = (
    server.version, server.isolation, server.binlog, server.clock, tables.compare, accounts.compare,
    jobs.claim_plan, jobs.stale,
)
OF_THE_FILES: tuple[Callable[[Settings], Iterator[Finding]], ...] = (files.mount, files.read_only, files.secrets)


def examine(settings: Settings) -> list[Finding]:
    """All findings, those of the database first. A database that cannot be asked is one finding."""
    findings = _of_the_database(settings)
    for check in OF_THE_FILES:
        findings += check(settings)
    return findings


def _of_the_database(settings: Settings) -> list[Finding]:
    findings, db = [], Database(settings.database)
    try:
        for check in OF_THE_DATABASE:
            findings += check(db, settings)
    except PanelError as error:
        findings.append(Finding("database", WRONG, str(error), "an answer", error.hint or "Look at MariaDB's log."))
    finally:
        db.close()
    return findings
