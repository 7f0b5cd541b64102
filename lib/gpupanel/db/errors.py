"""Map the driver's errors to exceptions, by error number.

An error that a table below names belongs to the server as a whole, and never to the rows of a statement
(docs/decisions/0115-files-are-checked.md).
"""

import pymysql

from .. import errors

# The whole transaction runs again.
CONFLICT = {1020, 1205, 1213, 1969, 3024}
# The connection or the node is gone.
LOST = {0, 1047, 1053, 1077, 1158, 1159, 1160, 1161, 1927, 2006, 2013, 2014, 2027, 2055, 4031}
UNREACHABLE = {1040, 1041, 1129, 1203, 1226, 1290, 1836, 2002, 2003, 2005}
# Files, memory, disk space, damaged tables, interrupted statements.
TROUBLE = {
    3, 5, 28, 1010, 1011, 1015, 1016, 1017, 1018, 1021, 1023, 1024, 1026, 1028, 1030, 1033, 1034, 1035, 1037, 1038, 1114,
    1180, 1194, 1195, 1206, 1317, 1637, 1712, 1792, 1812, 1813, 1814, 1815, 1877, 1878, 1932,
}
DENIED = {1044, 1045, 1142, 1143, 1227, 1370, 1698, 4151}
NO_SCHEMA = {1049, 1054, 1146, 1176}
SYNTAX = 1064
DUPLICATE = 1062
CLIENT_ERRORS = range(2000, 3000)  # numbers of the client library


class DataError(errors.PanelError):
    message = "The database refused a value."


class DuplicateKeyError(DataError):
    message = "The database has such a row already."


class PacketTooLargeError(DataError):
    """A statement that the server would not accept; it was not sent."""

    message = "The statement is larger than max_allowed_packet."
    hint = "Increase max_allowed_packet of the server, then try again."


class ConnectionLostError(errors.DatabaseUnavailableError):
    message = "The connection to the database was lost; its open transaction is rolled back."


class DatabaseInternalError(errors.DatabaseUnavailableError):
    message = "The database could not execute the statement."
    hint = "Look at MariaDB's error log: memory, disk space, limits; then try again."


def translate_error(error: pymysql.MySQLError) -> errors.PanelError:
    """Convert a driver error; its message has no statement or parameter."""
    code = error.args[0] if error.args and isinstance(error.args[0], int) else 0
    text = str(error.args[1]) if len(error.args) > 1 else str(error)
    if code in CONFLICT:
        return errors.DatabaseConflictError()
    if code in DENIED:
        return errors.DatabaseAccessError(text)
    if code in NO_SCHEMA:
        return errors.DatabaseUnavailableError(text, "Run bin/gpupanel init-db with an account that may create tables.")
    if code in LOST:
        return ConnectionLostError()
    if code in UNREACHABLE or code in CLIENT_ERRORS:
        return errors.DatabaseUnavailableError(text)
    if code in TROUBLE:
        return DatabaseInternalError(f"The database answered with error {code}: {text}")
    return _refused(code, text)


def _refused(code: int, text: str) -> errors.PanelError:
    """Return the error of a statement that the server understood and refused for its values."""
    if code == SYNTAX:
        return errors.PanelError(f"The database answered with error {code}: {text}")
    return DuplicateKeyError(text) if code == DUPLICATE else DataError(text)
