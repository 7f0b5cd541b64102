"""Invariants after the load: all jobs ended, the library matches the bundles, the events are true."""

import time

from campaign import snapshot
from gpupanel.db import chunked

from . import bundles
from .deployment import Deployment

STILL_SECONDS = 90  # without any progress, the queue is taken for stuck
UNFINISHED = """
SELECT COUNT(*) AS n, COALESCE(SUM(items_done), 0) AS done FROM (
    SELECT items_done FROM import_job WHERE state IN ('queued', 'held', 'running')
    UNION ALL SELECT 0 FROM preflight_request WHERE state IN ('queued', 'running')) AS unfinished"""
LEFT = "SELECT sync_id FROM ingest_batch WHERE source_host = %(host)s AND status <> 'completed'"


def settle(site: Deployment) -> list[str]:
    """After the chaos, queue the canceled and failed batches again until all are imported."""
    for _ in range(3):
        if problem := _ends(site):
            return [problem]
        left = [row["sync_id"] for row in site.admin.execute(LEFT, host=bundles.HOST)]
        if not left:
            return []
        for some in chunked(left, 200):
            site.shell("queue", *some)
    return [f"{len(left)} batches do not complete: {left[:3]}"]


def _ends(site: Deployment) -> str | None:
    previous, since = None, time.monotonic()
    while True:
        (row,) = site.admin.execute(UNFINISHED)
        if not row["n"]:
            return None
        if row != previous:
            previous, since = row, time.monotonic()
        if time.monotonic() - since > STILL_SECONDS:
            return f"{row['n']} jobs and preflights are left, and nothing has moved for {STILL_SECONDS} s"
        time.sleep(0.5)


def lost(site: Deployment, sync_ids: list[str]) -> list[str]:
    """Return where the library differs from these bundles."""
    expected = {}
    for sync_id in sync_ids:
        for item in bundles.manifest(site, sync_id)["items"]:
            expected[item["asset_type"], item["asset_hash"]] = item["title"]
    rows = site.admin.execute("SELECT asset_type, asset_hash, title FROM asset WHERE deleted_at IS NULL")
    titles = {(row["asset_type"], row["asset_hash"]): row["title"] for row in rows}
    problems = [
        f"{asset} is not as its bundle says"
        for asset in expected.keys() | titles
        if expected.get(asset) != titles.get(asset)
    ]
    return problems[:10] + _members(site, sync_ids)


def _members(site: Deployment, sync_ids: list[str]) -> list[str]:
    listed = sum(
        len(container["items"]) for sync_id in sync_ids for container in bundles.manifest(site, sync_id)["containers"]
    )
    (row,) = site.admin.execute("SELECT COUNT(*) AS n FROM asset_gallery_item WHERE deleted_at IS NULL")
    return [] if row["n"] == listed else [f"galleries have {row['n']} members, the bundles list {listed}"]


def broken_invariants(site: Deployment) -> list[str]:
    return snapshot.broken_invariants(site.admin)[:10]
