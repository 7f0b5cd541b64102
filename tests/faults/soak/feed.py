"""Bundles of a mix of sizes, written while workers import and queued through the panel."""

import random
from collections import deque
from dataclasses import dataclass
from zlib import crc32

from constants import NAME
from gpupanel.db import Database
from gpupanel.devtools.bundle_factory import GeneratedAsset
from load.bundles import HOST
from load.deployment import Deployment
from load.operators import Operator, queue

BUNDLES_A_SCAN = 8
UPDATES, GALLERIES = 0.15, 0.05  # shares of the bundles
MOST_UPDATED = 100  # items of a bundle that is updated
KEPT = 500  # bundles that an update may follow
FULL_SECONDS = 0.2  # until a full queue is read again
FILES = {"derivatives": ("icon",), "documents": ("photo.analysis.json", "photo.meaning.json")}
OPEN = """SELECT COUNT(*) AS batches, COALESCE(SUM(item_count), 0) AS items FROM ingest_batch
          WHERE status IN ('discovered', 'preflight_passed', 'queued', 'importing')"""
LIBRARY = """SELECT COUNT(*) AS assets, SUM(CRC32(CONCAT(asset_hash, title))) AS titles,
             (SELECT COUNT(*) FROM asset_gallery_item WHERE deleted_at IS NULL) AS members
             FROM asset WHERE deleted_at IS NULL"""


@dataclass
class Bundle:
    """A bundle and its updates; `latest` is the sync_id of the last one."""

    name: str
    items: int
    latest: str
    revision: int = 1


class Feed:
    """One operator's bundles, written while fewer than `backlog` items of all operators wait.

    The sums are those that the library must have in the end.
    """

    def __init__(self, operator: Operator, site: Deployment, sizes: dict[int, int], backlog: int):
        self._operator, self._writer, self._sizes, self._backlog = operator, site.writer, sizes, backlog
        self._db = Database(site.server.admin(NAME))
        self._chance = random.Random(operator.name)
        self._known: deque[Bundle] = deque(maxlen=KEPT)
        self.newest, self.bundles, self.updates = "", 0, 0
        self.assets = self.members = self.titles = 0

    def step(self) -> float:
        """Write and queue some bundles, unless enough items wait; return the seconds until the next time."""
        (row,) = self._db.execute(OPEN)
        if row["items"] >= self._backlog:
            return FULL_SECONDS
        created: list[Bundle] = []
        sync_ids = [self._update() if self._is_update() else self._create(created) for _ in range(BUNDLES_A_SCAN)]
        self._operator.insist(do="scan")
        queue(self._operator, sync_id=sync_ids)
        self._known += created
        self.newest = sync_ids[-1]
        return 0

    def _is_update(self) -> bool:
        return bool(self._known) and self._chance.random() < UPDATES

    def _create(self, created: list[Bundle]) -> str:
        self.bundles += 1
        name = f"{self._operator.name}, {self.bundles}"
        (count,) = self._chance.choices(list(self._sizes), list(self._sizes.values()))
        assets, containers = self._assets(name, count, 1), []
        if self._chance.random() < GALLERIES:
            containers = [self._writer.container("gallery", name, assets)]
            self.members += count
        sync_id = self._writer.bundle(name, assets, containers, source_host=HOST)
        if count <= MOST_UPDATED:
            created.append(Bundle(name, count, sync_id))
        self.assets += count
        self.titles += _checksum(assets)
        return sync_id

    def _update(self) -> str:
        self.updates += 1
        bundle = self._chance.choice(self._known)
        self.titles -= _checksum(self._assets(bundle.name, bundle.items, bundle.revision))
        bundle.revision += 1
        assets = self._assets(bundle.name, bundle.items, bundle.revision)
        self.titles += _checksum(assets)
        bundle.latest = self._writer.bundle(
            f"{bundle.name}, {bundle.revision}", assets, action="update", prior_sync_id=bundle.latest, source_host=HOST
        )
        return bundle.latest

    def _assets(self, name: str, count: int, revision: int) -> list[GeneratedAsset]:
        return [
            asset._replace(title=f"{asset.key}, revision {revision}", revision=revision)
            for asset in self._writer.assets(name, count, **FILES)
        ]


def lost(site: Deployment, feeds: list[Feed]) -> list[str]:
    """Return where the library differs from what the feeds wrote: in numbers, and in a checksum of titles."""
    (row,) = site.admin.execute(LIBRARY)
    expected = {name: sum(getattr(feed, name) for feed in feeds) for name in row}
    return [
        f"{name}: the library has {found}, the bundles have {expected[name]}"
        for name, found in row.items() if found != expected[name]
    ]


def _checksum(assets: list[GeneratedAsset]) -> int:
    return sum(crc32(f"{asset.asset_hash}{asset.title}".encode()) for asset in assets)
