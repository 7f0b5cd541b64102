"""The quick reading: for a manifest that gives each key at most once and breaks no rule, which it proves, or else gives up.

Nearly all manifests are like that, and some are large; whatever this reading doubts is read again by those that explain.
The text is decoded straight into values, so that no tree of it is ever in memory. Rules that a value carries alone are
the decoder's; those that need a look at each character are asked of some hundred items at once.
"""

import re
from collections.abc import Collection, Iterable, Sequence
from functools import partial
from itertools import chain
from operator import attrgetter
from string import ascii_letters, digits
from threading import local
from typing import Annotated, Any, Union, get_args, get_origin

from msgspec import Meta, MsgspecError, Struct, defstruct, field
from msgspec.json import Decoder
from msgspec.structs import FieldInfo, fields

from . import rules, text
from .values import KIND_PATTERN, Bundle, Container, Derivative, Hash, Item, Kind, Verification

IN_DOUBT = (MsgspecError, ValueError, OverflowError, RecursionError)
LOWERCASE_DIGITS = b"0123456789abcdef"
KIND = re.compile(KIND_PATTERN)
# What plain paths are made of, a line each, and what stands between names; two of these never stand together.
PLAIN = (ascii_letters + digits + "_-./\n").encode()
SEPARATORS = bytes.maketrans(b"./", b"\n\n")


def read(raw: bytes, sync_id: str) -> dict[str, Any] | None:
    """The fields of the manifest by name, hashes in lowercase; None when it needs a closer look."""
    colons, values = text.tally(raw)
    if values > text.MOST_VALUES or text.escapes_a_colon(raw):
        return None
    try:
        MISSING.keys = 0
        bundle = DECODER.decode(raw)
        if _sound(bundle, sync_id) and (colons == _colons(bundle) - MISSING.keys or text.is_strict(raw, colons)):
            return {name: getattr(bundle, name) for name in Bundle.__struct_fields__}
    except IN_DOUBT:
        pass
    return None


# ------------------------------------------------------------------------------------------------ the decoder


class _Missing(local):
    """How many keys a text does not give, for each thread: the decoder fetches here what stands for them, one by one."""

    keys = 0

    def default(self, value: Any) -> Any:
        self.keys += 1
        return value


def _whole(kind: Any) -> Any:
    """A type of values.py where missing keys are counted, and the patterns of what there is much of are left for later."""
    if isinstance(kind, type) and issubclass(kind, Struct):
        return defstruct(kind.__name__, map(_member, fields(kind)), bases=(kind,), frozen=True, kw_only=True)
    if get_origin(kind) is tuple:
        return tuple[_whole(get_args(kind)[0]), ...]
    if get_origin(kind) is Union:
        return Union[tuple(map(_whole, get_args(kind)))]
    return Annotated[str, _lengths(kind)] if kind in (Hash, Kind) else kind


def _member(one: FieldInfo) -> tuple:
    counted = () if one.required else (field(default_factory=partial(MISSING.default, one.default)),)
    return one.name, _whole(one.type), *counted


def _lengths(kind: Any) -> Meta:
    [meta] = kind.__metadata__
    return Meta(min_length=meta.min_length, max_length=meta.max_length)


MISSING = _Missing()
DECODER = Decoder(_whole(Bundle))


# -------------------------------------------------------------------------------------------------- the proof


def _sound(bundle: Bundle, sync_id: str) -> bool:
    items, containers, head = bundle.items, bundle.containers, _head(bundle)
    return (
        all([_each_sound(some, bundle) for some in text.parts_of(items)])
        and (len(set(_all(items, "asset_hash"))) == len(items) or not any(rules.item_repeats(enumerate(items))))
        and _own_folders(bundle)
        and _lowercase_digits([*_all(containers, "container_hash", "cover_hash"), *_chained(containers, "items")])
        and not any(rules.container_repeats(containers))
        and not any(rules.bundle_problems(head, head | {"items": [*items]}, sync_id))
    )


