"""Signing in to the database: the password reaches only the true server, in every encoding, with and without TLS."""

import dataclasses
import subprocess
import sys
from contextlib import suppress

import installation
import pytest
from constants import NAME, TREE, password
from false_server import USUAL, FalseServer, listening
from gpupanel.config import DatabaseSettings
from gpupanel.db import Database
from gpupanel.devtools.mariadb_server import THROWAWAY, MariaDBServer
from gpupanel.errors import ConfigurationError, DatabaseAccessError, DatabaseUnavailableError, UnsupportedServerError
from pymysql.constants import CLIENT

SECRET = "pa€ss 1234"


def sign_in(settings: DatabaseSettings, statement: str = "SELECT CURRENT_USER() AS value", **changes):
    db = Database(dataclasses.replace(settings, **changes), read_timeout=5)
    try:
        return db.execute(statement)[0]["value"]
    finally:
        db.close()


def refusal(settings: DatabaseSettings, kind=DatabaseAccessError, **changes):
    with pytest.raises(kind) as caught:
        sign_in(settings, **changes)
    return caught.value


def false_settings(server, **options):
    return DatabaseSettings(port=server.port, user="gpu_panel", password=SECRET, **options)


# ------------------------------------------------------------------------------------------- a false server

@pytest.mark.parametrize("asks_for", [
    b"mysql_clear_password\0", b"dialog\0\x04Password: ", b"mysql_old_password\0" + b"x" * 8, b"",
    b"caching_sha2_password\0" + b"x" * 20 + b"\0", b"sha256_password\0" + b"x" * 20 + b"\0", b"no_such_method\0",
    b"\xff\xfe\0",
], ids=["clear", "dialog", "old", "oldest", "caching_sha2", "sha256", "unknown", "garbage"])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_server_that_asks_for_the_password_gets_no_byte_of_it(asks_for, host):
    with listening(FalseServer(asks_for)) as server:
        error = refusal(false_settings(server, host=host), (DatabaseAccessError, DatabaseUnavailableError))
    assert error.hint
    assert len(server.received) == 1  # the first packet has a proof, and nothing follows the demand
    assert SECRET.encode() not in server.received[0] and SECRET.encode("latin-1", "replace") not in server.received[0]


@pytest.mark.parametrize("method", ["mysql_clear_password", "sha256_password", "caching_sha2_password", "dialog", ""])
def test_a_greeting_that_names_such_a_method_gets_no_byte_of_it_either(method):
    with listening(FalseServer(default_method=method)) as server:
        refusal(false_settings(server))
    assert len(server.received) == 1 and SECRET.encode() not in server.received[0]


def test_a_server_without_methods_is_refused_before_anything_is_sent():
    with listening(FalseServer(capabilities=USUAL & ~CLIENT.PLUGIN_AUTH)) as server:
        assert "not sent" in str(refusal(false_settings(server)))
    assert server.received == []


@pytest.mark.parametrize("changes", [{"ssl": "required"}, {"ssl_verify": True}])
def test_a_server_that_leaves_out_tls_gets_nothing_where_tls_is_required(changes):
    with listening(FalseServer()) as server:
        error = refusal(false_settings(server), **changes)
    assert "offers no TLS" in str(error)
    assert server.received == []


@pytest.mark.parametrize("version", ["9.1.0", "8.0.36-28", "5.5.5-10.5.29-MariaDB-1:10.5.29+maria~ubu2004"])
def test_another_product_is_named_instead_of_its_method(version):
    with listening(FalseServer(b"caching_sha2_password\0" + b"x" * 20, version=version)) as server:
        error = refusal(false_settings(server), UnsupportedServerError)
    assert version.removeprefix("5.5.5-") in str(error) and "MariaDB 10.6" in str(error)


@pytest.mark.parametrize("version", ["", "x", "9" * 300])
def test_a_server_that_speaks_another_protocol_is_an_error_of_ours(version):
    with listening(FalseServer(version=version)) as server:
        refusal(false_settings(server), (DatabaseAccessError, DatabaseUnavailableError))


# ------------------------------------------------------------------------------------------- a server with certificates

@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    """Two authorities, the server's certificate for 127.0.0.1, and a client's."""
    folder = tmp_path_factory.mktemp("tls")
    for name in ("ca", "other"):
        _openssl(folder, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{name}.key",
                 "-out", f"{name}.pem", "-days", "2", "-subj", f"/CN={name}")
    (folder / "names").write_text("subjectAltName = IP:127.0.0.1\n")
    for name in ("server", "client"):
        _openssl(folder, "req", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.csr",
                 "-subj", f"/CN={name}")
        _openssl(folder, "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
                 "-days", "2", "-extfile", "names", "-out", f"{name}.pem")
    return folder


