"""Map the driver's errors to exceptions, by error number.

An error that a table below names belongs to the server as a whole, and never to the rows of a statement
(docs/decisions/0115-files-are-checked.md).
"""

import ssl

import pymysql

from .. import errors

# The whole transaction runs again.
CONFLICT = {1020, 1205, 1213, 1969, 3024}
# The connection or the node is gone.
LOST = {0, 1047, 1053, 1077, 1158, 1159, 1160, 1161, 1927, 2006, 2013, 2014, 2027, 2055, 4031}
UNREACHABLE = {1040, 1041, 1129, 1152, 1184, 1203, 1226, 1290, 1836, 2002, 2003, 2005}
# Files, memory, disk space, damaged tables, interrupted statements.
TROUBLE = {
    3, 5, 28, 1010, 1011, 1015, 1016, 1017, 1018, 1021, 1023, 1024, 1026, 1028, 1030, 1033, 1034, 1035, 1037, 1038,
    1114, 1180, 1194, 1195, 1206, 1317, 1637, 1712, 1792, 1812, 1813, 1814, 1815, 1877, 1878, 1932,
}
DENIED = {1044, 1045, 1130, 1142, 1143, 1227, 1251, 1275, 1370, 1524, 1698, 1820, 1862, 3159, 4151}
NO_SCHEMA = {1049, 1054, 1146, 1176}
SYNTAX = 1064
DUPLICATE = 1062
CLIENT_ERRORS = range(2000, 3000)  # numbers of the client library
# What to do about one error, where the hint of its class would mislead.
HINTS = dict.fromkeys((1021, 1114), "Free disk space on MariaDB's host, or raise tmp_table_size; then try again.")
HINTS |= dict.fromkeys((1040, 1203, 1226), "Raise max_connections or the account's limit, or end other connections.")
HINTS |= dict.fromkeys((1290, 1836), "If the server is a replica, or read_only, name the primary server in [database].")
HINTS |= dict.fromkeys((1071, 1118, 1709), "The table has an old row format: ALTER TABLE ... ROW_FORMAT = DYNAMIC.")
HINTS |= dict.fromkeys((1153, 1301), "Set max_allowed_packet = 64M or more in MariaDB's configuration.")
HINTS |= dict.fromkeys((1820, 1862), "The account's password has expired: ALTER USER ... IDENTIFIED BY '...'.")
HINTS |= dict.fromkeys((1034, 1194, 1195), "Check the table with CHECK TABLE, and MariaDB's error log.")
HINTS |= {1317: "KILL ended the statement: try again."}
HINTS |= {
    1041: "MariaDB's host has no memory left: free some, then try again.",
    1047: "This node has left its Galera cluster: check wsrep_cluster_status, or name another node.",
    1129: "After many failed connections MariaDB blocks this host: mariadb-admin flush-hosts.",
    1130: "The accounts of etc/grants.sql are for localhost: use unix_socket, or create them for this host.",
    1184: "Correct init_connect in MariaDB's configuration, or try again if the connection was killed.",
    1275: "Set old_passwords = OFF in MariaDB's configuration, then ALTER USER ... IDENTIFIED BY '...'.",
    1251: "Give the account a password of the usual kind: ALTER USER ... IDENTIFIED BY '...'.",
    1524: "MariaDB has not loaded the account's plugin: INSTALL SONAME, or ALTER USER ... IDENTIFIED BY '...'.",
    1665: "Set binlog_format = MIXED or ROW in MariaDB's configuration.",
    3159: "The server accepts TLS only: set [database] ssl = required, and ssl_ca to verify the server.",
    4151: "The account is locked: ALTER USER ... ACCOUNT UNLOCK.",
}


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
    hint = _certificate_hint(error) or HINTS.get(code, "")
    if code in CONFLICT:
        return errors.DatabaseConflictError()
    if code in DENIED:
        return errors.DatabaseAccessError(text, hint)
    if code in NO_SCHEMA:
        return errors.DatabaseUnavailableError(text, "Run bin/gpupanel init-db with an account that may create tables.")
    if code in LOST:
        return ConnectionLostError(text if hint else "", hint)
    if code in UNREACHABLE or code in CLIENT_ERRORS:
        return errors.DatabaseUnavailableError(text, hint)
    if code in TROUBLE:
        return DatabaseInternalError(f"The database answered with error {code}: {text}", hint)
    return _refused(code, text, hint)


def _refused(code: int, text: str, hint: str) -> errors.PanelError:
    """Return the error of a statement that the server understood and refused for its values."""
    if code == SYNTAX:
        return errors.PanelError(f"The database answered with error {code}: {text}", hint)
    return DuplicateKeyError(text, hint) if code == DUPLICATE else DataError(text, hint)


def _certificate_hint(error: pymysql.MySQLError) -> str:
    cause = getattr(error, "original_exception", None)
    if isinstance(cause, ssl.SSLCertVerificationError):
        return "Set [database] ssl_ca to the authority that signed the server's certificate, and host to a name in it."
    if isinstance(cause, ssl.SSLError):
        return "Check the certificates of MariaDB and of [database], and the TLS versions of both."
    return ""
