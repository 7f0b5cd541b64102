"""gpupanel init-db: create or complete the database and its accounts."""

from contextlib import closing

from ..errors import DatabaseAccessError, InvalidStateError
from ..db import Database, schema
from ..doctor.schema_script import schema_script
from .context import CommandContext

NEXT_STEPS = (
    "Next, as the same account, give each of the two accounts its own password and unlock it:",
    *(f"  ALTER USER {account}@localhost IDENTIFIED BY '...' ACCOUNT UNLOCK;" for account in schema.ACCOUNTS),
    "Write each password to the file that etc/panel.conf or etc/worker.conf names.",
)


def run(context: CommandContext) -> int:
    """JSON: {database, made: [text], accounts: [name]}."""
    settings = context.settings.database
    try:
        made = schema.apply(settings)
    except schema.ForeignTablesError as error:
        raise InvalidStateError(str(error), f"{error.hint}\n{_first_statements(context)}") from None
    except DatabaseAccessError as error:
        if error.hint != DatabaseAccessError.hint:  # a reason of its own, such as another server
            raise
        raise DatabaseAccessError(str(error), "Use an account that may create databases, tables and users.") from None
    summary = f"Database {settings.name}: {len(made)} created." if made else f"Database {settings.name} is complete."
    data = {"database": settings.name, "made": made, "accounts": list(schema.ACCOUNTS)}
    context.emit(data, [summary, *(f"  {name}" for name in made), *NEXT_STEPS])
    return 0


def _first_statements(context: CommandContext) -> str:
    """Return the first of the statements that change the tables, and how many there are, or the first obstacle."""
    with closing(Database(context.settings.database, read_timeout=schema.STATEMENT_TIMEOUT_SECONDS)) as db:
        script = schema_script(db, context.settings)
    if not script.statements and script.obstacles:
        return f"It has an obstacle first: {script.obstacles[0].place}: {script.obstacles[0].advice}".strip()
    after_session = next(text for text in script.statements if text.startswith("ALTER"))
    return f"The first of its {len(script.statements)} statements that changes a table: {after_session};"