def _openssl(folder, *arguments):
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture(scope="module")
def tls_server(tmp_path_factory, authority):
    options = [
        f"--ssl-ca={authority}/ca.pem", f"--ssl-cert={authority}/server.pem", f"--ssl-key={authority}/server.key"
    ]
    with MariaDBServer(installation.prepared(tmp_path_factory.mktemp("mariadb")), *THROWAWAY, *options) as server:
        db = Database(server.admin())
        for statement in (
            f"CREATE USER plain@'127.0.0.1' IDENTIFIED BY '{SECRET}'",
            f"CREATE USER encrypted@'127.0.0.1' IDENTIFIED BY '{SECRET}' REQUIRE SSL",
            f"CREATE USER certified@'127.0.0.1' IDENTIFIED BY '{SECRET}' REQUIRE X509",
            f"CREATE USER locked@'127.0.0.1' IDENTIFIED BY '{SECRET}' ACCOUNT LOCK",
            f"CREATE USER expired@'127.0.0.1' IDENTIFIED BY '{SECRET}' PASSWORD EXPIRE",
            "INSTALL SONAME 'auth_ed25519'",
            f"CREATE USER edwards@'127.0.0.1' IDENTIFIED VIA ed25519 USING PASSWORD('{SECRET}')",
        ):
            db.execute(statement)
        db.close()
        yield server


def account(server, user, **options):
    return DatabaseSettings(host="127.0.0.1", port=server.port, user=user, password=SECRET, name="", **options)


CIPHER = "SELECT VARIABLE_VALUE AS value FROM information_schema.SESSION_STATUS WHERE VARIABLE_NAME = 'Ssl_cipher'"


def test_a_password_has_letters_of_every_language(tls_server):
    assert sign_in(account(tls_server, "plain")) == "plain@127.0.0.1"


def test_an_account_that_requires_tls_is_named_in_the_hint(tls_server):
    assert "ssl = required" in refusal(account(tls_server, "encrypted")).hint


@pytest.mark.parametrize(
    "options", [{"ssl": "required"}, {"ssl_ca": "ca.pem"}, {"ssl_ca": "ca.pem", "ssl": "required"}]
)
def test_tls_is_used_where_it_is_required(tls_server, authority, options):
    options = options | ({"ssl_ca": authority / options["ssl_ca"]} if "ssl_ca" in options else {})
    assert sign_in(account(tls_server, "encrypted", **options), CIPHER)


def test_this_machine_needs_no_tls_and_another_gets_it_where_it_is_offered(tls_server):
    assert not sign_in(account(tls_server, "plain"), CIPHER)
    assert DatabaseSettings(host="db.example").wants_tls and not DatabaseSettings(host="db.example").requires_tls


def test_a_clients_certificate_signs_in(tls_server, authority):
    files = {"ssl_cert": authority / "client.pem", "ssl_key": authority / "client.key"}
    assert sign_in(account(tls_server, "certified", ssl_ca=authority / "ca.pem", **files), CIPHER)


def test_a_certificate_of_another_authority_is_refused_and_named(tls_server, authority):
    right, wrong = (account(tls_server, "plain", ssl_ca=authority / name) for name in ("ca.pem", "other.pem"))
    assert "ssl_ca" in refusal(wrong, DatabaseUnavailableError).hint
    assert "a name in it" in refusal(right, DatabaseUnavailableError, host="localhost").hint
    assert sign_in(right, host="localhost", ssl_verify=False)


def test_a_file_that_is_no_certificate_is_a_problem_of_the_configuration(tls_server, authority):
    error = refusal(account(tls_server, "plain", ssl_ca=authority / "names"), ConfigurationError)
    assert "ssl_ca" in error.problems[0]


def test_a_socket_carries_tls_for_an_account_that_requires_it(tls_server):
    db = Database(tls_server.admin())
    db.execute(f"CREATE OR REPLACE USER inside@localhost IDENTIFIED BY '{SECRET}' REQUIRE SSL")
    db.close()
    inside = DatabaseSettings(unix_socket=str(tls_server.socket), user="inside", password=SECRET, name="")
    assert "ssl = required" in refusal(inside).hint
    assert sign_in(inside, CIPHER, ssl="required")


