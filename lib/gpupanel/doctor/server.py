"""The MariaDB server itself, as our own connection sees it."""

import re
from collections.abc import Iterator
from datetime import datetime, timezone

from ..config import Settings
from ..database import Database
from .finding import NOTE, Finding, judge

OLDEST = (10, 6)
CLOCK_SECONDS = 2
PACKET = 16  # MiB; a document of 7 MiB may double when it is quoted


def version(db: Database, settings: Settings) -> Iterator[Finding]:
    """SKIP LOCKED came with 10.6."""
    text = _value(db, "VERSION()")
    numbers = tuple(map(int, re.match(r"(\d+)\.(\d+)", text).groups()))
    yield judge(
        "MariaDB version", "MariaDB" in text and numbers >= OLDEST, text, "MariaDB 10.6 or later",
        "Upgrade MariaDB: the queue needs SELECT ... FOR UPDATE SKIP LOCKED.",
    )


def isolation(db: Database, settings: Settings) -> Iterator[Finding]:
    level = _value(db, "@@tx_isolation")
    yield judge(
        "isolation of our sessions", level == "READ-COMMITTED", level, "READ-COMMITTED",
        "Something between us and MariaDB (a proxy, init_connect) resets it: remove that.",
    )


def snapshots(db: Database, settings: Settings) -> Iterator[Finding]:
    """At READ COMMITTED it changes nothing; at any other level a claim that comes late fails instead of waiting."""
    rows = db.execute("SHOW VARIABLES LIKE 'innodb_snapshot_isolation'")
    value = rows[0]["Value"] if rows else "not known to this version"
    yield judge(
        "innodb_snapshot_isolation", value != "ON" or _value(db, "@@tx_isolation") == "READ-COMMITTED", value,
        "OFF, or sessions at READ COMMITTED", "Set innodb_snapshot_isolation = OFF in MariaDB's configuration.",
        otherwise=NOTE,
    )


def binlog(db: Database, settings: Settings) -> Iterator[Finding]:
    """Which row SKIP LOCKED takes, and what READ COMMITTED sees, cannot be logged by statements."""
    logging, written = _value(db, "@@log_bin"), _value(db, "@@binlog_format")
    yield judge(
        "binary log", not logging or written in ("ROW", "MIXED"), written if logging else "off", "off, ROW or MIXED",
        "Set binlog_format = MIXED in MariaDB's configuration.",
    )


def packet(db: Database, settings: Settings) -> Iterator[Finding]:
    size = _value(db, "@@max_allowed_packet") / 2**20
    yield judge(
        "max_allowed_packet", size >= PACKET, f"{size:g} MiB", f"{PACKET} MiB or more",
        f"Set max_allowed_packet = {PACKET}M in MariaDB's configuration: larger documents could not be stored.",
    )


def clock(db: Database, settings: Settings) -> Iterator[Finding]:
    """All our times are the database's; another clock here only confuses whoever compares logs."""
    theirs = _value(db, "UTC_TIMESTAMP(6)").replace(tzinfo=timezone.utc)
    offset = abs((datetime.now(timezone.utc) - theirs).total_seconds())
    yield judge(
        "clocks", offset < CLOCK_SECONDS, f"{offset:.1f} s apart", f"less than {CLOCK_SECONDS} s between us and MariaDB",
        "Let both machines keep time by NTP.", otherwise=NOTE,
    )


def _value(db: Database, expression: str):
    [row] = db.execute(f"SELECT {expression} AS value")
    return row["value"]
