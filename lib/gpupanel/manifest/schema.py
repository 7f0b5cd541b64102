"""The types of a manifest: the only statement of types and bounds. `MountSettings` has the limits of its cost.

Each `Meta` description completes the sentence "expected ..." of a refusal. Unknown keys are ignored. A key that has a
default may be missing. `gc=False`: there are many values and they form no cycle, so the garbage collector need not
track them.
"""

import sys
from typing import Annotated, Literal

from msgspec import Meta, Struct

from ..models import BIGINT_MAX

NEVER_PERSISTED = frozenset({"frosted", "blurred", "vivid_blurred"})
UUID_PATTERN = r"\A[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z"
KIND_PATTERN = r"\A[a-z0-9_]{1,64}\Z"
TIME_PATTERN = r"\A[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,12})?Z\Z"

Uuid = Annotated[str, Meta(pattern=UUID_PATTERN, description="a lowercase UUID")]
HASH_PATTERN = r"\A[0-9A-Fa-f]{64}\Z"
Hash = Annotated[str, Meta(pattern=HASH_PATTERN, min_length=64, max_length=64, description="64 hexadecimal digits")]
Kind = Annotated[str, Meta(pattern=KIND_PATTERN, min_length=1, description="1 to 64 characters of a-z, 0-9 and _")]
Time = Annotated[str, Meta(pattern=TIME_PATTERN, description="a UTC time such as 2026-01-31T09:30:00Z")]
Text = Annotated[str, Meta(max_length=255, description="text of up to 255 characters")]
Host = Annotated[str, Meta(min_length=1, max_length=255, description="text of 1 to 255 characters")]
Path = Annotated[str, Meta(max_length=512, description="a path of up to 512 characters")]
Count = Annotated[int, Meta(ge=0, le=BIGINT_MAX, description=f"a whole number from 0 to {BIGINT_MAX}")]
Seconds = Annotated[float, Meta(ge=0, le=sys.float_info.max, description="a finite number of seconds, at least 0")]
Flag = Annotated[bool, Meta(description="true or false")]

SyncType = Annotated[
    Literal["asset", "gallery", "collection", "video_simple"],
    Meta(description="asset, gallery, collection or video_simple"),
]
Action = Annotated[Literal["create", "update", "remove"], Meta(description="create, update or remove")]
AssetType = Annotated[Literal["photo", "cover", "video"], Meta(description="photo, cover or video")]
AssetSubtype = Annotated[Literal["video_simple"], Meta(description="video_simple")]
ContainerType = Annotated[Literal["gallery", "collection"], Meta(description="gallery or collection")]


class Derivative(Struct, frozen=True, gc=False):
    """A file made from an item; `path` is relative to the item's folder, `bytes` its size."""

    kind: Kind
    path: Path
    bytes: Count | None = None
    sha256: Hash | None = None
    mime_type: Text | None = None
    width: Count | None = None
    height: Count | None = None


class Item(Struct, frozen=True, gc=False):
    """One asset; `path` is its folder, relative to assets_dir, and missing only in a `remove` bundle."""

    asset_type: AssetType
    asset_hash: Hash
    asset_subtype: AssetSubtype | None = None
    cover_hash: Hash | None = None
    path: Path | None = None
    title: Text | None = None
    mime_type: Text | None = None
    width: Count | None = None
    height: Count | None = None
    bytes: Count | None = None
    duration_seconds: Seconds | None = None
    derivatives: tuple[Derivative, ...] = ()

    @property
    def persisted(self) -> tuple[Derivative, ...]:
        """The derivatives that the library keeps."""
        return tuple(file for file in self.derivatives if file.kind not in NEVER_PERSISTED)


class InvalidItem(Struct, frozen=True, gc=False):
    """An item that has an identity but cannot be imported; it fails alone, for the reasons in `problems`."""

    asset_type: str
    asset_hash: str
    cover_hash: str | None
    problems: tuple[str, ...]


class KnownDerivative(Derivative, frozen=True, gc=False, forbid_unknown_fields=True):
    """A derivative without unknown keys, which most derivatives are."""


class KnownItem(Item, frozen=True, gc=False, forbid_unknown_fields=True):
    """An item without unknown keys: its nesting and its texts have bounds by type, so that they need no other check."""

    derivatives: tuple[KnownDerivative, ...] = ()


class Container(Struct, frozen=True, gc=False):
    """A gallery or collection; `items` are asset hashes in order, of this bundle or of the library."""

    type: ContainerType
    container_hash: Hash
    title: Text | None = None
    cover_hash: Hash | None = None
    items: tuple[Hash, ...] = ()


class Verification(Struct, frozen=True, gc=False):
    """Upstream's own check of the bundle."""

    passed: Flag
    total_files: Count


class ManifestFields(Struct, frozen=True):
    """The keys of a manifest, as they stand in the file."""

    sync_id: Uuid
    sync_type: SyncType
    action: Action
    status: Text
    source_host: Host
    created_at: Time
    item_count: Count
    total_bytes: Count
    verification: Verification
    items: tuple[Item, ...]
    completed_at: Time | None = None
    prior_sync_id: Uuid | None = None
    containers: tuple[Container, ...] = ()
