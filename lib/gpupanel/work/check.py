"""import-worker --check: whether this worker could work, with every problem found (docs/CONTRACT.md, 11).

The checks are the doctor's; of its findings those count that keep a worker from working, or let it do too much.
"""

from collections.abc import Iterator

from ..config import Settings
from ..database import Database
from ..doctor import OF_THE_MOUNT, WRONG, Finding, accounts
from ..doctor.sources import ACCOUNTS
from ..errors import PanelError
from ..mount import bounded
from .reader import PATIENCE

DUTY = ACCOUNTS[1]


def problems(settings: Settings) -> list[str]:
    """What would keep this worker from working, a line each; nothing when it is ready."""
    found = [*_of_the_database(settings), *_of_the_mount(settings)]
    return [_told(finding) for finding in found if finding.level == WRONG]


def _of_the_database(settings: Settings) -> Iterator[Finding]:
    db = Database(settings.database)
    try:
        yield from accounts.own(db, settings, DUTY)
    except PanelError as error:
        yield Finding("database", WRONG, str(error), "an answer", error.hint)
    finally:
        db.close()


def _of_the_mount(settings: Settings) -> Iterator[Finding]:
    try:
        yield from bounded((finding for check in OF_THE_MOUNT for finding in check(settings.mount)), PATIENCE)
    except PanelError as error:
        yield Finding("mount", WRONG, str(error), "both folders of [mount] can be read", error.hint)


def _told(finding: Finding) -> str:
    return f"{finding.check}: found {finding.found.rstrip('.')}, expected {finding.expected}. {finding.advice}".rstrip()
