"""What an approval binds, as SHA-256: an item, a container, and what the library has of each.

Compact JSON in UTF-8, keys in the order below. The parts are those of docs/decisions/0110-plan-approval-result.md; a
change of any of them makes every plan that was approved before differ, so that its jobs are held.
"""

from collections.abc import Mapping
from hashlib import sha256
from operator import attrgetter, itemgetter
from typing import Any

import msgspec

from .manifest import Container, Derivative, Item

FIELDS = ("asset_subtype", "path", "title", "mime_type", "width", "height", "bytes", "duration_seconds")
DERIVATIVE_VALUES = ("bytes", "sha256", "mime_type", "width", "height")
BY_FILE = itemgetter(0, 1)

# The values of an item or derivative in the order of these names, in one call.
field_values = attrgetter(*FIELDS)
derivative_values = attrgetter(*DERIVATIVE_VALUES)
_fields_of = itemgetter(*FIELDS)
_values_of = itemgetter(*DERIVATIVE_VALUES)

_encode = msgspec.json.Encoder().encode
_encode_sorted = msgspec.json.Encoder(order="sorted").encode


def item_fields(item: Item) -> dict[str, Any]:
    """The fields of an item that the library stores, by name."""
    return dict(zip(FIELDS, field_values(item), strict=True))


def derivative_fields(derivative: Derivative) -> dict[str, Any]:
    """The values of a derivative that the library stores, by name."""
    return dict(zip(DERIVATIVE_VALUES, derivative_values(derivative), strict=True))


def fingerprint(item: Item) -> str:
    """Digest of all that the library stores of an item: its fields and derivatives."""
    files = [(each.kind, each.path, *derivative_values(each)) for each in item.persisted]
    return _digest((field_values(item), sorted(files, key=BY_FILE)))


def item_digest(item: Item) -> str:
    """Digest of an item of a manifest: what an import would write of it, and the cover that it links."""
    files = [[each.kind, each.path, *derivative_values(each)] for each in item.persisted]
    fields = _plain(field_values(item))
    return _digest([item.asset_type, item.asset_hash, item.cover_hash, fields, sorted(files, key=BY_FILE)])


def container_digest(container: Container) -> str:
    """Digest of a container of a manifest, its members in order."""
    return _digest(
        [container.type, container.container_hash, container.title, container.cover_hash, list(container.items)]
    )


def asset_digest(
    fields: Mapping[str, Any], is_removed: bool, derivatives: Mapping[tuple[str, str], Mapping[str, Any]]
) -> str:
    """Digest of an asset as the library has it; `derivatives` are the live ones, by kind and path."""
    files = [[kind, path, *_values_of(values)] for (kind, path), values in derivatives.items()]
    return _digest([_plain(_fields_of(fields)), is_removed, sorted(files, key=BY_FILE)])


def library_container_digest(title: str | None, cover_hash: str | None, is_removed: bool) -> str:
    """Digest of a gallery or collection as the library has it, without its members."""
    return _digest([title, cover_hash, is_removed])


def undo_digest(changes: Mapping[str, Any] | None) -> str:
    """Digest of what an undo writes of one entry: the results that it takes back, and each value before and after."""
    return sha256(_encode_sorted(changes)).hexdigest()


def _plain(fields: tuple[Any, ...]) -> tuple[Any, ...]:
    """Write a duration of 2 as 2.0, since the database knows no difference; it is the last field."""
    return fields if fields[-1] is None else (*fields[:-1], float(fields[-1]))


def _digest(parts: object) -> str:
    return sha256(_encode(parts)).hexdigest()


# Of an asset or container that the library does not have.
ABSENT = _digest(None)
