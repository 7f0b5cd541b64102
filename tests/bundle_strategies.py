"""Small worlds of bundles for property tests, and the library that upstream's order promises."""

from datetime import datetime, timedelta
from typing import Any, NamedTuple

import msgspec
from hypothesis import strategies as st

from gpupanel.manifest import Container, Derivative, Item, Manifest, Verification
from gpupanel.reference_fold import Documents, FIELDS, Library, Promise, promise_of
from whole_fold import Handover, orders

START = datetime(2026, 4, 10)
# Few of each, so that bundles meet.
ASSETS = (("photo", "a" * 64), ("photo", "b" * 64), ("video", "c" * 64))
CONTAINERS = (("gallery", "1" * 64), ("collection", "2" * 64))
COVERS = ("d" * 64, "e" * 64)
ACTIONS = ("create", "update", "update", "remove")


class World(NamedTuple):
    """Bundles, and the order in which they are imported: each at least once."""

    handovers: tuple[Handover, ...]
    arrivals: tuple[str, ...]

    @property
    def sync_ids(self) -> list[str]:
        return [handover.manifest.sync_id for handover in self.handovers]


def sync_id(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012d}"


def time(minutes: float) -> str:
    """A manifest's time, `minutes` after the start of the world."""
    return f"{(START + timedelta(minutes=minutes)).isoformat(timespec='microseconds')}Z"


def photo(
    asset: int = 0, *, title: str | None = "t", cover: str | None = None, files: dict[str, int] | None = None
) -> Item:
    """An item of one of ASSETS; `files` maps the path of a derivative to its size."""
    asset_type, asset_hash = ASSETS[asset]
    derivatives = tuple(Derivative("thumb", path, size, "f" * 64) for path, size in sorted((files or {}).items()))
    return Item(asset_type, asset_hash, cover_hash=cover, path=f"items/{asset}", title=title, derivatives=derivatives)


def group(container: int = 0, *assets: int, title: str | None = "g") -> Container:
    """One of CONTAINERS with these of ASSETS as members."""
    kind, container_hash = CONTAINERS[container]
    return Container(kind, container_hash, title, items=tuple(ASSETS[asset][1] for asset in assets))


def handover(
    number: int, action: str, *entries: Item | Container, at: float | None = None, prior: int | None = None,
    documents: dict[int, Documents] | None = None,
) -> Handover:
    """Return a bundle completed at minute `at` (default: its number); `documents` are by asset number."""
    items = tuple(entry for entry in entries if isinstance(entry, Item))
    manifest = Manifest(
        sync_id=sync_id(number), sync_type="asset", action=action, status="completed", source_host="media-1",
        created_at=time(0), completed_at=time(number if at is None else at),
        prior_sync_id=None if prior is None else sync_id(prior), item_count=len(items), total_bytes=0,
        verification=Verification(True, 0), items=items, item_type_counts={},
        containers=tuple(entry for entry in entries if isinstance(entry, Container)), sha256="0" * 64,
    )
    known = {ASSETS[asset]: value for asset, value in (documents or {}).items()}
    return Handover(manifest, {(item.asset_type, item.asset_hash): Documents(f"s{number}") for item in items} | known)


def _some(numbers: int) -> st.SearchStrategy[list[int]]:
    return st.lists(st.sampled_from(range(numbers)), unique=True, max_size=numbers)


@st.composite
def _handovers(draw: st.DrawFn, number: int) -> Handover:
    action = draw(st.sampled_from(ACTIONS))
    assets = draw(_some(len(ASSETS)))
    items = [
        photo(
            asset, title=f"{number}-{draw(st.integers(0, 1))}", cover=draw(st.sampled_from((None, *COVERS))),
            files=draw(st.dictionaries(st.sampled_from(("s.jpg", "m.jpg")), st.integers(1, 3), max_size=2)),
        )
        for asset in assets
    ]
    containers = [group(each, *draw(st.permutations(draw(_some(len(ASSETS))))), title=f"g{number}")
                  for each in draw(_some(len(CONTAINERS)))]
    kinds = st.tuples(st.sampled_from(("meaning", "family")), st.sampled_from(("x", "y")))
    documents = {asset: Documents(f"s{number}", draw(st.frozensets(kinds, max_size=2))) for asset in assets}
    prior = draw(st.none() | st.integers(0, number - 1)) if number else None
    return handover(
        number, action, *items, *containers, at=draw(st.integers(0, 3)), prior=prior, documents=documents,
    )


