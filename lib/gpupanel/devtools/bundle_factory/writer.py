"""Write bundles as upstream does: files, then manifest, then sentinel."""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from .assets import build_item, generate_assets, removal_item
from .deterministic import derive_hash, derive_uuid, timestamp
from .generated_asset import GeneratedAsset

COUNTED = ("item_count", "total_bytes", "verification")  # known only after the last item


class BundleWriter:
    """Writes only below `sync_dir` and `assets_dir`.

    The same seed and calls give the same bytes. `pictures` is the number of different pictures of
    each form, which the items share.
    """

    def __init__(self, sync_dir: Path | str, assets_dir: Path | str, seed: int | str = 1, pictures: int = 6):
        self.sync_dir, self.assets_dir = Path(sync_dir), Path(assets_dir)
        self.seed, self.pictures = seed, pictures
        self.bundles = 0

    def sync_id(self, name: str) -> str:
        """Return the id of the bundle called `name`, written or not."""
        return derive_uuid(self.seed, "bundle", name)

    def assets(
        self, name: str, count: int, mix: tuple[str, ...] = ("photo",), **options: Any
    ) -> Iterator[GeneratedAsset]:
        """Yield `count` assets for a bundle; see `assets.generate_assets`.

        Another `name` gives other assets.
        """
        return generate_assets(f"{self.seed}/{name}", count, mix, pictures=(str(self.seed), self.pictures), **options)

    def container(
        self, kind: str, title: str, members: Iterable[GeneratedAsset], cover: GeneratedAsset | None = None
    ) -> dict[str, Any]:
        """Return a `gallery` or `collection` of these members, in order.

        Kind and title identify it.
        """
        return {
            "type": kind,
            "container_hash": derive_hash(self.seed, kind, title),
            "title": title,
            "cover_hash": cover.asset_hash if cover else None,
            "items": [member.asset_hash for member in members],
        }

    def bundle(
        self,
        name: str,
        items: Iterable[GeneratedAsset],
        containers: Iterable[dict[str, Any]] = (),
        *,
        files: bool = True,
        ready: bool = True,
        replace: bool = False,
        spoil: Callable[[bytes], bytes] | None = None,
        **facts: Any,
    ) -> str:
        """Write one bundle and return its sync_id.

        An existing manifest stays, unless `replace` is set. `facts` are manifest keys other than
        items and containers that replace the usual ones: action, sync_type, status, verification,
        prior_sync_id... Without `files` no folder is written, and the manifest is the same. Without
        `ready` there is no sentinel. `spoil` may change the bytes of the manifest before it
        appears, and needs the whole manifest in memory. `items` may be a generator of any length.
        """
        self.bundles += 1
        sync_id = self.sync_id(name)
        manifest = self.sync_dir / f"{sync_id}.json"
        if replace or not manifest.exists():
            text = self._text({"sync_id": sync_id} | self._usual() | facts, items, containers, files)
            _write_at_once(manifest, text, spoil)
        if ready:
            self.sentinel(name)
        return sync_id

    def sentinel(self, name: str) -> str:
        """Write the sentinel of a bundle, which need not exist.

        Return the sync_id of the bundle.
        """
        sync_id = self.sync_id(name)
        _write_if_new(self.sync_dir / f"{sync_id}.ready", b"")
        return sync_id

    def _usual(self) -> dict[str, Any]:
        return {
            "sync_type": "asset",
            "action": "create",
            "status": "completed",
            "source_host": "cloud-sync.example",
            "created_at": timestamp(60 * self.bundles),
            "completed_at": timestamp(60 * self.bundles + 7),
            "prior_sync_id": None,
        }

    def _text(
        self, facts: dict[str, Any], items: Iterable[GeneratedAsset], containers: Iterable[dict[str, Any]], files: bool
    ) -> Iterator[str]:
        totals = Counter(item_count=0, total_bytes=0, total_files=0)
        written = self._items(items, facts["action"] == "remove", files, totals)
        yield _json({key: value for key, value in facts.items() if key not in COUNTED})[:-1]
        yield from _array("items", written)
        yield from _array("containers", containers)
        counted: dict[str, Any] = {key: totals[key] for key in COUNTED[:2]}
        counted["verification"] = {"passed": True, "total_files": totals["total_files"]}
        yield ",\n" + _json(counted | {key: facts[key] for key in COUNTED if key in facts})[1:] + "\n"

    def _items(
        self, items: Iterable[GeneratedAsset], remove: bool, files: bool, totals: Counter[str]
    ) -> Iterator[dict[str, Any]]:
        for asset in items:
            item, contents = (removal_item(asset), []) if remove else build_item(asset)
            for path, data in contents if files else ():
                _write_if_new(self.assets_dir / asset.path / path, data)
            totals["item_count"] += 1
            totals["total_files"] += len(contents)
            totals["total_bytes"] += sum(len(data) for _, data in contents)
            yield item


def _array(key: str, values: Iterable[dict[str, Any]]) -> Iterator[str]:
    yield f',\n"{key}":['
    for n, value in enumerate(values):
        yield (",\n " if n else "\n ") + _json(value)
    yield "]"


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def _write_at_once(path: Path, text: Iterable[str], spoil: Callable[[bytes], bytes] | None) -> None:
    """Write under another name and rename: a scan reads all or nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    try:
        with partial.open("w", encoding="ascii", newline="\n") as out:
            out.writelines(text)
        if spoil:
            partial.write_bytes(spoil(partial.read_bytes()))
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _write_if_new(path: Path, data: bytes) -> None:
    """Write `data` unless the file has it: an import may be reading it."""
    try:
        with open(path, "xb") as out:
            out.write(data)
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    except FileExistsError:
        if path.read_bytes() != data:
            path.write_bytes(data)
