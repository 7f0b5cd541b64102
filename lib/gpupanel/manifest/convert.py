"""Convert JSON text to the types of schema.py, or explain a value that does not fit.

A struct that does not fit is split into the raw text of its fields, so that no tree is made and unknown keys
cost nothing.
"""

from collections.abc import Collection, Iterator
from contextlib import suppress
from functools import cache
from itertools import islice
from typing import Any, TypeVar, get_args, get_origin

import msgspec
from msgspec import Raw, Struct, defstruct, field
from msgspec.json import Decoder
from msgspec.structs import FieldInfo, fields, replace

from .messages import MISSING, expected, format_problem, member_path
from .schema import Container, Item
from .json_runs import Text, array_runs, skip_space
from .strict_json import BIG_BYTES, describe_value

# Raised for a value that breaks a rule, and for numbers with thousands of digits.
UNFIT = (msgspec.MsgspecError, ValueError, OverflowError, RecursionError)
# Problems counted in one array; a manifest is refused long before.
MAX_COUNTED = 10_000
ELEMENTS = Decoder(list[Raw])

T = TypeVar("T")


@cache
def _fields(kind: type[Struct]) -> tuple[FieldInfo, ...]:
    return fields(kind)


@cache
def _decoder(kind: Any) -> Decoder[Any]:
    return Decoder(kind)


@cache
def _field_decoders(kind: type[Struct]) -> tuple[tuple[str, Decoder[Any]], ...]:
    """The decoder of each field, found without the hashes of its type, which take longer than most values."""
    return tuple((info.name, Decoder(info.type)) for info in _fields(kind))


@cache
def _raw_decoder(kind: type[Struct]) -> Decoder[Any]:
    """A decoder for the raw text of each field; a missing one is empty."""
    raw = [(info.name, Raw, field(default_factory=Raw)) for info in _fields(kind)]
    return Decoder(defstruct(f"Raw{kind.__name__}", raw))


def raw_fields(text: Text | Raw, kind: type[Struct]) -> dict[str, Raw]:
    """Return the raw text of each field of `kind` that the object `text` has."""
    struct = _raw_decoder(kind).decode(memoryview(text))
    values = {name: getattr(struct, name) for name in struct.__struct_fields__}
    return {name: raw for name, raw in values.items() if len(memoryview(raw))}


def raw_elements(text: Text) -> Iterator[Raw]:
    """The raw text of each element of the array `text`; only those of one run are in memory."""
    for start, end in array_runs(text, 0):
        yield from run_elements(text, start, end)


def run_elements(text: Text, start: int, end: int) -> Iterator[Raw]:
    """The raw text of each element of a run; a big one is not copied."""
    if end - start > BIG_BYTES:
        yield Raw(memoryview(text)[skip_space(text, start) : end])
    else:
        yield from ELEMENTS.decode(b"[%b]" % bytes(text[start:end]))


def starts_with(raw: Raw, bracket: str) -> bool:
    """Return whether a value starts with this bracket."""
    return bool(memoryview(raw)[0] == ord(bracket))


def convert(raw: Raw, kind: Any) -> Any:
    """Decode a value of type `kind`. Raises one of UNFIT."""
    return _convert(raw, _decoder(kind))


def _convert(raw: Raw, decoder: Decoder[Any]) -> Any:
    if starts_with(raw, '"') and len(memoryview(raw)) > BIG_BYTES:
        raise msgspec.ValidationError("longer than any text may be")
    return decoder.decode(raw)


def valid_fields(raw: dict[str, Raw], kind: type[Struct]) -> dict[str, Any]:
    """Return the values of those fields of `kind` that fit their types, by name."""
    values = {}
    for name, decoder in _field_decoders(kind):
        if name in raw:
            with suppress(*UNFIT):
                values[name] = _convert(raw[name], decoder)
    return values


def invalid_field_problems(
    raw: dict[str, Raw], valid: Collection[str], kind: type[Struct], path: str
) -> Iterator[str]:
    """Yield the problems of an object whose fields `valid` are known to fit their types, and no others."""
    for info in _fields(kind):
        if info.name in valid:
            continue
        inner = member_path(path, info.name)
        if info.name in raw:
            yield from _explain(raw[info.name], info.type, inner)
        elif info.required:
            yield format_problem(inner, MISSING, expected(info.type))


def value_problems(raw: Raw, kind: Any, path: str) -> Iterator[str]:
    """Yield every problem of `raw` as a value of type `kind`."""
    try:
        convert(raw, kind)
    except UNFIT:
        yield from _explain(raw, kind, path)


def _explain(raw: Raw, kind: Any, path: str) -> Iterator[str]:
    if isinstance(kind, type) and issubclass(kind, Struct) and starts_with(raw, "{"):
        values = raw_fields(raw, kind)
        yield from invalid_field_problems(values, valid_fields(values, kind), kind, path)
    elif get_origin(kind) is tuple and starts_with(raw, "["):
        member = get_args(kind)[0]
        elements = enumerate(raw_elements(memoryview(raw)))
        problems = (text for n, element in elements for text in value_problems(element, member, member_path(path, n)))
        yield from islice(problems, MAX_COUNTED)
    else:
        yield f"{path}: found {describe_value(memoryview(raw))}, expected {expected(kind)}"


def with_lowercase_hashes(item: Item) -> Item:
    """Return the item with lowercase hashes, which nearly all items have already."""
    digits = item.asset_hash + (item.cover_hash or "") + "".join([file.sha256 or "" for file in item.derivatives])
    if digits == digits.lower():
        return item
    return replace(
        item,
        asset_hash=item.asset_hash.lower(),
        cover_hash=item.cover_hash and item.cover_hash.lower(),
        derivatives=tuple(replace(file, sha256=file.sha256 and file.sha256.lower()) for file in item.derivatives),
    )


def container_with_lowercase_hashes(container: Container) -> Container:
    """Return the container with its hashes in lowercase."""
    members = container.items
    return replace(
        container,
        container_hash=container.container_hash.lower(),
        cover_hash=container.cover_hash and container.cover_hash.lower(),
        items=members if all(member == member.lower() for member in members) else tuple(m.lower() for m in members),
    )
