"""A Galera cluster of one's own: three nodes of Debian's MariaDB, each on a machine of its own, ended by their ids.

They run with what etc/mariadb/galera.cnf says, but for the addresses.
"""

import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from configparser import ConfigParser
from contextlib import ExitStack
from pathlib import Path

import installation
import worker_helpers
from constants import TREE
from gpupanel.db import Database
from gpupanel.devtools.mariadb_server import MariaDBServer, THROWAWAY
from gpupanel.errors import PanelError
from network import Network
from network import lacking as lacking_machines

USER = "mysql"  # rsync's state transfer refuses root
NODES = (1, 2, 3)
# Smaller files to hand over, and a silent node suspected after 2 s instead of 5.
PROVIDER = "gcache.size=32M;evs.suspect_timeout=PT2S;evs.keepalive_period=PT0.5S;evs.inactive_check_period=PT0.5S"
QUICK = ("--innodb-log-file-size=16M", f"--wsrep-provider-options={PROVIDER}")


def lacking() -> str:
    """Why there can be no cluster here; empty when there can."""
    return lacking_machines() or ("" if shutil.which("wsrep_sst_rsync") else "Debian's mariadb-server is not installed")


class Node(MariaDBServer):
    """One node; `found` it as the first of its cluster, or let it `join` the others."""

    def __init__(self, folder: Path, network: Network, number: int):
        as_user = ("setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups")
        super().__init__(folder, within=(*network.within(number), *as_user))
        self.number = number
        self._always = (*THROWAWAY, *QUICK, *_sample(network, number))

    def begin(self) -> None:
        """Make the history and the data that all of them begin with."""
        super()._install()
        self.bootstrap()
        installation.init_db(self)
        self.stop()

    def like(self, other: "Node") -> None:
        """Begin with what another one has, so that it need not hand it over."""
        shutil.copytree(other.folder, self.folder)

    def bootstrap(self) -> "Node":
        """Start the first node of a new cluster."""
        return self._start("--wsrep-new-cluster")

    def join(self) -> "Node":
        """Start it as one more, or again: the others give it what it lacks."""
        (self.folder / "data").mkdir(exist_ok=True)
        return self._start(*self._position())

    def _install(self) -> None:
        """What a node without data needs, the others give it."""

    def _start(self, *options: str) -> "Node":
        self.options = (*self._always, *options)
        self._sockets.mkdir(exist_ok=True)
        subprocess.run(["chown", "-R", f"{USER}:", self.folder, self._sockets], check=True)
        return self.start()

    def _position(self) -> tuple[str, ...]:
        """Up to where its data goes, as the server finds it there: after a crash nothing else knows."""
        if not (self.folder / "data" / "gvwstate.dat").exists():
            return ()
        self.options = (*self._always, "--wsrep-recover")
        said = subprocess.run(
            [*self.within, "mariadbd", *self._arguments()], capture_output=True, text=True, check=True
        )
        found = re.search(r"Recovered position: *(\S+)", said.stderr)
        return (f"--wsrep-start-position={found[1]}",)

    def status(self, name: str) -> str:
        """One of its own variables of status; empty when it does not answer."""
        db = Database(self.admin(), read_timeout=20)
        try:
            return db.execute("SHOW GLOBAL STATUS LIKE %(name)s", name=name)[0]["Value"]
        except PanelError:
            return ""
        finally:
            db.close()

    def wait_for(self, name: str, value: object) -> None:
        worker_helpers.wait_until(
            lambda: self.status(name) == str(value), f"{name} = {value} on node {self.number}", every=0.05
        )


def _sample(network: Network, number: int) -> list[str]:
    """The options of etc/mariadb/galera.cnf for the node of this number."""
    sample = ConfigParser()
    sample.read(TREE / "etc" / "mariadb" / "galera.cnf")
    options = dict(sample["mariadb"]) | {
        "wsrep_cluster_address": "gcomm://" + ",".join(map(network.address, NODES)),
        "wsrep_node_address": network.address(number),
    }
    return [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]


class Cluster:
    """Three nodes that agree; `cluster[2]` is the second one."""

    def __init__(self, network: Network):
        self.network = network
        self._undo = ExitStack()

    def __enter__(self) -> "Cluster":
        with ExitStack() as undo:
            folder = Path(tempfile.mkdtemp(prefix="gpupanel-galera-"))  # where another user may go
            undo.callback(shutil.rmtree, folder, ignore_errors=True)
            folder.chmod(0o755)
            self._nodes = {number: Node(folder / str(number), self.network, number) for number in NODES}
            for node in self._nodes.values():
                undo.callback(node.stop)
            self[1].begin()
            for number in NODES[1:]:
                self[number].like(self[1])
            self[1].bootstrap()
            for number in NODES[1:]:  # one by one: on a busy machine, two at once may miss the primary component
                self[number].join()
            self.wait_until_whole()
            self._undo = undo.pop_all()
        return self

    def __exit__(self, *exc) -> None:
        self._undo.close()

    def __getitem__(self, number: int) -> Node:
        return self._nodes[number]

    def __iter__(self) -> Iterator[int]:
        return iter(NODES)

    def wait_until_whole(self) -> None:
        for node in self._nodes.values():
            node.wait_for("wsrep_cluster_size", len(NODES))
            node.wait_for("wsrep_local_state_comment", "Synced")
