"""Bundles of the load test: ordinary ones, a big one, and many that stay unqueued."""

import json

from .deployment import Deployment

HOST, ELSEWHERE = "load.example", "elsewhere.example"
ITEMS = 10  # of an ordinary bundle; two of them are also in others
BARE = {"derivatives": (), "documents": ()}


def write_bundles(site: Deployment) -> tuple[list[str], str]:
    """Write all bundles; return the ordinary sync_ids and the big one."""
    size, writer = site.size, site.writer
    shared = [list(writer.assets(f"shared {n}", 2, **BARE)) for n in range(7)]
    ordinary = [_ordinary(site, n, shared[n % 7]) for n in range(size.bundles)]
    big = writer.bundle("big", writer.assets("big", size.items, **BARE), source_host=HOST)
    for n in range(size.sentinels - size.bundles - 1):
        writer.bundle(f"else {n}", writer.assets(f"else {n}", 1, **BARE), files=False, source_host=ELSEWHERE)
    return ordinary, big


def _ordinary(site: Deployment, number: int, shared: list) -> str:
    assets = [*site.writer.assets(f"bundle {number}", ITEMS - len(shared), derivatives=("icon",)), *shared]
    gallery = site.writer.container("gallery", f"Gallery {number}", assets)
    return site.writer.bundle(f"bundle {number}", assets, [gallery], source_host=HOST)


def manifest(site: Deployment, sync_id: str) -> dict:
    return json.loads(site.mount.read_manifest(sync_id))
