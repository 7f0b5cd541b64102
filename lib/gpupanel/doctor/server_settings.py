"""Checks of the MariaDB server's settings, from our own sessions."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from ..config import Settings
from ..db import Database
from ..db.sign_in import is_supported
from .findings import Finding, WRONG, judge, suggest

CLOCK_SECONDS = 2
# Values of variables that a session cannot set without a privilege, or in every build of MariaDB.
USUAL = {
    "enforce_storage_engine": ("", "InnoDB"), "old": ("OFF",),
    "wsrep_dirty_reads": ("OFF",), "wsrep_osu_method": ("TOI",),
}
PACKET = 16  # MiB; a document of 7 MiB may double when it is quoted


def check_version(db: Database, settings: Settings) -> Iterator[Finding]:
    """SKIP LOCKED needs MariaDB 10.6.

    The first check reads in a transaction, because a node that is cut off from its Galera cluster refuses those by
    name. Outside of a transaction the node ends a SELECT with a lock wait timeout (wsrep_sync_wait).
    """
    [row] = db.run_read(lambda tx: tx.fetch_all_sql("SELECT VERSION() AS value"))
    text = row["value"]
    yield judge(
        "MariaDB version", is_supported(text), text, "MariaDB 10.6 or later",
        "Upgrade MariaDB: the queue needs SELECT ... FOR UPDATE SKIP LOCKED.",
    )


def check_isolation(db: Database, settings: Settings) -> Iterator[Finding]:
    """Sessions must run at READ COMMITTED."""
    level = _value(db, "@@tx_isolation")
    yield judge(
        "isolation of our sessions", level == "READ-COMMITTED", level, "READ-COMMITTED",
        "A proxy or init_connect resets it: remove that setting.",
    )


def check_snapshot_isolation(db: Database, settings: Settings) -> Iterator[Finding]:
    """With it, a claim of changed rows fails, except at READ COMMITTED."""
    rows = db.execute("SHOW VARIABLES LIKE 'innodb_snapshot_isolation'")
    value = rows[0]["Value"] if rows else "unknown to this version"
    yield suggest(
        "innodb_snapshot_isolation", value != "ON" or _value(db, "@@tx_isolation") == "READ-COMMITTED", value,
        "OFF, or sessions at READ COMMITTED", "Set innodb_snapshot_isolation = OFF in MariaDB's configuration.",
    )


def check_binlog_format(db: Database, settings: Settings) -> Iterator[Finding]:
    """Statement-based logging cannot record which row SKIP LOCKED takes."""
    logging, written = _value(db, "@@log_bin"), _value(db, "@@binlog_format")
    yield judge(
        "binary log", not logging or written in ("ROW", "MIXED"), written if logging else "off", "off, ROW or MIXED",
        "Set binlog_format = MIXED in MariaDB's configuration.",
    )


def check_max_packet(db: Database, settings: Settings) -> Iterator[Finding]:
    """A quoted document must fit into one packet."""
    size = _value(db, "@@max_allowed_packet") / 2**20
    yield judge(
        "max_allowed_packet", size >= PACKET, f"{size:g} MiB", f"{PACKET} MiB or more",
        f"Set max_allowed_packet = {PACKET}M in MariaDB's configuration: larger documents could not be stored.",
    )


def check_session_settings(db: Database, settings: Settings) -> Iterator[Finding]:
    """Check what a session may not set (docs/decisions/0120-session-variables.md)."""
    rows = db.execute("SHOW SESSION VARIABLES WHERE Variable_name IN %(names)s", names=list(USUAL))
    other = {name: value for name, value in (row.values() for row in rows) if value not in USUAL[name]}
    for name, value in other.items():
        expected = " or ".join(text or "empty" for text in USUAL[name])
        yield Finding(name, WRONG, value, expected, f"Set {name} so in MariaDB's configuration.")
    if not other:
        yield judge("session settings", True, "as usual", "the usual values", "")


def check_clock(db: Database, settings: Settings) -> Iterator[Finding]:
    """Stored times are the database's; logs have those of this host."""
    theirs = _value(db, "UTC_TIMESTAMP(6)").replace(tzinfo=UTC)
    offset = abs((datetime.now(UTC) - theirs).total_seconds())
    yield suggest(
        "clocks", offset < CLOCK_SECONDS, f"{offset:.1f} s apart",
        f"less than {CLOCK_SECONDS} s between this host and MariaDB",
        "Synchronise both hosts by NTP.",
    )


def _value(db: Database, expression: str) -> Any:
    [row] = db.execute(f"SELECT {expression} AS value")
    return row["value"]
