"""Writes bundles as upstream does: folders first, then the manifest under its name at once, the sentinel last."""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from .assets import Asset, assets, hand_over, removal
from .chance import digest, identifier, moment

COUNTED = ("item_count", "total_bytes", "verification")  # known only when the last item is written


class Writer:
    """Writes below `sync_dir` and `assets_dir` and nowhere else; the same seed and calls give the same bytes.

    `pictures` is how many different pictures of each form there are; items share them.
    """

    def __init__(self, sync_dir: Path | str, assets_dir: Path | str, seed: int | str = 1, pictures: int = 6):
        self.sync_dir, self.assets_dir = Path(sync_dir), Path(assets_dir)
        self.seed, self.pictures = seed, pictures
        self.bundles = 0

    def sync_id(self, name: str) -> str:
        """The id of the bundle that is, or would be, called `name`."""
        return identifier(self.seed, "bundle", name)

    def assets(self, name: str, count: int, mix: tuple[str, ...] = ("photo",), **options: Any) -> Iterator[Asset]:
        """`count` assets for a bundle; see `assets.assets` for mix and options. Another `name` gives other assets."""
        return assets(f"{self.seed}/{name}", count, mix, pictures=(str(self.seed), self.pictures), **options)

    def container(self, kind: str, title: str, members: Iterable[Asset], cover: Asset | None = None) -> dict[str, Any]:
        """A `gallery` or `collection` with these members, in order; the same kind and title is the same container."""
        return {
            "type": kind,
            "container_hash": digest(self.seed, kind, title),
            "title": title,
            "cover_hash": cover.asset_hash if cover else None,
            "items": [member.asset_hash for member in members],
        }

    def bundle(
        self,
        name: str,
        items: Iterable[Asset],
        containers: Iterable[dict[str, Any]] = (),
        *,
        files: bool = True,
        ready: bool = True,
        replace: bool = False,
        spoil: Callable[[bytes], bytes] | None = None,
        **facts: Any,
    ) -> str:
        """Write one bundle and return its sync_id; one whose manifest is there already is left alone, unless `replace`.

        `facts` are manifest keys other than items and containers that replace the true or usual ones: action,
        sync_type, status, verification, prior_sync_id... Without `files` the same manifest is written, and no folder.
        Without `ready` there is no sentinel. `spoil` may alter the manifest's bytes before it appears (it is read
        whole for that). `items` may be a generator: nothing but the manifest on disk grows with it.
        """
        self.bundles += 1
        sync_id = self.sync_id(name)
        manifest = self.sync_dir / f"{sync_id}.json"
        if replace or not manifest.exists():
            text = self._text({"sync_id": sync_id} | self._usual() | facts, items, containers, files)
            _appear(manifest, text, spoil)
        if ready:
            self.sentinel(name)
        return sync_id

    def sentinel(self, name: str) -> str:
        """Declare the bundle `name` ready, whether or not it is there, and return its sync_id."""
        sync_id = self.sync_id(name)
        _place(self.sync_dir / f"{sync_id}.ready", b"")
        return sync_id

    def _usual(self) -> dict[str, Any]:
        return {
            "sync_type": "asset",
            "action": "create",
            "status": "completed",
            "source_host": "cloud-sync.example",
            "created_at": moment(60 * self.bundles),
            "completed_at": moment(60 * self.bundles + 7),
            "prior_sync_id": None,
        }

    def _text(self, facts: dict, items: Iterable[Asset], containers: Iterable[dict], files: bool) -> Iterator[str]:
        told = Counter(item_count=0, total_bytes=0, total_files=0)
        written = self._items(items, facts["action"] == "remove", files, told)
        yield _json({key: value for key, value in facts.items() if key not in COUNTED})[:-1]
        yield from _array("items", written)
        yield from _array("containers", containers)
        counted = {key: told[key] for key in COUNTED[:2]}
        counted["verification"] = {"passed": True, "total_files": told["total_files"]}
        yield ",\n" + _json(counted | {key: facts[key] for key in COUNTED if key in facts})[1:] + "\n"

    def _items(self, items: Iterable[Asset], remove: bool, files: bool, told: Counter) -> Iterator[dict[str, Any]]:
        for asset in items:
            item, contents = (removal(asset), []) if remove else hand_over(asset)
            for path, data in contents if files else ():
                _place(self.assets_dir / asset.path / path, data)
            told["item_count"] += 1
            told["total_files"] += len(contents)
            told["total_bytes"] += sum(len(data) for _, data in contents)
            yield item


def _array(key: str, values: Iterable[dict[str, Any]]) -> Iterator[str]:
    yield f',\n"{key}":['
    for n, value in enumerate(values):
        yield (",\n " if n else "\n ") + _json(value)
    yield "]"


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def _appear(path: Path, text: Iterable[str], spoil: Callable[[bytes], bytes] | None) -> None:
    """Whoever scans meanwhile sees the whole file or none."""
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


def _place(path: Path, data: bytes) -> None:
    """Write `data`, unless it is there already: an item that two bundles name may be read by an import just now."""
    try:
        with open(path, "xb") as out:
            out.write(data)
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    except FileExistsError:
        if path.read_bytes() != data:
            path.write_bytes(data)
