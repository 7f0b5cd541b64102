"""What our own account may do, against etc/grants.sql: neither less nor more."""

import re
from collections.abc import Iterator
from itertools import product

from ...config import Settings
from ...database import Database
from ...paths import shipped
from ..schema import ACCOUNTS, statements
from .finding import WRONG, Finding, judge

GRANT = re.compile(r"GRANT (.+?) ON (?:(\S+)\.)?(\S+) TO (\S+)", re.DOTALL)
PRIVILEGE = re.compile(r"([A-Z][A-Z ]*[A-Z])(?:\s*\(([^)]*)\))?")

Right = tuple[str, str, str]  # table, privilege, column or *


def compare(db: Database, settings: Settings) -> Iterator[Finding]:
    """A finding for each table with too few rights or too many; one that says so when all is well."""
    duty = settings.database.user if settings.database.user in ACCOUNTS else ACCOUNTS[0]
    wanted, held = expected(duty), _held(db)
    surplus, lacking = held - wanted, {right for right in wanted if not _covered(right, held, settings.database.name)}
    for table, rights in _by_table(lacking):
        yield Finding(
            f"rights on {table}", WRONG, f"missing {rights}", f"those of {duty} in etc/grants.sql",
            "Run bin/gpupanel init-db, which grants what is missing.",
        )
    for table, rights in _by_table(surplus):
        yield Finding(
            f"rights on {table}", WRONG, f"{rights}, too", f"those of {duty} in etc/grants.sql and no more",
            f"REVOKE {rights} ON {table} FROM {settings.database.user}@...;",
        )
    if not surplus and not lacking:
        yield judge("rights", True, f"those of {duty}", "those of etc/grants.sql", "")


def _covered(right: Right, held: set[Right], database: str) -> bool:
    """Whether the right is held as such, or by a wider one."""
    table, privilege, column = right
    wider = product((table, f"{database}.*", "*.*"), (privilege, "ALL PRIVILEGES"), (column, "*"))
    return not held.isdisjoint(wider)


def expected(account: str) -> set[Right]:
    """What etc/grants.sql grants to the account."""
    texts = statements((shipped("etc") / "grants.sql").read_text(encoding="utf-8"))
    return {right for text in texts for right in _rights(text, account)}


def _held(db: Database) -> set[Right]:
    """What MariaDB grants to us in the current database or on all of them."""
    [current] = db.execute("SELECT DATABASE() AS name")
    rights: set[Right] = set()
    for row in db.execute("SHOW GRANTS"):
        rights |= set(_rights(next(iter(row.values())), database=current["name"]))
    return rights


def _rights(text: str, account: str = "", database: str = "") -> Iterator[Right]:
    match = GRANT.match(text)
    if match is None or account and match[4].partition("@")[0] != account:
        return
    scope, table = ((match[2] or "").strip("`"), match[3].strip("`"))
    if scope not in ("", "*", database):
        return
    for privilege, columns in PRIVILEGE.findall(match[1]):
        for column in re.findall(r"\w+", columns) or ["*"]:
            if privilege != "USAGE":
                yield (table if table != "*" else f"{scope}.*", privilege, column)


def _by_table(rights: set[Right]) -> Iterator[tuple[str, str]]:
    """(table, `INSERT, UPDATE (state)`), in order."""
    for table in sorted({right[0] for right in rights}):
        named = ((privilege, column) for t, privilege, column in sorted(rights) if t == table)
        yield table, ", ".join(privilege if column == "*" else f"{privilege} ({column})" for privilege, column in named)
