"""Options of one section that contradict each other, and certificates that cannot be read."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .option_kinds import LOCAL_HOSTS
from .settings import DatabaseSettings, NotifySettings, WorkerSettings


def find_contradictions(values: Mapping[str, dict[str, Any]]) -> list[str]:
    """Return the contradictions among the options of a file: section -> option -> value."""
    return [
        *_in_database(DatabaseSettings(**values["database"])), *_in_worker(WorkerSettings(**values["worker"])),
        *_in_notify(NotifySettings(**values["notify"])),
    ]


def _in_database(database: DatabaseSettings) -> list[str]:
    """Return what [database] says twice, and files that cannot be read."""
    problems = []
    if database.ssl == "off" and database.requires_tls:
        problems.append("[database] ssl: found off beside other ssl_ options, expected auto or required")
    if (database.ssl_cert is None) != (database.ssl_key is None):
        problems.append("[database] ssl_cert and ssl_key: found one of them, expected both or neither")
    for option in ("ssl_ca", "ssl_cert", "ssl_key"):
        file: Path | None = getattr(database, option)
        if file is not None and not os.access(file, os.R_OK):
            problems.append(f"[database] {option}: {file} cannot be read")
    return problems


def _in_worker(worker: WorkerSettings) -> list[str]:
    if worker.heartbeat_seconds * 2 > worker.stale_minutes * 60:
        return [
            f"[worker] heartbeat_seconds: found {worker.heartbeat_seconds:g}, expected at most half of "
            f"stale_minutes ({worker.stale_minutes:g} minutes), or live workers lose their jobs"
        ]
    return []


def _in_notify(notify: NotifySettings) -> list[str]:
    problems = []
    if bool(notify.mail_to) != bool(notify.mail_from):
        problems.append("[notify] mail_to and mail_from: found one of them, expected both or neither")
    if bool(notify.smtp_user) != bool(notify.smtp_password_file):
        problems.append("[notify] smtp_user and smtp_password_file: found one of them, expected both or neither")
    if notify.smtp_user and notify.tls == "off" and notify.smtp_host not in LOCAL_HOSTS:
        problems.append("[notify] smtp_tls: found off beside smtp_user, expected TLS: the password would be readable")
    return problems
