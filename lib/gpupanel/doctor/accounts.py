"""What the accounts may do, against etc/grants.sql: neither less nor more."""

import re
from collections.abc import Iterator
from itertools import product
from typing import NamedTuple

from ..config import Settings
from ..database import Database
from ..errors import DatabaseDenied
from .finding import NOTE, OK, WRONG, Finding
from .sources import ACCOUNTS, SEALER, statements

GRANT = re.compile(r"GRANT (.+?) ON (?:(?:PROCEDURE|FUNCTION|PACKAGE|PACKAGE BODY) )?(\S+) TO (\S+)(.*)", re.DOTALL)
ROLE = re.compile(r"GRANT (\S+) TO ")
PRIVILEGE = re.compile(r"([A-Z][A-Z ]*[A-Z])(?:\s*\(([^)]*)\))?")
EVERY_USER = "SELECT User AS user, Host AS host FROM mysql.user WHERE User IN %(accounts)s ORDER BY User, Host"


class Right(NamedTuple):
    """`scope` is a table of ours, or `database.table`; `column` is * where the whole is meant."""

    scope: str
    privilege: str
    column: str


def own(db: Database, settings: Settings, duty: str = "") -> Iterator[Finding]:
    """The account in use, against that `duty`; by default it is its name's, and any other name has the panel's."""
    [row] = db.execute("SELECT CURRENT_USER() AS who")
    duty = duty or (settings.database.user if settings.database.user in (*ACCOUNTS, SEALER) else ACCOUNTS[0])
    yield from _compare(_quoted(*row["who"].rsplit("@", 1)), duty, db.execute("SHOW GRANTS"), settings.database.name)


def others(db: Database, settings: Settings) -> Iterator[Finding]:
    """The other accounts, when ours is one that can see them."""
    try:
        users = db.execute(EVERY_USER, accounts=(*ACCOUNTS, SEALER))
    except DatabaseDenied:
        return
    for user, host in ((row["user"], row["host"]) for row in users):
        if user != settings.database.user:
            who = _quoted(user, host)
            yield from _compare(who, user, db.execute(f"SHOW GRANTS FOR {who}"), settings.database.name)
    for account in {*ACCOUNTS, SEALER} - {row["user"] for row in users}:
        yield Finding(f"account {account}", WRONG, "missing", "the account of etc/grants.sql", "Run bin/gpupanel init-db.")


def expected(account: str) -> set[Right]:
    """What etc/grants.sql grants to the account."""
    granted = (text for text in statements("grants.sql") if text.endswith(f" TO {account}@localhost"))
    return {right for text in granted for right in _rights(text, "")}


def _compare(who: str, duty: str, grants: list[dict], database: str) -> Iterator[Finding]:
    held = {right for row in grants for right in _rights(next(iter(row.values())), database)}
    wanted, name = expected(duty), who.replace("'", "")
    lacking = {right for right in wanted if not _covered(right, held, database)}
    for scope, rights in _by_scope(lacking):
        yield Finding(
            f"rights of {name} on {scope}", WRONG, f"missing {rights}", f"those of {duty} in etc/grants.sql",
            f"Run bin/gpupanel init-db, or: GRANT {rights} ON {scope} TO {who};",
        )
    for scope, rights in _by_scope(held - wanted):
        revoke = f"REVOKE {rights} ON {scope} FROM {who};" if scope != "role" else f"REVOKE {rights} FROM {who};"
        level = NOTE if _elsewhere(scope, database) else WRONG
        yield Finding(f"rights of {name} on {scope}", level, f"{rights}, too", "those of etc/grants.sql and no more", revoke)
    if not lacking and all(_elsewhere(right.scope, database) for right in held - wanted):
        yield Finding(f"rights of {name}", OK, f"those of {duty}", "those of etc/grants.sql")


def _elsewhere(scope: str, database: str) -> bool:
    """Whether this is another database, such as a test's, which is no danger to ours; mysql's own is."""
    return "." in scope and scope.partition(".")[0] not in (database, "*", "mysql")


def _quoted(user: str, host: str) -> str:
    return "@".join("'" + text.replace("'", "''") + "'" for text in (user, host))


def _covered(right: Right, held: set[Right], database: str) -> bool:
    """Whether the right is held as such, or by a wider one."""
    scopes = (right.scope, f"{database}.*", "*.*")
    wider = product(scopes, (right.privilege, "ALL PRIVILEGES"), (right.column, "*"))
    return not held.isdisjoint(Right(*each) for each in wider)


def _rights(text: str, database: str) -> Iterator[Right]:
    """What one GRANT statement grants; a table of `database` goes by its name alone."""
    match = GRANT.match(text)
    if match is None:
        if role := ROLE.match(text):
            yield Right("role", role[1].strip("`"), "*")
        return
    scope = match[2].replace("`", "").replace("\\", "")
    scope = scope.removeprefix(f"{database}.") if database and scope != f"{database}.*" else scope
    for privilege, columns in PRIVILEGE.findall(match[1]):
        for column in re.findall(r"\w+", columns) or ["*"]:
            if privilege != "USAGE":
                yield Right(scope, privilege, column)
    if "WITH GRANT OPTION" in match[4]:
        yield Right(scope, "GRANT OPTION", "*")


def _by_scope(rights: set[Right]) -> Iterator[tuple[str, str]]:
    """(scope, `INSERT, UPDATE (state)`), in order."""
    for scope in sorted({right.scope for right in rights}):
        named = (right for right in sorted(rights) if right.scope == scope)
        yield scope, ", ".join(f"{each.privilege} ({each.column})" if each.column != "*" else each.privilege for each in named)
