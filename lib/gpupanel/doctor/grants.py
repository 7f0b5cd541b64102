"""Compare the privileges of the accounts with etc/grants.sql."""

import re
from collections.abc import Iterator
from itertools import product
from typing import Any, NamedTuple

from ..config import Settings
from ..db import Database
from ..errors import DatabaseAccessError
from .findings import Finding, NOTE, OK, WRONG
from ..db.expected import ACCOUNTS, ARCHIVER, SEALER, read_statements

GRANT = re.compile(r"GRANT (.+?) ON (?:(?:PROCEDURE|FUNCTION|PACKAGE|PACKAGE BODY) )?(\S+) TO (\S+)(.*)", re.DOTALL)
ROLE = re.compile(r"GRANT (\S+) TO ")
PRIVILEGE = re.compile(r"([A-Z][A-Z ]*[A-Z])(?:\s*\(([^)]*)\))?")
# account of etc/grants.sql -> whose it is, and the configuration that names it
OWNERS = {
    ACCOUNTS[0]: "the panel's account", ACCOUNTS[1]: "the worker's account", SEALER: "the account of seal",
    ARCHIVER: "the account of archive",
}
FILES = {ACCOUNTS[0]: "panel.conf", ACCOUNTS[1]: "worker.conf"}
EVERY_USER = "SELECT User AS user, Host AS host FROM mysql.user WHERE User IN %(accounts)s ORDER BY User, Host"


class Privilege(NamedTuple):
    """A privilege on a scope; `column` is * for the whole table."""

    scope: str
    privilege: str
    column: str


def check_own_grants(db: Database, settings: Settings, duty: str = "") -> Iterator[Finding]:
    """Check the account in use against the grants of `duty`, or of the duty that its name or its grants show.

    An account of another duty gets no advice to grant: one account with the rights of both would undo their separation.
    """
    [row] = db.execute("SELECT CURRENT_USER() AS who")
    user, host = row["who"].rsplit("@", 1)
    database, grants = settings.database.name, db.execute("SHOW GRANTS")
    if user not in OWNERS and not duty and _is_administrator(grants):
        yield Finding(
            f"rights of {row['who']}", NOTE, "an administrator", "the account of the panel or of the worker",
            f"Run doctor with the panel's configuration, in which [database] user is not {user}.",
        )
        return
    own = user if user in OWNERS else _duty_by_grants(grants, database)
    if duty and own != duty and (user in OWNERS or _lacking(grants, duty, database)):
        yield Finding(
            "account", WRONG, f"{user}@{host}, {OWNERS[own]}", f"{duty}, {OWNERS[duty]}",
            f"Use the configuration that names {OWNERS[duty]}: --config {FILES[duty]}. Grant this account nothing.",
        )
        return
    yield from _compare(_quoted(user, host), duty or own, grants, database)


def _is_administrator(grants: list[dict[str, Any]]) -> bool:
    """Whether the account manages others: taking its rights away would lock the database."""
    held = {right for row in grants for right in _rights(next(iter(row.values())), "")}
    return any(
        right.scope == "*.*" and right.privilege in ("ALL PRIVILEGES", "GRANT OPTION", "SUPER", "CREATE USER")
        for right in held
    )


def _duty_by_grants(grants: list[dict[str, Any]], database: str) -> str:
    """The duty of an account with a name of its own: that of which it lacks the least; of several the panel's."""
    return min(ACCOUNTS, key=lambda duty: len(_lacking(grants, duty, database)) / len(expected_privileges(duty)))


def _lacking(grants: list[dict[str, Any]], duty: str, database: str) -> set[Privilege]:
    held = _held(grants, database)
    return {right for right in expected_privileges(duty) if not _covered(right, held, database)}


def _held(grants: list[dict[str, Any]], database: str) -> set[Privilege]:
    return {right for row in grants for right in _rights(next(iter(row.values())), database)}


