"""Clients that announce a body and never send it, without sign-in: no operator waits for them under any server."""

import contextlib
import socket
import time

import pytest
import webservers
from gpupanel.db import Database
from http_client import ask, basic, password
from gpupanel.web.request import FORM_TYPE
from request_script import BATCHES

CONNECTIONS = 200
SECONDS, BUDGET_SECONDS = 5, 25
BODIES = {"length": "Content-Length: 1", "chunked": "Transfer-Encoding: chunked"}
REQUESTS = {
    "health": ("GET", "/admin/health", ""), "posted health": ("POST", "/admin/health", ""),
    "metrics": ("GET", "/admin/metrics", ""), "page": ("GET", BATCHES, ""), "form": ("POST", BATCHES, ""),
    "wrong password": ("POST", BATCHES, "Authorization: Basic YWRtaW46d3Jvbmc=\r\n"),
}


@contextlib.contextmanager
def silent(port, method, target, sign_in, body):
    """Open many connections whose body does not come, and keep them open."""
    text = f"{method} {target} HTTP/1.1\r\nHost: panel.example\r\n{sign_in}{BODIES[body]}\r\n\r\n".encode()
    with contextlib.ExitStack() as stack:
        connections = [stack.enter_context(socket.create_connection(("127.0.0.1", port))) for _ in range(CONNECTIONS)]
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.sendall(text)
        yield connections


# The four ways, and waitress without the server that reads whole bodies in front of it.
SERVERS = webservers.ALL | {"waitress": webservers.waitress}


@pytest.fixture(scope="module", params=list(SERVERS))
def port(request, site):
    with SERVERS[request.param](site) as port:
        assert page(port).status == 200  # everything is loaded
        yield port


def database_connections(server) -> int:
    """Return how many connections the panel's account has."""
    db = Database(server.admin())
    [row] = db.execute("SELECT COUNT(*) AS n FROM information_schema.PROCESSLIST WHERE USER = 'gpu_panel'")
    db.close()
    return row["n"]


def page(port):
    return ask(port, "GET", BATCHES, X_Remote_User="admin", X_Forwarded_Prefix="/admin")


@pytest.mark.parametrize("body", list(BODIES))
@pytest.mark.parametrize("request_name", list(REQUESTS))
def test_an_operators_page_answers_while_two_hundred_bodies_do_not_come(port, server, request_name, body):
    method, target, sign_in = REQUESTS[request_name]
    held_before = database_connections(server)  # also by fixtures of other tests
    with silent(port, method, target, sign_in, body):
        time.sleep(0.5)  # the server has accepted them
        began = time.monotonic()
        answer = page(port)
        took = time.monotonic() - began
        held = database_connections(server)
    assert (answer.status, took < SECONDS) == (200, True), took
    assert held - held_before <= 2 * 8 + 1  # the threads of the long-running ways; never one for each connection


@pytest.mark.parametrize("body", list(BODIES))
@pytest.mark.parametrize("name", list(webservers.ALL))
def test_the_form_of_a_signed_in_user_has_a_budget_too(site, name, body):
    with webservers.ALL[name](site) as port, socket.create_connection(
        ("127.0.0.1", port), timeout=BUDGET_SECONDS
    ) as connection:
        sign_in = f"Authorization: {basic('admin', password('admin'))}\r\nContent-Type: {FORM_TYPE}\r\n"
        connection.sendall(
            f"POST {BATCHES} HTTP/1.1\r\nHost: panel.example\r\n{sign_in}{BODIES[body]}\r\n\r\n".encode()
        )
        while connection.recv(65536):
            pass