@st.composite
def worlds(draw: st.DrawFn, most: int = 6) -> World:
    """Generate up to `most` bundles with equal times and chains of priors, in any order, some repeated."""
    return _arriving(draw, tuple(draw(_handovers(number)) for number in range(draw(st.integers(1, most)))))


@st.composite
def peopled_worlds(draw: st.DrawFn, most: int = 6) -> World:
    """Generate such bundles after one that creates all assets.

    Few containers then lack a member.
    """
    first = handover(0, "create", *(photo(asset) for asset in range(len(ASSETS))), at=-1)
    return _arriving(draw, (first, *(draw(_handovers(number)) for number in range(1, draw(st.integers(3, most))))))


def cover(number: int = 0) -> Item:
    """One of COVERS as an item."""
    return Item("cover", COVERS[number], path=f"items/cover {number}", title=f"c{number}")


@st.composite
def covered_worlds(draw: st.DrawFn, most: int = 5) -> World:
    """Generate bundles of few assets and of their covers, which several bundles bring, show and change."""
    return _arriving(draw, tuple(draw(_covered(number)) for number in range(draw(st.integers(2, most)))))


@st.composite
def _covered(draw: st.DrawFn, number: int) -> Handover:
    shown = st.sampled_from((None, *COVERS, *COVERS))
    photos = [photo(each, title=f"{number}", cover=draw(shown)) for each in draw(_some(2))]
    covers = [cover(each) for each in draw(_some(len(COVERS)))]
    containers = [
        msgspec.structs.replace(group(each, *draw(_some(2)), title=f"g{number}"), cover_hash=draw(shown))
        for each in draw(_some(len(CONTAINERS)))
    ]
    action = draw(st.sampled_from(("create", "update", "update", "update", "remove")))
    return handover(number, action, *draw(st.permutations([*photos, *covers])), *containers, at=draw(st.integers(0, 3)))


def _arriving(draw: st.DrawFn, handovers: tuple[Handover, ...]) -> World:
    sync_ids = [each.manifest.sync_id for each in handovers]
    repeats = draw(st.lists(st.sampled_from(sync_ids), max_size=4))
    return World(handovers, tuple(draw(st.permutations([*sync_ids, *repeats]))))


def promised(library: Library, handovers: tuple[Handover, ...]) -> dict[str, Any]:
    """Return the part of a library that does not depend on the order of arrival.

    Fields of an asset or container are left out where a create is not the first that brought it; additive parts where
    a bundle removed the asset; a container without a visible member where a bundle removed members of it.
    """
    promises = _promises(handovers)
    loose = {key for key, promise in promises.items() if not promise.values}
    removed = {key for key, promise in promises.items() if not promise.parts}
    live = {key: asset for key, asset in library.assets.items() if not asset.deleted}
    assets = {key: {"say": asset.say, "covers": asset.covers, "analyses": asset.analyses, "source": asset.source,
                    "fields": [asset.fields[name] for name in FIELDS],
                    "derivatives": {file: each.values for file, each in asset.derivatives.items()}}
              for key, asset in live.items()}
    for key in assets.keys() & loose:
        del assets[key]["fields"], assets[key]["source"], assets[key]["derivatives"], assets[key]["analyses"]
    for key in assets.keys() & removed:
        for part in ("covers", "analyses", "derivatives"):
            assets[key].pop(part, None)
    containers = {}
    for key, container in library.containers.items():
        hashes = {asset_hash for _, asset_hash in live}
        members = {m: each.position for m, each in container.members.items() if not each.removed and m in hashes}
        if not container.deleted and (members or key not in removed):
            exact = {"title": container.title, "cover": container.cover_hash, "members": members}
            containers[key] = {"members": set(members)} if key in loose else exact
    return {"assets": assets, "containers": containers}


def _entries(handover: Handover) -> set[tuple[str, str]]:
    manifest = handover.manifest
    return ({(item.asset_type, item.asset_hash) for item in manifest.items}
            | {(container.type, container.container_hash) for container in manifest.containers})


def _promises(handovers: tuple[Handover, ...]) -> dict[tuple[str, str], Promise]:
    """(type, hash) -> what is promised of each asset and container that a bundle names."""
    order_of, actions = orders(handovers), {}
    for each in sorted(handovers, key=lambda handover: order_of[handover.manifest.sync_id]):
        for key in _entries(each):
            actions.setdefault(key, []).append(each.manifest.action)
    return {key: promise_of(each) for key, each in actions.items()}
