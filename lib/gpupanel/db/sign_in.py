"""Sign-in to the server: TLS, and authentication that never gives the password away.

The driver answers each authentication method that a server asks for, and some methods carry the password in clear
text. A false server on the configured address would get it so. This connection therefore proves its password by a
challenge. It sends the password only to a server that TLS has verified, or through a Unix socket
(docs/decisions/0121-database-connection.md).
"""

import re
import ssl
import struct
from typing import TYPE_CHECKING, Any

import pymysql
from pymysql import connections
from pymysql.constants import CLIENT, CR

from ..config import DatabaseSettings
from ..errors import (
    ConfigurationError, DatabaseAccessError, DatabaseUnavailableError, PanelError, UnsupportedServerError,
)
from ..text import escape_unprintable
from .errors import translate_error

if TYPE_CHECKING:
    from pymysql.cursors import Cursor

    Base = connections.Connection[Cursor]
else:
    Base = connections.Connection  # generic in the type stubs alone

OLDEST = (10, 6)
UNREACHABLE = 2003
UNKNOWN_DATABASE = 1049
ACCESS_DENIED = 1045
NATIVE = "mysql_native_password"
CHALLENGES = (NATIVE, "client_ed25519")
# Methods that send the password, or encrypt it with a key that the server sends unsigned.
IN_CLEAR_TEXT = ("mysql_clear_password", "dialog", "sha256_password", "caching_sha2_password")
# What the driver raises for packets that it cannot parse.
MALFORMED = (LookupError, ValueError, TypeError, AttributeError, AssertionError, struct.error, RuntimeError)

# The same of a result. Not ValueError: a value that the driver cannot convert is no fault of the connection.
MALFORMED_RESULT = (LookupError, AssertionError, struct.error, RuntimeError)


class PasswordSafeConnection(Base):
    """A connection that refuses a server that asks for the password itself."""

    # Attributes of the driver that its type stubs leave out.
    server_version: str
    server_capabilities: int
    ctx: "TlsContext"

    def _request_authentication(self) -> None:
        """Check the server's greeting, then sign in."""
        if not self.server_capabilities & CLIENT.PLUGIN_AUTH:
            raise self._unsupported() or self._refusal("the authentication of MySQL 4.0")
        if self.ssl and not self.server_capabilities & CLIENT.SSL:
            if self.ctx.verify_mode != ssl.CERT_NONE or self.ctx.tls_required:
                raise DatabaseAccessError(
                    f"The server at {self._address()} offers no TLS; the password was not sent.",
                    "Configure ssl_cert and ssl_key in MariaDB, or set [database] ssl = off.",
                )
            self.ssl = False
            self.client_flag &= ~CLIENT.SSL
        # The server then names another method in a packet that `_process_auth` checks.
        self._auth_plugin_name = NATIVE
        super()._request_authentication()  # type: ignore[misc]

    def _process_auth(self, plugin_name: bytes, auth_packet: Any, *handler: Any) -> Any:
        """Answer the server's choice of a method, if it is safe here."""
        name = escape_unprintable(plugin_name.decode("ascii", "replace"))[:60]
        if name in IN_CLEAR_TEXT and not self._is_confidential():
            raise self._unsupported() or self._refusal(f"the password in clear text ({name})")
        if name not in (*CHALLENGES, *IN_CLEAR_TEXT):
            raise self._unsupported() or self._cannot_sign_in(name)
        try:
            packet = super()._process_auth(plugin_name, auth_packet, *handler)  # type: ignore[misc]
        except RuntimeError:  # PyNaCl is not installed
            raise self._cannot_sign_in(name) from None
        if packet.is_auth_switch_request():
            raise self._cannot_sign_in(f"{name} and a second method")
        return packet

    def _read_query_result(self, unbuffered: bool = False) -> Any:
        """Read a response; one that is malformed, or wants a local file, ends the connection like a lost one."""
        try:
            return super()._read_query_result(unbuffered)  # type: ignore[misc]
        except MALFORMED_RESULT as error:
            self._force_close()  # type: ignore[attr-defined]
            raise pymysql.OperationalError(CR.CR_MALFORMED_PACKET, "Malformed packet") from error

    def _is_confidential(self) -> bool:
        """Whether only the true server can read what is sent."""
        return bool(self.unix_socket) or (bool(self.ssl) and self.ctx.verify_mode == ssl.CERT_REQUIRED)

    def _address(self) -> str:
        return str(self.unix_socket or f"{self.host} port {self.port}")

    def _refusal(self, demand: str) -> DatabaseAccessError:
        return DatabaseAccessError(
            f"The server at {self._address()} asked for {demand}; the password was not sent.",
            "Check that host and port are MariaDB's. If they are, set [database] ssl_ca, so that TLS verifies the"
            " server, or give the account a method that proves the password: IDENTIFIED BY.",
        )

    def _cannot_sign_in(self, method: str) -> DatabaseAccessError:
        user = self.user.decode() if isinstance(self.user, bytes) else self.user
        also = ", or install the Python package PyNaCl (Debian: python3-nacl)" if method == "client_ed25519" else ""
        return DatabaseAccessError(
            f"The server wants the account {user} to sign in by {method}, which this installation does not support.",
            f"Give the account a password of the usual kind: ALTER USER ... IDENTIFIED BY '...'{also}.",
        )

    def _unsupported(self) -> UnsupportedServerError | None:
        return None if is_supported(self.server_version) else unsupported_error(self.server_version)


