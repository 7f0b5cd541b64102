"""Map the driver's errors to exceptions, by error number.

docs/CONTRACT.md, 8. Queue.
"""

import ssl

import pymysql

from .. import errors

CONFLICT = {1020, 1205, 1213}
LOST = {0, 1053, 1077, 1158, 1159, 1160, 1161, 1927, 2006, 2013, 2014, 2055, 4031}
UNREACHABLE = {1021, 1040, 1041, 1047, 1114, 1129, 1203, 1226, 1290, 1836, 2002, 2003, 2005}
DENIED = {1044, 1045, 1130, 1142, 1143, 1227, 1251, 1275, 1370, 1524, 1698, 1820, 1862, 3159, 4151}
NO_SCHEMA = {1049, 1054, 1146, 1176}
REFUSED_DATA = {1048, 1062, 1264, 1265, 1292, 1366, 1406, 1452, 4025}
DUPLICATE = 1062
# What to do about one error, where the hint of its class would mislead.
HINTS = dict.fromkeys((1021, 1114), "Free disk space on MariaDB's host, or raise tmp_table_size; then try again.")
HINTS |= dict.fromkeys((1040, 1203, 1226), "Raise max_connections or the account's limit, or end other connections.")
HINTS |= dict.fromkeys((1290, 1836), "If the server is a replica, or read_only, name the primary server in [database].")
HINTS |= dict.fromkeys((1071, 1118, 1709), "The table has an old row format: ALTER TABLE ... ROW_FORMAT = DYNAMIC.")
HINTS |= dict.fromkeys((1153, 1301), "Set max_allowed_packet = 64M or more in MariaDB's configuration.")
HINTS |= dict.fromkeys((1820, 1862), "The account's password has expired: ALTER USER ... IDENTIFIED BY '...'.")
HINTS |= dict.fromkeys((1034, 1194, 1195), "Check the table with CHECK TABLE, and MariaDB's error log.")
HINTS |= dict.fromkeys((1317, 1969), "KILL or a time limit ended the statement: check max_statement_time; then try again.")
HINTS |= {
    1041: "MariaDB's host has no memory left: free some, then try again.",
    1047: "This node has left its Galera cluster: check wsrep_cluster_status, or name another node.",
    1129: "After many failed connections MariaDB blocks this host: mariadb-admin flush-hosts.",
    1130: "The accounts of etc/grants.sql are for localhost: use unix_socket, or create them for this host.",
    1275: "Set old_passwords = OFF in MariaDB's configuration, then ALTER USER ... IDENTIFIED BY '...'.",
    1251: "Give the account a password of the usual kind: ALTER USER ... IDENTIFIED BY '...'.",
    1524: "MariaDB has not loaded the account's plugin: INSTALL SONAME, or ALTER USER ... IDENTIFIED BY '...'.",
    1665: "Set binlog_format = MIXED or ROW in MariaDB's configuration.",
    3159: "The server accepts TLS only: set [database] ssl = required, and ssl_ca to verify the server.",
    4151: "The account is locked: ALTER USER ... ACCOUNT UNLOCK.",
}
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
    hint = _certificate_hint(error) or HINTS.get(code, "")
    if code in CONFLICT:
        return errors.DatabaseConflictError()
    if code == DUPLICATE:
        return DuplicateKeyError(text)
    if code in REFUSED_DATA or isinstance(error, pymysql.DataError):
        return DataError(text)
    if code in DENIED:
        return errors.DatabaseAccessError(text, hint)
    if code in NO_SCHEMA:
        return errors.DatabaseUnavailableError(text, "Run bin/gpupanel init-db with an account that may create tables.")
    if code in LOST:
        return ConnectionLostError()
    if code in UNREACHABLE:
        return errors.DatabaseUnavailableError(text, hint)
    kind = DatabaseInternalError if isinstance(error, TROUBLE) else errors.PanelError
    return kind(f"The database answered with error {code}: {text}", hint)


def _certificate_hint(error: pymysql.MySQLError) -> str:
    cause = getattr(error, "original_exception", None)
    if isinstance(cause, ssl.SSLCertVerificationError):
        return "Set [database] ssl_ca to the authority that signed the server's certificate, and host to a name in it."
    if isinstance(cause, ssl.SSLError):
        return "Check the certificates of MariaDB and of [database], and the TLS versions of both."
    return ""