def test_a_server_that_accepts_tls_only_is_named_in_the_hint(tls_server):
    db = Database(tls_server.admin())
    db.execute("SET GLOBAL require_secure_transport = ON")
    try:
        assert "ssl = required" in refusal(account(tls_server, "plain")).hint
    finally:
        db.execute("SET GLOBAL require_secure_transport = OFF")
        db.close()


@pytest.mark.parametrize(
    ("user", "words"), [("locked", "ACCOUNT UNLOCK"), ("expired", "expired"), ("edwards", "PyNaCl")]
)
def test_each_refusal_has_a_hint_of_its_own(tls_server, user, words):
    assert words in refusal(account(tls_server, user)).hint


# ------------------------------------------------------------------------------------------- versions

class OtherServer(MariaDBServer):
    """A server whose version is refused even by the program that starts it."""

    def _wait(self):
        with suppress(UnsupportedServerError):
            super()._wait()


@pytest.mark.parametrize("version", ["9.1.0", "10.5.29-MariaDB"])
def test_a_server_of_another_product_or_age_is_refused_by_name_and_version(tmp_path, version):
    (tmp_path / "assets" / "sync").mkdir(parents=True)
    with OtherServer(installation.prepared(tmp_path / "mariadb"), *THROWAWAY, f"--version={version}") as server:
        def run(program, conf, *arguments):
            command = [sys.executable, TREE / "bin" / program, "--config", conf, *arguments]
            done = subprocess.run(command, capture_output=True, text=True, timeout=60)
            return done.returncode, done.stdout + done.stderr

        conf = installation.write(tmp_path / "worker.conf", server.socket, tmp_path / "assets", server.admin().user)
        for program, *arguments in (
            ["gpupanel", "init-db"], ["gpupanel", "list"], ["gpupanel", "doctor"], ["import-worker", "--check"],
            ["import-worker"], ["import-worker", "--once"],
        ):
            status, output = run(program, conf, *arguments)
            assert status and version in output and "MariaDB 10.6" in output, (program, arguments, output)
            assert "Traceback" not in output


def test_the_accounts_of_the_tests_sign_in_by_their_socket(server):
    assert sign_in(server.admin(NAME), user="gpu_panel", password=password("gpu_panel")) == "gpu_panel@localhost"


def test_a_configuration_without_an_account_never_signs_in_as_the_user_of_the_process(tls_server):
    with pytest.raises(ConfigurationError) as refused:
        Database(DatabaseSettings(unix_socket=str(tls_server.socket))).execute("SELECT 1")
    assert refused.value.problems == ["[database] user: found nothing, expected an account"]


def test_an_address_that_nobody_answers_is_named_whole(tls_server, tmp_path):
    missing = DatabaseSettings(unix_socket=str(tmp_path / "no.sock"), user="plain")
    assert str(refusal(missing, DatabaseUnavailableError)) == (
        f"MariaDB at {tmp_path}/no.sock cannot be reached: No such file or directory."
    )
    folder = DatabaseSettings(unix_socket=str(tmp_path), user="plain")
    assert str(refusal(folder, DatabaseUnavailableError)).startswith(f"MariaDB at {tmp_path} cannot be reached: ")
    port = DatabaseSettings(host="127.0.0.1", port=1, user="plain")
    assert str(refusal(port, DatabaseUnavailableError)).startswith("MariaDB at 127.0.0.1 port 1 cannot be reached: ")


def test_a_broken_init_connect_is_named_in_the_hint(tls_server):
    db = Database(tls_server.admin())
    db.execute("SET GLOBAL init_connect = 'SELECT broken'")
    try:
        assert "init_connect" in refusal(account(tls_server, "plain"), DatabaseUnavailableError).hint
    finally:
        db.execute("SET GLOBAL init_connect = ''")
        db.close()


@pytest.mark.parametrize("result", [
    b"\xfb/etc/passwd", b"", b"\xfe\x00\x00\x02\x00", b"\xff\x10", b"\x77\x99\x01", b"\xfc\xff\xff",
])
def test_a_malformed_response_is_a_lost_connection_and_no_file_is_sent(result):
    with listening(FalseServer(result=result)) as server:
        settings = DatabaseSettings(host="127.0.0.1", port=server.port, user="plain", password=SECRET)
        with pytest.raises(DatabaseUnavailableError):
            Database(settings, read_timeout=5).execute("SELECT 1")
    assert not any(b"root:" in text for text in server.received)
