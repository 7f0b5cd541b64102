"""The quick reading: for a manifest that gives every key once and breaks no rule, which it proves, or else gives up.

Nearly all manifests are like that, and some are large; whatever this reading doubts is read again by those that explain.
The text is decoded straight into values, so that no tree of it is ever in memory. Rules that a value carries alone are
the decoder's; those that need a look at each character are asked of all values at once.
"""

import re
from collections.abc import Collection, Iterable
from itertools import chain
from string import ascii_letters, digits
from typing import Annotated, Any, Union, get_args, get_origin

from msgspec import Meta, MsgspecError, Struct, defstruct
from msgspec.json import Decoder
from msgspec.structs import fields

from . import rules
from .text import ALL_BUT_VALUES, MOST_VALUES, colons
from .values import KIND_PATTERN, Bundle, Hash, Item, Kind

IN_DOUBT = (MsgspecError, ValueError, OverflowError, RecursionError)
# A shorter text cannot have so many values that they need counting.
MOST_BYTES = MOST_VALUES
LOWERCASE_DIGITS = b"0123456789abcdef"
# What a plain path is made of, and what is not in a list of such paths, a line each: nothing between two separators.
PLAIN = (ascii_letters + digits + "_-./\n").encode()
NAMELESS = [(one + other).encode() for one in "./\n" for other in "./\n"]


def read(raw: bytes, sync_id: str) -> dict[str, Any] | None:
    """The fields of the manifest by name, hashes in lowercase; None when it needs a closer look."""
    if b"\\" in raw and b"\\u003" in raw or len(raw) > MOST_BYTES and len(raw.translate(None, ALL_BUT_VALUES)) > MOST_VALUES:
        return None
    try:
        bundle = DECODER.decode(raw)
        sound = _sound(bundle, colons(raw), sync_id)
    except IN_DOUBT:
        return None
    return {name: getattr(bundle, name) for name in Bundle.__struct_fields__} if sound else None


# ------------------------------------------------------------------------------------------------ the decoder


def _whole(kind: Any) -> Any:
    """A type of values.py where every key has to be given, and the patterns of what there is much of are left for later."""
    if isinstance(kind, type) and issubclass(kind, Struct):
        members = [(field.name, _whole(field.type)) for field in fields(kind)]
        return defstruct(kind.__name__, members, bases=(kind,), frozen=True, kw_only=True)
    if get_origin(kind) is tuple:
        return tuple[_whole(get_args(kind)[0]), ...]
    if get_origin(kind) is Union:
        return Union[tuple(map(_whole, get_args(kind)))]
    return Annotated[str, _lengths(kind)] if kind in (Hash, Kind) else kind


def _lengths(kind: Any) -> Meta:
    [meta] = kind.__metadata__
    return Meta(min_length=meta.min_length, max_length=meta.max_length)


DECODER = Decoder(_whole(Bundle))


# -------------------------------------------------------------------------------------------------- the proof


def _sound(bundle: Bundle, told: int, sync_id: str) -> bool:
    items, containers = bundle.items, bundle.containers
    files = list(chain.from_iterable([item.derivatives for item in items]))
    texts = [*_head(bundle), *_texts(items, "title", "mime_type"), *_texts(files, "mime_type"), *_texts(containers, "title")]
    hashes = [item.asset_hash for item in items]
    members = [member for container in containers for member in container.items]
    hexes = [*hashes, *_texts(items, "cover_hash"), *_texts(files, "sha256"), *members]
    hexes += _texts(containers, "container_hash", "cover_hash")
    return (
        _accounted_for(bundle, files, texts, told)
        and _lowercase_digits(hexes)
        and _kinds(bundle) and all(map(re.compile(KIND_PATTERN).search, {file.kind for file in files}))
        and _files_once(items) and _own_folders(bundle)
        and (len(set(hashes)) == len(items) or not any(rules.item_repeats(enumerate(items))))
        and not any(rules.container_repeats(containers))
        and not any(rules.bundle_problems(_fields(bundle), _fields(bundle) | {"items": [*items]}, sync_id))
    )


def _accounted_for(bundle: Bundle, files: list, texts: list[str], told: int) -> bool:
    """Whether each colon of the text is in a value, or is the one of a key that has to be there. A key that is given twice,
    or that we do not know, would bring one more. Raises ValueError for a lone surrogate."""
    text = "\n".join(texts)
    text.encode()
    keys = sum(len(some) * len(some[0].__struct_fields__) for some in (bundle.items, files, bundle.containers) if some)
    keys += len(bundle.__struct_fields__) + len(bundle.verification.__struct_fields__)
    return told == keys + text.count(":")


def _head(bundle: Bundle) -> list[str]:
    """The texts of the manifest itself."""
    return [value for value in _fields(bundle).values() if isinstance(value, str)]


def _fields(bundle: Bundle) -> dict[str, Any]:
    return {name: getattr(bundle, name) for name in Bundle.__struct_fields__ if name not in ("items", "containers")}


def _texts(values: Iterable[Struct], *names: str) -> list[str]:
    return [text for name in names for value in values if (text := getattr(value, name))]


def _lowercase_digits(hashes: Iterable[str]) -> bool:
    return not "".join(hashes).encode().translate(None, LOWERCASE_DIGITS)


def _kinds(bundle: Bundle) -> bool:
    """Whether each item is of a type and subtype that go together and, unless it is to be removed, has a folder."""
    pairs = set(zip([item.asset_type for item in bundle.items], [item.asset_subtype for item in bundle.items]))
    samples = (Item(asset_type, "", subtype, path="folder") for asset_type, subtype in pairs)
    return not any(rules.item_problems(0, sample, bundle.sync_type, bundle.action) for sample in samples)


def _files_once(items: Iterable[Item]) -> bool:
    """Whether the paths of each item's derivatives are safe, and all different; items mostly have the same ones."""
    alike = {tuple([file.path for file in item.derivatives]) for item in items}
    return all(len(set(paths)) == len(paths) and _plain(paths) for paths in alike)


def _plain(paths: Collection[str]) -> bool:
    """Whether each is a plain path as in rules.py, which no rule for paths can concern."""
    text = "".join([f"\n{path}" for path in paths]).encode() + b"\n"
    return (
        max(map(len, paths), default=0) <= rules.LONGEST_NAME and text.count(b"\n") == len(paths) + 1
        and not text.translate(None, PLAIN) and not any(pair in text for pair in NAMELESS)
    )


def _own_folders(bundle: Bundle) -> bool:
    """Folders of one depth cannot lie in one another, so that they only have to be different."""
    paths = [item.path for item in bundle.items if item.path is not None]
    if len(paths) < len(bundle.items) and bundle.action != "remove" or not _plain(paths):
        return False
    if len({path.count("/") for path in paths}) > 1:
        return not rules.folder_problems(enumerate(paths))
    return len(set(map(str.lower, paths))) == len(paths)
