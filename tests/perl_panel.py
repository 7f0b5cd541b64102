"""A simulated Perl panel and worker: tests/perl_side/perl_side.pl over the tables of tests/perl_side/schema.sql."""

import subprocess
from pathlib import Path
from typing import NamedTuple

from constants import TREE
from gpupanel.db import Database, versions
from gpupanel.devtools.mariadb_server import MariaDBServer

FOLDER = TREE / "tests" / "perl_side"
ZONE, OFFSET = "Africa/Maputo", "+02:00"  # without summer time


class PerlPanel(NamedTuple):
    """Runs the commands of the Perl side on the database `name` of a server."""

    server: MariaDBServer
    name: str
    assets_dir: Path

    def create(self, admin: Database) -> None:
        """Create the database with its tables, in which nothing is yet."""
        admin.execute("SET foreign_key_checks = 0")
        admin.execute(f"CREATE OR REPLACE DATABASE {self.name} CHARACTER SET latin1")
        tables = Database(self.server.admin(self.name))
        for statement in versions.split_statements((FOLDER / "schema.sql").read_text()):
            tables.execute(statement)
        tables.close()

    def __call__(self, command: str, *arguments: str) -> str:
        """Run a command; return what it prints."""
        place = [str(self.server.socket), self.name, OFFSET, str(self.assets_dir)]
        run = ["perl", str(FOLDER / "perl_side.pl"), *place, command, *map(str, arguments)]
        done = subprocess.run(run, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def bring(self, *sync_ids: str) -> None:
        """Scan, queue and import bundles."""
        self("scan")
        for sync_id in sync_ids:
            self("queue", sync_id)
        done = self("work")
        assert all(f"imported {sync_id}" in done for sync_id in sync_ids), done
