"""bin/gpupanel serve: the panel over HTTP, from its first line of output to a signal."""

import json
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from constants import TREE

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
