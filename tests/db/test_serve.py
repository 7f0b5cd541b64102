"""bin/gpupanel serve: the panel over HTTP, from its first line of output to a signal."""

import json
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from constants import TREE
from gpupanel.web.responses import HEADERS
from malloc_arenas import thread_arenas

# A panel whose only page waits for a line on standard input.
WAITING = """
import sys
from gpupanel.cli import main, serve

def page(environ, start_response):
    print("asked", flush=True)
    sys.stdin.readline()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"answered"]

serve.wsgi.served = lambda panel: page
sys.exit(main.main(sys.argv[1:]))
"""


@pytest.fixture
def serve(panel_conf):
    """Start a server on a free port; return (process, address)."""
    started = []

    def start(*program):
        command = [sys.executable, *program, "serve", "--port", "0", "--config", str(panel_conf)]
        started.append(subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={"PYTHONPATH": str(TREE / "lib")}
        ))
        return started[-1], started[-1].stdout.readline().split()[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_says_where_it_listens_and_a_signal_ends_it_in_good_order(serve, number):
    process, address = serve(TREE / "bin" / "gpupanel")
    with pytest.raises(HTTPError) as refused:
        urlopen(address)
    assert refused.value.code == 401
    process.send_signal(number)
    assert process.wait(timeout=30) == 0


def test_a_request_that_is_being_answered_when_the_signal_comes_is_still_answered(serve):
    process, address = serve("-c", WAITING)
    with ThreadPoolExecutor() as pool:
        answer = pool.submit(lambda: urlopen(address).read())
        assert process.stdout.readline() == "asked\n"
        process.send_signal(signal.SIGTERM)
        process.stdin.write("\n")
        process.stdin.flush()
        assert answer.result(timeout=30) == b"answered"
    assert process.wait(timeout=30) == 0


def test_a_port_that_is_taken_is_refused_with_what_to_do(serve, panel_conf):
    _, address = serve(TREE / "bin" / "gpupanel")
    port = address.split(":")[2].partition("/")[0]
    command = [sys.executable, TREE / "bin" / "gpupanel", "serve", "--config", panel_conf, "--port", port, "--json"]
    answer = subprocess.run(command, capture_output=True, text=True)
    assert answer.returncode == 1
    assert json.loads(answer.stdout)["hint"] == "--port 0 takes a free port."


@pytest.mark.parametrize("request_head, status", [
    ("GET / HTTP/1.1\r\nno colon\r\n\r\n", 400),
    ("POST /admin/import-media.cgi HTTP/1.1\r\nContent-Length: 2000000\r\n\r\n" + "x" * 2_000_000, 413),
    ("GET / HTTP/1.1\r\nX: " + "x" * 300_000 + "\r\n\r\n", 431),
    ("GET / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
])
def test_what_the_server_refuses_by_itself_has_the_headers_of_every_response(serve, request_head, status):
    _, address = serve(TREE / "bin" / "gpupanel")
    host, port = address.split("/")[2].split(":")
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        with suppress(OSError):  # the server may close before it has read all
            connection.sendall(request_head.encode())
        with suppress(OSError):
            answer = b""
            while piece := connection.recv(65536):
                answer += piece
    head = answer.partition(b"\r\n\r\n")[0].decode().splitlines()
    assert head[0].split()[1] == str(status)
    sent = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:])}
    assert sent.items() >= {name.lower(): value for name, value in HEADERS.items()}.items()
    assert sent["cache-control"] == "no-store"


def test_the_threads_of_a_server_share_one_arena_of_memory(serve):
    """docs/decisions/0225-one-malloc-arena.md"""
    process, address = serve(TREE / "bin" / "gpupanel")
    with pytest.raises(HTTPError):
        urlopen(address)
    assert thread_arenas(process.pid) == 0
