"""Only [panel] trusted_proxies may set proxy headers (docs/CONTRACT.md, 10)."""

from http.server import BaseHTTPRequestHandler, HTTPServer
from ipaddress import ip_network
from threading import Thread
from urllib.parse import urlencode

import pytest
import webservers
from gpupanel.web.proxy_headers import apply_proxy_headers
from http_client import ask
from request_script import BATCHES, FORM, JSON

PROXY = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))
TOLD = {"HTTP_X_REMOTE_USER": "admin", "HTTP_X_FORWARDED_PROTO": "https", "HTTP_X_FORWARDED_PREFIX": "/media"}
PLAIN = {"SCRIPT_NAME": "", "PATH_INFO": "/media/import-media.cgi", "wsgi.url_scheme": "http"}


def received(address, **more):
    return apply_proxy_headers(PLAIN | TOLD | {"REMOTE_ADDR": address} | more, PROXY)


@pytest.mark.parametrize("address", ["10.1.2.3", "::ffff:10.1.2.3", "fd00::1", "[fd00::1]"])
def test_a_trusted_proxy_tells_user_scheme_and_folder(address):
    environ = received(address)
    assert (environ["REMOTE_USER"], environ["wsgi.url_scheme"]) == ("admin", "https")
    assert (environ["SCRIPT_NAME"], environ["PATH_INFO"]) == ("/media", "/import-media.cgi")


@pytest.mark.parametrize("address", ["192.0.2.1", "127.0.0.1", "::1", "", "10.1.2.3.example", "10.1.2"])
def test_anybody_else_tells_nothing(address):
    assert received(address) == PLAIN | TOLD | {"REMOTE_ADDR": address}


def test_the_servers_own_user_counts_more_than_the_proxys():
    assert received("10.1.2.3", REMOTE_USER="viewer")["REMOTE_USER"] == "viewer"


@pytest.mark.parametrize("forwarded", ["https, http", "https,http", " HTTPS , http, http"])
def test_the_first_scheme_of_a_chain_of_proxies_is_the_browsers(forwarded):
    assert received("10.1.2.3", HTTP_X_FORWARDED_PROTO=forwarded)["wsgi.url_scheme"] == "https"


@pytest.mark.parametrize("forwarded", ["javascript", "", "HTTPS\r\nX: y", ", https"])
def test_a_scheme_that_is_none_is_not_believed(forwarded):
    assert received("10.1.2.3", HTTP_X_FORWARDED_PROTO=forwarded)["wsgi.url_scheme"] == "http"


@pytest.mark.parametrize("prefix, path, expected", [
    ("/media/", "/media/import-media.cgi", ("/media", "/import-media.cgi")),
    ("/media", "/import-media.cgi", ("/media", "/import-media.cgi")),
    ("/media", "/media", ("/media", "")),
    ("/media", "/mediastore/import-media.cgi", ("/media", "/mediastore/import-media.cgi")),
    ("/", "/import-media.cgi", ("", "/import-media.cgi")),
    ("//elsewhere.example", "/import-media.cgi", ("", "/import-media.cgi")),
    ("elsewhere", "/import-media.cgi", ("", "/import-media.cgi")),
])
def test_the_folder_is_taken_from_the_path_when_it_is_in_it(prefix, path, expected):
    environ = received("10.1.2.3", HTTP_X_FORWARDED_PREFIX=prefix, PATH_INFO=path)
    assert (environ["SCRIPT_NAME"], environ["PATH_INFO"]) == expected


def test_behind_a_proxy_that_speaks_https_cookies_are_secure(site, emptied):
    emptied()
    with webservers.waitress(site) as port:
        headers = {"user": None, "X_Remote_User": "admin", "X_Forwarded_Proto": "https"}
        token = ask(port, "GET", BATCHES, **headers, **JSON).json["csrf_token"]
        form = urlencode({"do": "scan", "csrf_token": token})
        sent = ask(port, "POST", BATCHES, form, Content_Type=FORM, Origin="https://panel.example", **headers)
        assert sent.status == 303
        assert "Secure" in sent.headers["set-cookie"][0].split("; ")


@pytest.fixture
def overheard(site):
    """`overheard(**headers)`: the headers that nginx passes on, configured by the sample for waitress."""
    heard = []

    class Listener(BaseHTTPRequestHandler):
        def do_GET(self):
            heard.append(self.headers)
            self.send_response_only(204)
            self.end_headers()

    def overheard(**headers):
        with HTTPServer(("127.0.0.1", 0), Listener) as upstream:
            Thread(target=upstream.handle_request).start()
            address = {"127.0.0.1:8080": f"127.0.0.1:{upstream.server_port}"}
            folder = webservers.new_folder(site, "nginx")
            with webservers.nginx(site, folder, "import-media-waitress.conf", address) as port:
                ask(port, "GET", BATCHES, user="viewer", **headers)
        return heard[-1]

    return overheard


@pytest.mark.parametrize("header, expected", [
    ("X-Remote-User", "viewer"), ("X-Forwarded-Proto", "http"), ("X-Forwarded-Prefix", "/admin"),
    ("X-Forwarded-For", "127.0.0.1"),
])
def test_nginx_replaces_what_the_visitor_said_in_its_name(overheard, header, expected):
    assert overheard(**{header: "https://elsewhere.example"}).get_all(header) == [expected]


def test_nginx_keeps_the_password_to_itself(overheard):
    assert overheard()["Authorization"] is None


@pytest.mark.parametrize("name", ["apache_cgi", "nginx_fcgiwrap"])
def test_no_cgi_process_has_the_password_in_its_environment(site, name):
    program = site.tree / "cgi-bin" / "import-tasks.cgi"
    before = program.read_text()
    program.write_text("#!/bin/sh\nprintf 'Content-Type: text/plain\\n\\n'\nenv\n")
    try:
        with webservers.ALL[name](site) as port:
            environment = ask(port, "GET", "/admin/import-tasks.cgi").body.decode()
    finally:
        program.write_text(before)
    assert "REMOTE_USER=admin" in environment
    assert "Basic " not in environment
