"""Map the driver's errors to exceptions, by error number.

docs/CONTRACT.md, 8. Queue.
"""

import pymysql

from .. import errors

CONFLICT = {1020, 1205, 1213}
LOST = {0, 1053, 1077, 1158, 1159, 1160, 1161, 1927, 2006, 2013, 2014, 2055, 4031}
UNREACHABLE = {1021, 1040, 1041, 1047, 1114, 1129, 1203, 1226, 1290, 1836, 2002, 2003, 2005}
DENIED = {1044, 1045, 1142, 1143, 1227, 1370, 1698, 4151}
NO_SCHEMA = {1049, 1054, 1146, 1176}
REFUSED_DATA = {1048, 1062, 1264, 1265, 1292, 1366, 1406, 1452, 4025}
DUPLICATE = 1062
# The classes of other server problems, such as no memory, a full disk or an interrupted statement.
TROUBLE = (pymysql.OperationalError, pymysql.InternalError)


class DataError(errors.PanelError):
    message = "The database refused a value."


class DuplicateKeyError(DataError):
    message = "The database has such a row already."


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
    if code == DUPLICATE:
        return DuplicateKeyError(text)
    if code in REFUSED_DATA or isinstance(error, pymysql.DataError):
        return DataError(text)
    if code in DENIED:
        return errors.DatabaseAccessError(text)
    if code in NO_SCHEMA:
        return errors.DatabaseUnavailableError(text, "Run bin/gpupanel init-db with an account that may create tables.")
    if code in LOST:
        return ConnectionLostError()
    if code in UNREACHABLE:
        return errors.DatabaseUnavailableError(text)
    kind = DatabaseInternalError if isinstance(error, TROUBLE) else errors.PanelError
    return kind(f"The database answered with error {code}: {text}")
