"""Run all checks of an installation, in order."""

from collections.abc import Callable, Iterator

from ..config import Settings
from ..db import Database
from ..errors import DatabaseUnavailableError, MountUnavailableError, PanelError, UnsupportedServerError
from ..mount import iterate_with_timeout
from . import file_permissions, grants, mount_checks, queue_checks, schema_diff, server_settings
from .findings import Finding, WRONG

# check -> function; the name is reported if the database cannot answer it
OF_THE_DATABASE: dict[str, Callable[[Database, Settings], Iterator[Finding]]] = {
    "version": server_settings.check_version, "isolation": server_settings.check_isolation,
    "snapshots": server_settings.check_snapshot_isolation, "binlog": server_settings.check_binlog_format,
    "packet": server_settings.check_max_packet,
    "session settings": server_settings.check_session_settings, "clock": server_settings.check_clock,
    "schema version": schema_diff.version, "compare": schema_diff.compare_schema, "own": grants.check_own_grants,
    "others": grants.check_other_accounts, "claim plan": queue_checks.check_claim_plan,
    "silent": queue_checks.stale_jobs, "unclaimed": queue_checks.running_without_claim,
    "astray": queue_checks.status_mismatch, "orphaned": queue_checks.batches_without_job,
    "waiting": queue_checks.check_queue_age, "workers": queue_checks.check_workers,
    "held": queue_checks.check_held_long, "sweep": queue_checks.check_perl_sweep,
}
MOUNT_CHECKS = (mount_checks.check_sentinels, mount_checks.check_assets, mount_checks.check_read_only)
FILE_CHECKS = (
    file_permissions.check_configuration, file_permissions.check_password_file, file_permissions.check_secret_file,
    file_permissions.check_notify_files, file_permissions.check_templates,
)

ANSWER_SECONDS = 60


def run_checks(settings: Settings, seconds: float | None = None) -> list[Finding]:
    """Run all checks; database and mount may take `seconds` each."""
    return [
        *_of_the_database(settings, seconds), *_of_the_mount(settings, seconds),
        *(finding for check in FILE_CHECKS for finding in check(settings)),
    ]


def _of_the_database(settings: Settings, seconds: float | None) -> Iterator[Finding]:
    db = Database(settings.database, read_timeout=seconds or ANSWER_SECONDS)
    try:
        for name, check in OF_THE_DATABASE.items():
            try:
                yield from check(db, settings)
            except (DatabaseUnavailableError, UnsupportedServerError):
                raise
            except PanelError as error:
                yield _failed(name, error)
    except DatabaseUnavailableError as error:
        yield _failed("database", error)
    except UnsupportedServerError as error:
        yield Finding("MariaDB version", WRONG, str(error), "MariaDB 10.6 or later", error.hint)
    finally:
        db.close()


def _of_the_mount(settings: Settings, seconds: float | None) -> Iterator[Finding]:
    try:
        yield from iterate_with_timeout(
            (finding for check in MOUNT_CHECKS for finding in check(settings.mount)), seconds
        )
    except MountUnavailableError as error:
        sync_dir = settings.mount.sync_dir
        yield Finding("mount", WRONG, str(error), f"{sync_dir} is mounted and readable", error.hint)


def _failed(name: str, error: PanelError) -> Finding:
    return Finding(name, WRONG, str(error), "an answer of the server", error.hint or "Look at MariaDB's log.")