class TlsContext(ssl.SSLContext):
    """A client's context; `tls_required` refuses a server without TLS."""

    tls_required = False


def connect(settings: DatabaseSettings, context: TlsContext | None, **options: Any) -> PasswordSafeConnection:
    """Connect to a MariaDB that this program supports.

    Raises:
        DatabaseUnavailableError: no server answers, or not as MariaDB does.
        DatabaseAccessError: the account, its method or the encryption was refused.
        UnsupportedServerError: another product, or MariaDB before 10.6.
    """
    if not settings.user:  # the driver would sign in as the user of this process, who may be root
        raise ConfigurationError(
            "The configuration names no database account", ["[database] user: found nothing, expected an account"]
        )
    where: dict[str, Any] = {"host": settings.host, "port": settings.port}
    if settings.unix_socket:
        where = {"unix_socket": settings.unix_socket}
    encryption = {"ssl": context} if context else {"ssl_disabled": True}
    connection = PasswordSafeConnection(
        **where, **encryption, **options, user=settings.user, password=settings.password.encode(),
        database=settings.name or None, charset="utf8mb4", defer_connect=True,
    )
    try:
        connection.connect()
    except pymysql.MySQLError as error:
        if error.args[0] == UNKNOWN_DATABASE and not is_supported(connection.server_version):
            raise unsupported_error(connection.server_version) from error
        cause = getattr(error, "original_exception", None)
        if error.args[0] == UNREACHABLE and not isinstance(cause, ssl.SSLError):
            raise _unreachable(error, settings) from error
        problem = translate_error(error)
        raise (_with_tls_hint(problem, context, settings) if error.args[0] == ACCESS_DENIED else problem) from error
    except MALFORMED as error:
        raise DatabaseUnavailableError(
            f"The server at {_address(settings)} does not answer as MariaDB does.", "Check [database] host and port."
        ) from error
    if not is_supported(connection.server_version):  # a proxy's own version, perhaps
        _require_support(connection)
    return connection


def _address(settings: DatabaseSettings) -> str:
    return settings.unix_socket or f"{settings.host} port {settings.port}"


def _unreachable(error: pymysql.MySQLError, settings: DatabaseSettings) -> PanelError:
    """Name the socket, or the host with its port, which the driver's message leaves out."""
    cause = getattr(error, "original_exception", None)
    reason = getattr(cause, "strerror", None) or str(cause or error.args[1])
    return DatabaseUnavailableError(f"MariaDB at {_address(settings)} cannot be reached: {reason}.")


def _with_tls_hint(problem: PanelError, context: TlsContext | None, settings: DatabaseSettings) -> PanelError:
    """Add that an account with REQUIRE SSL is refused like a wrong password."""
    if isinstance(problem, DatabaseAccessError) and problem.hint == DatabaseAccessError.hint and context is None:
        where = "" if settings.unix_socket else ", and ssl_ca to verify the server"
        problem.hint += f" If the account has REQUIRE SSL, set [database] ssl = required{where}."
    return problem


def tls_context(settings: DatabaseSettings) -> TlsContext | None:
    """Return the context for this server, or None for a connection without TLS.

    Raises ConfigurationError for a certificate or key that cannot be used.
    """
    if not settings.wants_tls:
        return None
    context = TlsContext(ssl.PROTOCOL_TLS_CLIENT)
    context.tls_required = settings.requires_tls
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT  # MariaDB's own authorities leave out extensions
    context.check_hostname = settings.verifies_tls and not settings.unix_socket
    context.verify_mode = ssl.CERT_REQUIRED if settings.verifies_tls else ssl.CERT_NONE
    option = "ssl_ca"
    try:
        if settings.ssl_ca:
            context.load_verify_locations(settings.ssl_ca)
        elif settings.verifies_tls:
            context.load_default_certs()
        option = "ssl_cert, ssl_key"
        if settings.ssl_cert:
            context.load_cert_chain(settings.ssl_cert, settings.ssl_key, password="")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigurationError("TLS to the database cannot be used", [f"[database] {option}: {reason}"]) from None
    return context


def is_supported(version: str) -> bool:
    """Return whether a version is MariaDB's, and new enough."""
    found = re.search(r"(\d+)\.(\d+)\.\d+-mariadb", version, re.IGNORECASE)
    return found is not None and (int(found[1]), int(found[2])) >= OLDEST


def unsupported_error(version: str, comment: str = "") -> UnsupportedServerError:
    """Return the error that names the server and its version."""
    found = re.sub(r"^5\.5\.5-(?=\d)", "", escape_unprintable(version))[:80]
    product = "" if "mariadb" in found.lower() else "Percona Server " if "percona" in comment.lower() else "MySQL "
    return UnsupportedServerError(f"The database server is {product}{found}, but MariaDB 10.6 or later is needed.")


def _require_support(connection: PasswordSafeConnection) -> None:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT VERSION(), @@version_comment")
            row = cursor.fetchone()
    except pymysql.MySQLError as error:
        raise translate_error(error) from error
    version, comment = map(str, row or ("unknown", ""))
    if not is_supported(version):
        connection.close()
        raise unsupported_error(version, comment)