def check_other_accounts(db: Database, settings: Settings) -> Iterator[Finding]:
    """Check the other accounts, if this one may read their grants."""
    try:
        users = db.execute(EVERY_USER, accounts=tuple(OWNERS))
    except DatabaseAccessError:
        return
    for user, host in ((row["user"], row["host"]) for row in users):
        if user != settings.database.user:
            who = _quoted(user, host)
            yield from _compare(who, user, db.execute(f"SHOW GRANTS FOR {who}"), settings.database.name)
    for account in OWNERS.keys() - {row["user"] for row in users}:
        advice = "Run bin/gpupanel init-db."
        yield Finding(f"account {account}", WRONG, "missing", "the account of etc/grants.sql", advice)


def expected_privileges(account: str) -> set[Privilege]:
    """The privileges that etc/grants.sql grants to the account."""
    granted = (text for text in read_statements("grants.sql") if text.endswith(f" TO {account}@localhost"))
    return {right for text in granted for right in _rights(text, "")}


def _compare(who: str, duty: str, grants: list[dict[str, Any]], database: str) -> Iterator[Finding]:
    held, lacking = _held(grants, database), _lacking(grants, duty, database)
    wanted, name = expected_privileges(duty), who.replace("'", "")
    for scope, rights in _by_scope(lacking):
        yield Finding(
            f"rights of {name} on {scope}", WRONG, f"missing {rights}", f"those of {duty} in etc/grants.sql",
            f"Run bin/gpupanel init-db, or: GRANT {rights} ON {scope} TO {who};",
        )
    for scope, rights in _by_scope(held - wanted):
        revoke = f"REVOKE {rights} ON {scope} FROM {who};" if scope != "role" else f"REVOKE {rights} FROM {who};"
        level = NOTE if _elsewhere(scope, database) else WRONG
        yield Finding(
            f"rights of {name} on {scope}", level, f"{rights}, too", "those of etc/grants.sql and no more", revoke,
        )
    if not lacking and all(_elsewhere(right.scope, database) for right in held - wanted):
        yield Finding(f"rights of {name}", OK, f"those of {duty}", "those of etc/grants.sql")


def _elsewhere(scope: str, database: str) -> bool:
    """Whether the scope is another database, other than `mysql`."""
    return "." in scope and scope.partition(".")[0] not in (database, "*", "mysql")


def _quoted(user: str, host: str) -> str:
    return "@".join("'" + text.replace("'", "''") + "'" for text in (user, host))


def _covered(right: Privilege, held: set[Privilege], database: str) -> bool:
    """Whether this privilege is held, or a wider one."""
    scopes = (right.scope, f"{database}.*", "*.*")
    wider = product(scopes, (right.privilege, "ALL PRIVILEGES"), (right.column, "*"))
    return not held.isdisjoint(Privilege(*privilege) for privilege in wider)


def _rights(text: str, database: str) -> Iterator[Privilege]:
    """Parse one GRANT statement."""
    match = GRANT.match(text)
    if match is None:
        if role := ROLE.match(text):
            yield Privilege("role", role[1].strip("`"), "*")
        return
    scope = match[2].replace("`", "").replace("\\", "")
    scope = scope.removeprefix(f"{database}.") if database and scope != f"{database}.*" else scope
    for privilege, columns in PRIVILEGE.findall(match[1]):
        for column in re.findall(r"\w+", columns) or ["*"]:
            if privilege != "USAGE":
                yield Privilege(scope, privilege, column)
    if "WITH GRANT OPTION" in match[4]:
        yield Privilege(scope, "GRANT OPTION", "*")


def _by_scope(rights: set[Privilege]) -> Iterator[tuple[str, str]]:
    """(scope, `INSERT, UPDATE (state)`), in order."""
    for scope in sorted({right.scope for right in rights}):
        yield scope, ", ".join(
            right.privilege if right.column == "*" else f"{right.privilege} ({right.column})"
            for right in sorted(rights) if right.scope == scope
        )
