"""The JSON tree -> values, type by type; the rules themselves are the types in values.py."""

from functools import cache
from itertools import islice
from typing import Any, get_args, get_origin

from msgspec import Struct, ValidationError, convert
from msgspec.structs import FieldInfo, fields, replace

from .values import Container, Item
from .words import MISSING, expected, place, problem

# What `convert` raises for a value that breaks a rule, and for text with a lone surrogate.
UNFIT = (ValidationError, UnicodeEncodeError)
# Past so many problems of one array nobody reads on, and a hostile one would fill the memory with them.
ENOUGH = 10_000


@cache
def _fields(kind: type[Struct]) -> tuple[FieldInfo, ...]:
    return fields(kind)


def sound(found: dict, kind: type[Struct], only=None) -> dict[str, Any]:
    """The fields of `kind` that `found` gives in order, by name; `only` restricts them to some names."""
    values = {}
    for field in _fields(kind):
        if field.name in found and (only is None or field.name in only):
            try:
                values[field.name] = convert(found[field.name], field.type)
            except UNFIT:
                pass
    return values


def problems_of(found: Any, kind: Any, where: str) -> list[str]:
    """Every problem of `found` as a value of type `kind`; none when it is one."""
    try:
        convert(found, kind)
        return []
    except UNFIT:
        return _explained(found, kind, where)


def _explained(found: Any, kind: Any, where: str) -> list[str]:
    if isinstance(kind, type) and issubclass(kind, Struct) and isinstance(found, dict):
        return [text for field in _fields(kind) for text in _field(found, field, where)]
    if get_origin(kind) is tuple and isinstance(found, list):
        member = get_args(kind)[0]
        told = (text for index, one in enumerate(found) for text in problems_of(one, member, place(where, index)))
        return list(islice(told, ENOUGH))
    return [problem(where, found, expected(kind))]


def _field(found: dict, field: FieldInfo, where: str) -> list[str]:
    value = found.get(field.name, MISSING)
    if value is not MISSING:
        return problems_of(value, field.type, place(where, field.name))
    return [problem(place(where, field.name), MISSING, expected(field.type))] if field.required else []


def items_of(found: list) -> tuple[list[Item | None], dict[int, list[str]]]:
    """The items as far as they are sound, and the problems by position; None stands for one without identity."""
    try:
        return list(map(lowered, convert(found, list[Item]))), {}
    except UNFIT:
        pass
    items, problems, nameless = [], {}, 0
    for position, one in enumerate(found):
        items.append(_item(one))
        nameless += items[-1] is None
        if reasons := problems_of(one, Item, f"items[{position}]"):
            problems[position] = reasons
        if nameless == ENOUGH:  # the bundle is refused by then
            break
    return items, problems


def _item(found: Any) -> Item | None:
    values = sound(found, Item) if isinstance(found, dict) else {}
    return lowered(Item(**values)) if {"asset_type", "asset_hash"} <= values.keys() else None


def lowered(item: Item) -> Item:
    """The item with its hashes in lowercase; nearly always it has them so already."""
    digits = item.asset_hash + (item.cover_hash or "") + "".join([file.sha256 or "" for file in item.derivatives])
    if digits == digits.lower():
        return item
    return replace(
        item,
        asset_hash=item.asset_hash.lower(),
        cover_hash=item.cover_hash and item.cover_hash.lower(),
        derivatives=tuple(replace(file, sha256=file.sha256 and file.sha256.lower()) for file in item.derivatives),
    )


def lowered_container(container: Container) -> Container:
    """The container with its hashes in lowercase."""
    return replace(
        container,
        container_hash=container.container_hash.lower(),
        cover_hash=container.cover_hash and container.cover_hash.lower(),
        items=tuple(member.lower() for member in container.items),
    )
