"""Bytes -> Manifest, or every problem found; the only code that knows the manifest's keys (docs/CONTRACT.md, 4).

values.py holds the types whose rules are the format. whole.py reads what is sound beyond doubt, at once. Of everything else
text.py makes sure that the bytes are strict JSON, fields.py turns the tree into values, rules.py checks what types cannot
say, words.py words the problems.
"""

import gc
import hashlib
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

from ..errors import ManifestError
from . import rules, text, whole
from .fields import items_of, lowered_container, problems_of, sound
from .values import BadItem, Bundle, Container, Derivative, Item, Manifest, Verification
from .words import capped, problem

__all__ = [
    "BadItem", "Container", "Derivative", "Item", "Manifest", "Verification",
    "digest", "glimpse", "not_consumable", "read",
]

# How many problems are told, and in how many characters, so that the ledger's columns hold them.
MOST_PROBLEMS = (200, 15_000)
MOST_PROBLEMS_OF_AN_ITEM = (20, 1_900)
GLIMPSED = ("sync_type", "action", "item_count", "total_bytes", "source_host")


def digest(raw: bytes) -> str:
    """The SHA-256 of a manifest as it was read, in lowercase hex."""
    return hashlib.sha256(raw).hexdigest()


def not_consumable(manifest: Manifest) -> list[str]:
    """Why the bundle may not be imported yet; nothing when it may."""
    passed = manifest.verification.passed
    return [
        *([] if manifest.status == "completed" else [problem("status", manifest.status, "completed")]),
        *([] if passed else [problem("verification.passed", passed, "true")]),
    ]


def glimpse(raw: bytes) -> dict:
    """The facts of a refused manifest that are sound in themselves, of those that a scan notes; {} when it is not JSON."""
    try:
        tree, _ = text.parse(raw)
    except ManifestError:
        return {}
    repeated = getattr(tree, "twice", ())
    return sound(tree, Bundle, set(GLIMPSED).difference(repeated)) if isinstance(tree, dict) else {}


def read(raw: bytes, sync_id: str) -> Manifest:
    """The manifest of bundle `sync_id` in `raw`; how big it may be is the mount's to say, before it is read.

    Raises ManifestError with every problem of the bundle. An item that can be told apart from others but has a problem
    of its own becomes a BadItem. Whether the bundle is consumable is asked with `not_consumable`.
    """
    with _collector_at_rest():
        if values := whole.read(raw, sync_id):
            return Manifest(**values, sha256=digest(raw))
        tree, problems = text.parse(raw)
        if not isinstance(tree, dict):
            raise _refused([*problems, problem("manifest", tree, "an object")])
        values, more = _values(tree, sync_id)
    if problems or more:
        raise _refused(_one_a_place([*problems, *more]))
    return Manifest(**values, sha256=digest(raw))


def _refused(problems: list[str]) -> ManifestError:
    return ManifestError("The manifest cannot be used", capped(problems, *MOST_PROBLEMS))


def _values(tree: dict, sync_id: str) -> tuple[dict, list[str]]:
    """The fields of the manifest by name, and the problems of the bundle."""
    listed = isinstance(tree.get("items"), list)
    head = {**tree, "items": []} if listed else tree
    values = sound(head, Bundle)
    problems = problems_of(head, Bundle, "")
    problems += rules.bundle_problems(values, tree, sync_id)
    values["containers"] = tuple(map(lowered_container, values.get("containers", ())))
    problems += rules.container_repeats(values["containers"])
    if listed:
        values["items"], more = _items(tree["items"], values.get("sync_type"), values.get("action"))
        problems += more
    return values, problems


def _items(found: list, sync_type: str | None, action: str | None) -> tuple[tuple[Item | BadItem, ...], list[str]]:
    """The items in order, and the problems of those that cannot be told apart."""
    items, by_type = items_of(found)
    problems = defaultdict(list, by_type)
    known = [(position, item) for position, item in enumerate(items) if item is not None]
    for position, item in known:
        if reasons := rules.item_problems(position, item, sync_type, action):
            problems[position] += reasons
    folders = [(at, item.path) for at, item in known if item.path and (at not in problems or not rules.path_faults(item.path))]
    for position, reason in rules.folder_problems(folders).items():
        problems[position].append(reason)
    nameless = [reason for position, reasons in problems.items() if items[position] is None for reason in reasons]
    for position, item in known:
        if position in problems:
            items[position] = _bad(item, problems[position])
    return tuple(items), nameless + list(rules.item_repeats(known))


def _bad(item: Item, problems: list[str]) -> BadItem:
    reasons = capped(_one_a_place(problems), *MOST_PROBLEMS_OF_AN_ITEM)
    return BadItem(item.asset_type, item.asset_hash, item.cover_hash, tuple(reasons))


def _one_a_place(problems: list[str]) -> list[str]:
    """The first problem of each place: a value of the wrong type need not be told twice."""
    first: dict[str, str] = {}
    for reason in problems:
        first.setdefault(reason.partition(": ")[0], reason)
    return list(first.values())


@contextmanager
def _collector_at_rest() -> Iterator[None]:
    """Without garbage collection: a big manifest is millions of values of which none is garbage yet."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
