"""init-db: the database and its two accounts."""

from ...errors import DatabaseDenied
from .. import schema
from ..shell import Shell

NEXT = (
    "Next, as the same account, give each of the two a password of its own and open it:",
    *(f"  ALTER USER {account}@localhost IDENTIFIED BY '...' ACCOUNT UNLOCK;" for account in schema.ACCOUNTS),
    "and write the passwords to the files that etc/panel.conf and etc/worker.conf name.",
)


def init_db(shell: Shell) -> int:
    """JSON: {database, made: [text], accounts: [name]}."""
    settings = shell.settings.database
    try:
        made = schema.apply(settings)
    except DatabaseDenied as error:
        raise DatabaseDenied(str(error), "Use an account that may create databases, tables and users.") from None
    lines = [f"Database {settings.name}: {len(made)} made." if made else f"Database {settings.name} was complete already."]
    data = {"database": settings.name, "made": made, "accounts": list(schema.ACCOUNTS)}
    shell.tell(data, [*lines, *(f"  {each}" for each in made), *NEXT])
    return 0
