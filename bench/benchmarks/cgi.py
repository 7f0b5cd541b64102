"""One CGI request of the list of batches, from fork to exit."""

import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from time import perf_counter

from .. import install_peers, panel
from ..runner import Comparison, run_in_turns

TITLE = "one CGI hit, the list of 50 batches, the whole process"
PERL = Path(__file__).parents[1] / "perl"
PACKAGES = ("libcgi-pm-perl", "libdbi-perl", "libdbd-mariadb-perl", "libtemplate-perl")
REFERENCE = "Perl: CGI.pm, DBI, Template Toolkit"
BATCHES = 1_000
PARENT = """
import os, resource, sys
os.spawnv(os.P_WAIT, sys.argv[1], sys.argv[1:])
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr)
"""
REQUEST = {
    "PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C", "GATEWAY_INTERFACE": "CGI/1.1", "SERVER_PROTOCOL": "HTTP/1.1",
    "SERVER_NAME": "localhost", "SERVER_PORT": "80", "HTTP_HOST": "localhost", "REMOTE_ADDR": "127.0.0.1",
    "REQUEST_METHOD": "GET", "SCRIPT_NAME": "/admin/import-media.cgi", "QUERY_STRING": "", "HTTP_ACCEPT": "text/html",
}


def measure(full: bool) -> Iterator[Comparison]:
    install_peers.debian(*PACKAGES)
    prefix = panel.installed()
    with panel.ledger(BATCHES) as place, panel.serving(prefix, place.served):
        compiled = place.conf.with_name("compiled")
        known = {
            "BENCH_DSN": f"DBI:MariaDB:database={panel.NAME};mariadb_socket={place.database}", "BENCH_USER": "root",
            "BENCH_COMPILED": str(compiled),
        }
        script = str(prefix / "cgi-bin" / "import-media.cgi")
        programs = {
            "ours, by the service": ([script], {"GPUPANEL_CONF": str(place.served)}),
            "ours, alone": ([script], {"GPUPANEL_CONF": str(place.conf)}),
            REFERENCE: ([str(PERL / "list.cgi")], known),
            "lean Perl: DBI, print": ([str(PERL / "lean.cgi")], known),
            "limit: python3 -I -S -c pass": ([panel.PYTHON, "-I", "-S", "-c", "pass"], {}),
        }
        rounds = run_in_turns(
            {name: partial(_hit, *program) for name, program in programs.items()}, 100 if full else 30
        )
        memory = ", ".join(f"{name.partition(':')[0]} {_peak(*program)} MiB" for name, program in programs.items())
    yield Comparison(
        f"{TITLE}, of {BATCHES:,}", "ms", REFERENCE, rounds,
        "by the service at most 0.75 of Perl, aim 0.45", (f"Peak memory of the process: {memory}.",),
    )


def _hit(command: list[str], environ: dict[str, str]) -> float:
    """Return milliseconds from fork to exit."""
    started = perf_counter()
    done = subprocess.run(command, env=REQUEST | environ, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True)
    took = (perf_counter() - started) * 1000
    assert command[-1] == "pass" or done.stdout.count(b"</tr>") >= 50, done.stdout[:500]
    return took


def _peak(command: list[str], environ: dict[str, str]) -> int:
    """Return peak memory in MiB, measured from a small parent process."""
    told = subprocess.run([panel.PYTHON, "-IS", "-c", PARENT, *command], env=REQUEST | environ, stderr=subprocess.PIPE,
                          stdout=subprocess.DEVNULL, check=True)
    return int(told.stderr.split()[-1]) // 1024
