"""Worlds of bundle_strategies.py as real bundles on a mount, and a database read as the reference fold's library."""

import json
from dataclasses import replace
from hashlib import sha256
from typing import Any, NamedTuple

import msgspec
from bundle_strategies import World
from gpupanel.devtools.bundle_factory import BundleWriter
from gpupanel.devtools.bundle_factory.generated_asset import GeneratedAsset, ItemFiles
from gpupanel.devtools.bundle_factory.derivatives import GeneratedFile
from gpupanel.manifest import Item
from gpupanel.reference_fold import (
    Asset, Container, Derivative, Documents, FIELDS, Library, Member, Order, VALUES,
)
from whole_fold import Handover

FILES = {"meaning": "source/data/photo.meaning.json", "family": "source/data/photo.family.json"}
# Facts of a manifest that the writer takes as they are.
FACTS = ("action", "sync_type", "status", "source_host", "created_at", "completed_at", "prior_sync_id")


class FixedWriter(BundleWriter):
    """A writer whose bundles are called by their sync_id."""

    def sync_id(self, name: str) -> str:
        return name


class FixedAsset(GeneratedAsset):
    """An asset whose key is its hash."""

    @property
    def asset_hash(self) -> str:
        return self.key


class Deliverable(NamedTuple):
    """The item and files of one item of a bundle, in the form that the factory calls a defect."""

    item: Item
    documents: dict[str, bytes]

    def __call__(self, item: dict[str, Any], files: list[GeneratedFile]) -> ItemFiles:
        derivatives = [msgspec.structs.asdict(each) for each in self.item.derivatives]
        contents = [GeneratedFile(each.path, b"x" * each.bytes) for each in self.item.derivatives]
        contents += [GeneratedFile(path, content) for path, content in self.documents.items()]
        return msgspec.structs.asdict(self.item) | {"derivatives": derivatives}, contents


def write_world(writer: FixedWriter, world: World) -> tuple[Handover, ...]:
    """Write the bundles of a world; return them with the folders and digests of their documents."""
    return tuple(_write(writer, number, handover) for number, handover in enumerate(world.handovers, 1))


def _write(writer: FixedWriter, number: int, handover: Handover) -> Handover:
    manifest = handover.manifest
    items, assets, documents = [], [], {}
    for item in manifest.items:
        key = item.asset_type, item.asset_hash
        contents = _documents(handover.documents[key])
        asset = FixedAsset(item.asset_hash, item.asset_type, "", (), (), revision=number)
        placed = msgspec.structs.replace(item, path=asset.path)
        assets.append(asset._replace(broken=Deliverable(placed, contents)))
        items.append(placed)
        documents[key] = Documents(
            _digest(contents["source/source.json"]),
            frozenset((kind, _digest(contents[path])) for kind, path in FILES.items() if path in contents),
        )
    containers = [msgspec.structs.asdict(each) | {"items": list(each.items)} for each in manifest.containers]
    facts = {name: getattr(manifest, name) for name in FACTS}
    writer.bundle(manifest.sync_id, assets, containers, **facts)
    return Handover(replace(manifest, items=tuple(items)), documents)


def _documents(documents: Documents) -> dict[str, bytes]:
    """path -> content; a bundle has one document of a kind."""
    kinds = dict(sorted(documents.analyses))
    contents = {FILES[kind]: json.dumps({kind: value}).encode() for kind, value in kinds.items()}
    return {"source/source.json": json.dumps({"source": documents.source}).encode()} | contents


def _digest(content: bytes) -> str:
    return sha256(content).hexdigest()


# ---------------------------------------------------------------------------------------------------- the database


def library_of(db) -> Library:
    """Read the library of a database; a row without a say of its own has that of its owner."""
    library = Library()
    sync_ids = {row["id"]: row["sync_id"] for row in db.execute("SELECT id, sync_id FROM ingest_batch")}

    def say(row, owner=None) -> Order:
        return Order(row["source_at"], sync_ids[row["source_batch_id"]]) if row["source_at"] else owner

    assets = {}
    for row in db.execute("SELECT a.*, s.sha256 FROM asset a LEFT JOIN asset_source s ON s.asset_id = a.id"):
        fields = {name: row[name] for name in FIELDS}
        asset = Asset(say(row), row["deleted_at"] is not None, fields, row["sha256"] or "")
        library.assets[row["asset_type"], row["asset_hash"]] = assets[row["id"]] = asset
    for row in db.execute("SELECT * FROM asset_cover WHERE deleted_at IS NULL"):
        assets[row["asset_id"]].covers.add(row["cover_hash"])
    for row in db.execute("SELECT * FROM asset_ai_run WHERE deleted_at IS NULL"):
        assets[row["asset_id"]].analyses.add((row["analysis_kind"], row["content_sha256"]))
    for row in db.execute("SELECT * FROM asset_derivative WHERE deleted_at IS NULL"):
        asset = assets[row["asset_id"]]
        values = tuple(row[name] for name in VALUES)
        asset.derivatives[row["kind"], row["path"]] = Derivative(values, say(row, asset.say))
    for kind in ("gallery", "collection"):
        _read_containers(db, library, kind, say)
    return library


def _read_containers(db, library: Library, kind: str, say) -> None:
    containers = {}
    for row in db.execute(f"SELECT * FROM asset_{kind}"):
        container = Container(say(row), row["title"], row["cover_hash"], row["deleted_at"] is not None)
        library.containers[kind, row[f"{kind}_hash"]] = containers[row["id"]] = container
    for row in db.execute(f"SELECT m.*, a.asset_hash FROM asset_{kind}_item m JOIN asset a ON a.id = m.asset_id"):
        container = containers[row[f"{kind}_id"]]
        member = Member(row["position"], say(row, container.say), row["deleted_at"] is not None)
        container.members[row["asset_hash"]] = member
