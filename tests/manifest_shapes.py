"""Random manifests of every shape, grown to a size: each seed gives one."""

from collections.abc import Callable, Iterator
from random import Random
from typing import NamedTuple

SYNC_ID = "00000000-0000-4000-8000-000000000001"
MOMENT = '"2026-01-31T09:30:00Z"'
HEAD = (
    f'"sync_id": "{SYNC_ID}", "sync_type": "asset", "action": "create", "status": "completed", "source_host": "h",'
    f' "created_at": {MOMENT}, "completed_at": {MOMENT}, "total_bytes": 1,'
    ' "verification": {"passed": true, "total_files": 1}'
)
# Small values that are repeated.
SCALARS = (
    "0", "-0.0", "1e5", "1e-999", "null", "true", '""', '"a"', "[]", "{}", "[[]]", '{"a":{}}', '{"a":1,"a":2}',
    '"\\u0041"', '"\\\\"', '"\\n"', '"\\ud83d\\ude00"', '"\U0001f600"', '"é"', '"海"', '"[{"', "1" * 300,
    "0." + "3" * 300, "1e999",
    '"' + "x" * 60_000 + '"', '"' + "\\u0041" * 9_000 + '"', '"' + "\U0001f600" * 9_000 + '"',
    "[" * 60 + "]" * 60, '{"a":' * 60 + "1" + "}" * 60, '[{"a":[' * 20 + "0" + "]}]" * 20,
)
# Every optional key of an item, with a value that no rule allows.
WRONG = (
    ',"title":7,"width":"x","height":-1,"bytes":1.5,"cover_hash":"x","asset_subtype":"video_simple"'
    ',"duration_seconds":-1'
)
NORMAL_FORMS = ("\u00e9", "e\u0301")


class Shape(NamedTuple):
    """A manifest and the names of what it was made of."""

    name: str
    text: bytes


def repeat(make: Callable[[int], str], size: int, opening: str, closing: str) -> str:
    """Join the texts of 0, 1, 2 ... up to a number of bytes."""
    return opening + ",".join(_up_to(make, size)) + closing


def _up_to(make: Callable[[int], str], size: int) -> Iterator[str]:
    number = written = 0
    while written < size:
        text = make(number)
        yield text
        number += 1
        written += len(text) + 1 if text.isascii() else len(text.encode()) + 1


# ---------------------------------------------------------------------------------------------------------- values


