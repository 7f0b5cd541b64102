"""import-worker --check: every problem that keeps a worker from working.

The checks are the doctor's; only its findings about the worker's account and the mount count
(docs/CONTRACT.md, "11. Commands and configuration").
"""

from collections.abc import Iterator

from ..config import Settings
from ..db import Database
from ..doctor import Finding, MOUNT_CHECKS, WRONG, grants
from ..db.expected import ACCOUNTS
from ..errors import ConfigurationError, PanelError, UnsupportedServerError
from ..mount import iterate_with_timeout
from .document_prefetch import MOUNT_TIMEOUT_SECONDS

START_SECONDS = 5  # systemd waits 90 s for the worker to be ready
DUTY = ACCOUNTS[1]


def find_problems(settings: Settings) -> list[str]:
    """Return the problems, a line each."""
    findings = [*_of_the_database(settings), *_of_the_mount(settings)]
    return [_line(finding) for finding in findings if finding.level == WRONG]


def find_lasting_refusal(settings: Settings) -> UnsupportedServerError | ConfigurationError | None:
    """Return why waiting would not help: an unsupported server, or a configuration that cannot sign in.

    None also while no server answers, which a worker waits for.
    """
    db = Database(settings.database, read_timeout=START_SECONDS)
    try:
        db.execute("SELECT VERSION()")
    except (UnsupportedServerError, ConfigurationError) as error:
        return error
    except PanelError:
        return None
    finally:
        db.close()
    return None


def _of_the_database(settings: Settings) -> Iterator[Finding]:
    db = Database(settings.database)
    try:
        yield from grants.check_own_grants(db, settings, DUTY)
    except PanelError as error:
        found = "; ".join([str(error), *error.problems])
        yield Finding("database", WRONG, found, "an answer", error.hint)
    finally:
        db.close()


def _of_the_mount(settings: Settings) -> Iterator[Finding]:
    try:
        findings = (finding for check in MOUNT_CHECKS for finding in check(settings.mount))
        yield from iterate_with_timeout(findings, MOUNT_TIMEOUT_SECONDS)
    except PanelError as error:
        yield Finding("mount", WRONG, str(error), "both folders of [mount] can be read", error.hint)


def _line(finding: Finding) -> str:
    return f"{finding.check}: found {finding.found.rstrip('.')}, expected {finding.expected}. {finding.advice}".rstrip()