def _each_sound(items: Sequence[Item], bundle: Bundle) -> bool:
    """Whether no item breaks a rule that it can break alone, of those that the decoder does not know."""
    files = _chained(items, "derivatives")
    return (
        _lowercase_digits([*_all(items, "asset_hash", "cover_hash"), *_all(files, "sha256")])
        and all(map(KIND.search, set(_all(files, "kind")))) and _kinds(items, bundle) and _files_once(items)
    )


def _colons(bundle: Bundle) -> int:
    """How many colons a text has that gives each key of ours once: one a key, and those in values. A key that is given twice,
    or that we do not know, brings one more. Raises ValueError for a lone surrogate."""
    texts = [value for value in _head(bundle).values() if isinstance(value, str)]
    return (
        _keys(Bundle) + _keys(Verification) + _in_texts(texts) + sum(map(_colons_of, text.parts_of(bundle.items)))
        + _keys(Container) * len(bundle.containers) + _in_texts(_all(bundle.containers, "title"))
    )


def _colons_of(items: Sequence[Item]) -> int:
    files = _chained(items, "derivatives")
    texts = [*_all(items, "title", "mime_type"), *_all(files, "mime_type")]
    return _keys(Item) * len(items) + _keys(Derivative) * len(files) + _in_texts(texts)


def _keys(kind: type[Struct]) -> int:
    return len(kind.__struct_fields__)


def _in_texts(texts: Iterable[str]) -> int:
    return "".join(texts).encode().count(b":")


def _head(bundle: Bundle) -> dict[str, Any]:
    """What the manifest says of itself."""
    return {name: getattr(bundle, name) for name in Bundle.__struct_fields__ if name not in ("items", "containers")}


def _all(values: Iterable[Struct], *names: str) -> list[Any]:
    """What the values have under these names, but nothing that is empty or null."""
    return [*chain.from_iterable([filter(None, map(attrgetter(name), values)) for name in names])]


def _chained(values: Iterable[Struct], name: str) -> list[Any]:
    return [*chain.from_iterable(map(attrgetter(name), values))]


def _lowercase_digits(hashes: Iterable[str]) -> bool:
    return not "".join(hashes).encode().translate(None, LOWERCASE_DIGITS)


def _kinds(items: Iterable[Item], bundle: Bundle) -> bool:
    """Whether each item is of a type and subtype that go together."""
    pairs = set(map(attrgetter("asset_type", "asset_subtype"), items))
    samples = (Item(asset_type, "", subtype, path="folder") for asset_type, subtype in pairs)
    return not any(rules.item_problems(0, sample, bundle.sync_type, bundle.action) for sample in samples)


def _files_once(items: Iterable[Item]) -> bool:
    """Whether the paths of each item's derivatives are safe, and all different; items mostly have the same ones."""
    alike = {tuple([file.path for file in item.derivatives]) for item in items}
    return all(len(set(paths)) == len(paths) and _plain(paths) for paths in alike)


def _own_folders(bundle: Bundle) -> bool:
    """Folders of one depth cannot lie in one another, so that they only have to be different."""
    paths = [path for item in bundle.items if (path := item.path) is not None]
    if len(paths) < len(bundle.items) and bundle.action != "remove" or not _plain(paths):
        return False
    if len({path.count("/") for path in paths}) > 1:
        return not rules.folder_problems(enumerate(paths))
    return len(set(map(str.lower, paths))) == len(paths)


def _plain(paths: Collection[str]) -> bool:
    """Whether each is a plain path as in rules.py, which no rule for paths can concern."""
    lines = "\n".join(["", *paths, ""]).encode()
    return (
        max(map(len, paths), default=0) <= rules.LONGEST_NAME and lines.count(b"\n") == len(paths) + 1
        and not lines.translate(None, PLAIN) and b"\n\n" not in lines.translate(SEPARATORS)
    )