def wide_array(rng: Random, size: int) -> str:
    """One small value many times, or several in turn."""
    fitting = [value for value in SCALARS if len(value) <= max(20, size // 4)]
    some = rng.choices(fitting, k=rng.choice((1, 1, 3)))
    block = ",".join(some)
    return "[" + ",".join([block] * max(1, size // (len(block.encode()) + 1))) + "]"


def wide_object(rng: Random, size: int) -> str:
    """Many keys: all different, all equal, a few in turn, long, escaped or of emoji."""
    value, width = rng.choice(SCALARS[:20]), rng.choice((1, 8, 200))
    prefix = rng.choice(("", "k" * width, "\\u0041" * width, "\U0001f600" * width))
    keys = rng.choice((10**9, 10**9, 1, 7, 1000))
    return repeat(lambda number: f'"{prefix}{number % keys:x}":{value}', size, "{", "}")


def one_text(rng: Random, size: int) -> str:
    """One long text."""
    unit = rng.choice(("x", "\\u0041", "\\\\", "\\n", "\U0001f600", "é", "[", "\\ud83d\\ude00"))
    return '"' + unit * (size // len(unit.encode())) + '"'


def one_number(rng: Random, size: int) -> str:
    """One number of many digits."""
    return rng.choice(("", "-", "0.", "1e", "1e-")) + "7" * size


def deep(rng: Random, size: int) -> str:
    """Brackets to any depth, and back."""
    opening, closing = rng.choice((("[", "]"), ('{"a":', "}"), ('[{"a":', "}]"), ("[0,", "]")))
    levels = size // len(opening + closing)
    return opening * levels + "0" + closing * levels


def tree(rng: Random, size: int, level: int = 0) -> str:
    """Arrays and objects in each other, with leaves of any shape."""
    if size < 2_000 or level == rng.choice((1, 3, 8, 30)):
        return rng.choice((wide_array, wide_object))(rng, max(size, 10))
    branches = rng.choice((1, 1, 2, 5, 50))
    children = [tree(rng, size // branches, level + 1) for _ in range(min(branches, 5))]
    child = [children[number % len(children)] for number in range(branches)]
    if rng.random() < 0.5:
        return "[" + ",".join(child) + "]"
    return "{" + ",".join(f'"{number}":{each}' for number, each in enumerate(child)) + "}"


def mixed(rng: Random, size: int) -> str:
    """A few values of different shapes side by side."""
    return "[" + ",".join(rng.choice(VALUES)(rng, size // 4) for _ in range(4)) + "]"


VALUES = (wide_array, wide_array, wide_object, wide_object, one_text, one_number, deep, tree, tree)


# ---------------------------------------------------------------------------------------------------------- entries


def _path(rng: Random) -> Callable[[int], str]:
    """Return how the folders of items are named: plain, nested in each other, equal, with twins, or wrong."""
    return rng.choice((
        lambda number: f"p/{number}",
        lambda number: "/".join(["a"] * (1 + number % 250)),
        lambda number: "/".join(f"{number:x}"),
        lambda number: "/".join(["a"] * 200 + [f"{number:x}"] * (1 + number % 3)),
        lambda number: "same",
        lambda number: f"{'Pp'[number % 2]}/{number // 2}",
        lambda number: f"{NORMAL_FORMS[number % 2]}/{number // 2}",
        lambda number: f"../{number}//",
        lambda number: "x" * 500,
    ))


def items(rng: Random, size: int) -> str:
    """Items that are sound, or nearly so."""
    path, hashes, files = _path(rng), rng.choice((10**9, 10**9, 1, 1000)), rng.choice((0, 0, 1, 5, 900, 1100))
    kinds = rng.choice((10**9, 1))
    derivatives = ",".join(f'{{"kind":"k","path":"{number % kinds}"}}' for number in range(files))
    more = rng.choice((
        "", "", WRONG, ',"title":7', ',"x":[{"a":1}]', ',"a":1,"a":2', ',"width":1.5,"height":"x"',
        ',"title":"\\ud83d\\ude00"', f',"title":"{255 * NORMAL_FORMS[0]}"', f',"cover_hash":"{64 * "F"}"',
    ))
    return repeat(
        lambda number: f'{{"asset_type":"photo","asset_hash":"{number % hashes:064x}","path":"{path(number)}",'
                       f'"derivatives":[{derivatives}]{more}}}',
        size, "[", "]",
    )


def one_item(rng: Random, size: int) -> str:
    """One item, with a known or unknown key of any size."""
    key = rng.choice(("x", "title", "path", "derivatives", "asset_type", "width"))
    return f'[{{"asset_type":"photo","asset_hash":"{1:064x}","{key}":{rng.choice(VALUES)(rng, size)}}}]'


def containers(rng: Random, size: int) -> str:
    """Many small containers, equal or not."""
    hashes, more = rng.choice((10**9, 1)), rng.choice(("", ',"x":{}', ',"title":7', ',"a":1,"a":2'))
    return repeat(
        lambda number: f'{{"type":"gallery","container_hash":"{number % hashes:064x}","items":["{1:064x}"]{more}}}',
        size, "[", "]",
    )


def one_container(rng: Random, size: int) -> str:
    """One container with many members: different, equal, in upper case, or none that is a hash."""
    hashes, style = rng.choice((10**9, 1, 500)), rng.choice(("064x", "064X", "x"))
    members = repeat(lambda number: f'"{format(number % hashes, style)}"', size, "[", "]")
    return f'[{{"type":"gallery","container_hash":"{1:064x}","items":{members}}}]'


ENTRIES = {"items": (items, items, items, one_item), "containers": (containers, one_container)}


# ---------------------------------------------------------------------------------------------------------- manifests


def grow(seed: int, size: int) -> Shape:
    """Return the manifest of a seed, of about `size` bytes."""
    rng = Random(seed)
    key = rng.choice(("items", "items", "items", "containers", "x", "x", "verification", "sync_id", "root"))
    make = rng.choice(ENTRIES.get(key, ()) + VALUES + (mixed,))
    name = f"{key}: {make.__name__}"
    value = make(rng, size)
    if key == "root":
        return Shape(name, _encoded(rng, value))
    head = rng.choice((f"{{{HEAD}", '{"a": 1'))
    other = {"items": "containers"}.get(key, "items")
    count = value.count('{"asset_type"') if key == "items" else 0
    text = f'{head}, "{other}": [], "{key}": {value}, "item_count": {count + rng.choice((0, 0, 1))}}}'
    return Shape(name, _encoded(rng, text))


def _encoded(rng: Random, text: str) -> bytes:
    """Return the bytes, in one of a few cases damaged somewhere."""
    raw = text.encode("utf-8", "surrogatepass")
    damage = rng.choice((None,) * 12 + (b"\xff", b"", b"\\ud800", b'"'))
    if damage is None:
        return raw
    at = rng.randrange(len(raw) // 2, len(raw))
    return raw[:at] + damage + (raw[at:] if damage else b"")

