"""A simulated Perl panel and worker: tests/perl_side/perl_side.pl over the tables of tests/perl_side/schema.sql."""

import subprocess
from pathlib import Path
from typing import NamedTuple

from constants import TREE
from gpupanel.db import Database, migrations
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
        for statement in migrations.split_statements((FOLDER / "schema.sql").read_text()):
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


def fill(admin: Database, name: str, assets: int) -> None:
    """Add a batch with so many imported assets, with their documents, derivatives and site, in local times."""
    numbers = f"(SELECT seq FROM mysql.seq_1_to_{assets}) numbers"
    digest, at = "SHA2({}, 256)", "'2026-03-01 12:00:00' + INTERVAL seq SECOND"
    batch = f"(SELECT id FROM {name}.ingest_batch WHERE source_host = 'filled')"
    of_asset = f"FROM {name}.asset a WHERE a.last_batch_id = {batch}"
    for statement in (
        f"INSERT INTO {name}.ingest_batch (sync_id, sync_type, action, item_count, source_host, status, started_at,"
        f" completed_at) VALUES (UUID(), 'asset', 'create', {assets}, 'filled', 'completed', NOW(), NOW())",
        f"INSERT INTO {name}.import_job (batch_id, state, requested_by, worker, claimed_at, heartbeat_at, finished_at,"
        f" items_done, items_total) SELECT {batch}, 'completed', 'admin', 'perl:1', NOW(), NOW(), NOW(), {assets},"
        f" {assets}",
        f"INSERT INTO {name}.ingest_event (batch_id, event_type, payload) SELECT {batch}, 'scan', '{{}}'",
        f"INSERT INTO {name}.asset (asset_type, asset_hash, path, title, mime_type, width, height, bytes,"
        f" first_batch_id, last_batch_id, created_at, updated_at) SELECT 'photo', {digest.format('seq')},"
        f" CONCAT('photos/', seq), CONCAT('Photo ', seq), 'image/jpeg', 4000, 3000, seq, {batch}, {batch}, {at}, {at}"
        f" FROM {numbers}",
        f"INSERT INTO {name}.ingest_batch_item (batch_id, asset_type, asset_hash, decision, asset_id, job_id)"
        f" SELECT {batch}, 'photo', a.asset_hash, 'created', a.id, (SELECT MAX(id) FROM {name}.import_job) {of_asset}",
        f"INSERT INTO {name}.asset_source (asset_id, document) SELECT a.id, {_document(300)} {of_asset}",
        *(
            f"INSERT INTO {name}.asset_ai_run (asset_id, analysis_kind, document, content_sha256)"
            f" SELECT a.id, '{kind}', {_document(size)}, {digest.format(_document(size))} {of_asset}"
            for kind, size in (("manifest", 500), ("meaning", 900))
        ),
        *(
            f"INSERT INTO {name}.asset_derivative (asset_id, kind, path, bytes, sha256, mime_type, width, height)"
            f" SELECT a.id, '{kind}', '{kind}.jpg', a.id, a.asset_hash, 'image/jpeg', 800, 600 {of_asset}"
            for kind in ("icon", "thumb", "medium")
        ),
        f"INSERT INTO {name}.asset_site_membership (asset_id) SELECT a.id {of_asset}",
    ):
        admin.execute(statement)


def _document(size: int) -> str:
    return f"CONCAT('{{\"title\":\"Photo ', a.id, '\",\"text\":\"', REPEAT('x', {size}), '\"}}')"
