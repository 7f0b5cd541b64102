"""The MariaDB server itself, as our own connection sees it."""

import re
from collections.abc import Iterator
from datetime import datetime, timezone

from ...config import Settings
from ...database import Database
from .finding import Finding, judge

OLDEST = (10, 6)
CLOCK_SECONDS = 2


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


def binlog(db: Database, settings: Settings) -> Iterator[Finding]:
    """READ COMMITTED cannot be logged by statements."""
    logging, written = _value(db, "@@log_bin"), _value(db, "@@binlog_format")
    yield judge(
        "binary log", not logging or written in ("ROW", "MIXED"), written if logging else "off", "off, ROW or MIXED",
        "Set binlog_format = MIXED in MariaDB's configuration.",
    )


def clock(db: Database, settings: Settings) -> Iterator[Finding]:
    """All our times are the database's; another clock here only confuses whoever compares logs."""
    theirs = _value(db, "UTC_TIMESTAMP(6)").replace(tzinfo=timezone.utc)
    offset = abs((datetime.now(timezone.utc) - theirs).total_seconds())
    yield judge(
        "clocks", offset < CLOCK_SECONDS, f"{offset:.1f} s apart", f"less than {CLOCK_SECONDS} s between us and MariaDB",
        "Let both machines keep time by NTP.", otherwise="note",
    )


def _value(db: Database, expression: str):
    [row] = db.execute(f"SELECT {expression} AS value")
    return row["value"]
