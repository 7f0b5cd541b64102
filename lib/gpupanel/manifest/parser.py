"""Parse the bytes of a manifest, or report every problem found, in bounded memory and time.

The bytes are checked as JSON once, then cut into runs of elements. Each run is decoded, checked and dropped. Only
digests of what must be unique in the whole manifest stay. A `Manifest` decodes its items again on each iteration
(docs/decisions/0101-one-manifest-parser.md).
"""

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, NoReturn

from msgspec import Raw

from ..config import MountSettings
from ..errors import ManifestError
from .convert import (
    UNFIT, starts_with, container_with_lowercase_hashes, convert, invalid_field_problems, raw_fields, run_elements,
    valid_fields, value_problems, with_lowercase_hashes,
)
from .entries import Containers, Entries, Items, decode_known_items, identity_of, safe_folder
from .json_runs import (
    EMPTY, MEMBER_KEY, NestingError, SPACE, Span, Text, array_runs, count_elements, decode_string, member_value_pattern,
)
from .manifest import Manifest
from .messages import MISSING, ProblemList, member_path
from .schema import Container, Item, ManifestFields
from .strict_json import BIG_BYTES, BYTE_ORDER_MARK, KeyDigests, describe_value, nesting_problem
from .strict_json import run_problems, syntax_problem
from .strict_json import value_problems as text_problems
from .validation import Identities, bundle_problems, member_repeats, repeat_problem

OBJECT_START = re.compile(SPACE + rb"\{")
SEPARATOR = re.compile(SPACE + rb",?")
# A number or text of so few bytes cannot break a rule, but for an exponent.
MAX_PLAIN_BYTES = 256
SALVAGED = ("sync_type", "action", "item_count", "total_bytes", "source_host")
LISTS = ("items", "containers")
DEFAULT_LIMITS = MountSettings()


def sha256_hex(raw: bytes) -> str:
    """Return the SHA-256 of a manifest's bytes, in lowercase hex."""
    return hashlib.sha256(raw).hexdigest()


def salvage_fields(raw: bytes) -> dict[str, Any]:
    """Return the valid ones of the facts that a scan records, from a refused manifest; {} when it is not JSON."""
    text = _without_mark(raw)
    if syntax_problem(text) or not _is_object(text):
        return {}
    fields = {name: value for name, value in raw_fields(text, ManifestFields).items() if name in SALVAGED}
    names: Counter[str] = Counter()
    try:
        names.update(key for key in _member_keys(text) if key in SALVAGED)
    except NestingError:
        return {}
    return valid_fields({name: value for name, value in fields.items() if names[name] == 1}, ManifestFields)


def parse_manifest(
    raw: bytes, sync_id: str, limits: MountSettings = DEFAULT_LIMITS, checkpoint: Callable[[], None] = lambda: None
) -> Manifest:
    """Parse the manifest of bundle `sync_id`.

    An item that can be identified but has a problem of its own becomes an InvalidItem. `checkpoint` is called every few
    hundred items, and may raise to stop. Whether the bundle is consumable: see `reasons_not_consumable`.

    Raises:
        ManifestError: with the problems of the bundle.
    """
    if len(raw) > limits.manifest_limit:
        raise _refused([f"manifest: found {len(raw)} bytes, expected at most {limits.manifest_limit}"])
    text = _without_mark(raw)
    marked = ["manifest: found a byte-order mark, expected UTF-8 without one"] if text is not raw else []
    if wrong := syntax_problem(text):
        raise ManifestError("The manifest is not strict JSON", [*marked, wrong])
    if not _is_object(text):
        raise _refused([*marked, f"manifest: found {describe_value(text)}, expected an object"])
    return _Parsing(text, sync_id, limits, checkpoint).manifest(marked, raw)


def _without_mark(raw: bytes) -> Text:
    return memoryview(raw)[len(BYTE_ORDER_MARK) :] if raw.startswith(BYTE_ORDER_MARK) else raw


def _is_object(text: Text) -> bool:
    return OBJECT_START.match(text) is not None


def _member_keys(text: Text) -> Iterator[str]:
    """Yield the key of each member of the manifest. Raises NestingError."""
    start = OBJECT_START.match(text)
    at = start.end() if start else 0
    while key := MEMBER_KEY.match(text, at):
        yield decode_string(key[1])
        value = member_value_pattern().match(text, key.end())
        if value is None:
            raise NestingError
        at = value.end()


def _refused(problems: list[str]) -> ManifestError:
    return ManifestError("The manifest cannot be used", problems)


class _LimitExceeded(Exception):  # noqa: N818
    """Ends the parsing: a limit was exceeded, or no more problems are counted."""


class _Parsing:
    """One pass over a manifest whose syntax is right."""

    def __init__(self, text: Text, sync_id: str, limits: MountSettings, checkpoint: Callable[[], None]):
        self._text, self._sync_id, self._limits, self._checkpoint = text, sync_id, limits, checkpoint
        self._raw = raw_fields(text, ManifestFields)
        head = {name: value for name, value in self._raw.items() if name not in LISTS}
        self._values = valid_fields(head, ManifestFields)
        self._items = Items(text, self._values.get("sync_type"), self._values.get("action"))
        self._containers = Containers(text)
        self._lists: dict[str, Entries[Any]] = {"items": self._items, "containers": self._containers}
        self._identities, self._container_identities = Identities(), Identities()
        self._types: Counter[str] = Counter()
        self._text_problems, self._head_problems, self._entry_problems = ProblemList(), ProblemList(), ProblemList()

    def manifest(self, marked: list[str], raw: bytes) -> Manifest:
        """Return the manifest. Raises ManifestError."""
        self._text_problems.extend(marked)
        self._head_problems.extend(self._field_problems())
        try:
            self._read_members()
            self._compare_entries()
        except _LimitExceeded:
            self._text_problems.mark_incomplete()
        lists = [self._text_problems, self._head_problems, self._entry_problems]
        if any(lists):
            raise _refused(ProblemList.report(lists))
        types = dict(sorted(self._types.items()))
        return Manifest(
            **self._values, items=self._items, containers=self._containers, item_type_counts=types,
            sha256=sha256_hex(raw),
        )

    def _field_problems(self) -> Iterator[str]:
        """The problems of all fields but the elements of the two lists."""
        lists = {name for name in LISTS if name in self._raw and starts_with(self._raw[name], "[")}
        yield from invalid_field_problems(self._raw, self._values.keys() | lists, ManifestFields, "")

    # --------------------------------------------------------------------------------------------- the members

    def _read_members(self) -> None:
        keys = KeyDigests()
        start = OBJECT_START.match(self._text)
        at = start.end() if start else 0
        while key := MEMBER_KEY.match(self._text, at):
            name = self._key(key)
            if wrong := keys.add(name, ""):
                self._stop_at(wrong)
            end = self._read_list(name, key.end()) or self._read_value(name, key.end())
            separator = SEPARATOR.match(self._text, end)
            at = separator.end() if separator else end
        self._text_problems.extend(keys.duplicates("", lambda: _member_keys(self._text)))

    def _key(self, key: re.Match[bytes]) -> str:
        size, most = len(key[1]) - 2, self._limits.max_text_bytes
        if size > most:
            self._stop_at(f"manifest: found a key of {size} bytes, expected at most {most}")
        return decode_string(key[1])

    def _read_value(self, name: str, start: int) -> int:
        """Check a member's value; returns its end."""
        name_path = member_path("", name)
        value = member_value_pattern().match(self._text, start)
        if value is None:
            self._stop_at(nesting_problem(name_path))
        end = value.end(1)
        if end - start > MAX_PLAIN_BYTES or self._text[start] in b"[{" or b"e" in value[1].lower():
            span = Span(self._text, start, end)
            self._text_problems.extend(text_problems(span, name_path, self._limits.max_text_bytes))
        if self._text_problems.is_full:
            raise _LimitExceeded
        return end

    def _stop_at(self, text: str) -> NoReturn:
        self._text_problems.add(text)
        raise _LimitExceeded

    # ----------------------------------------------------------------------------------------------- the lists

    def _read_list(self, name: str, start: int) -> int | None:
        """Read the items or containers; returns the end of the list, None when the member is no such list."""
        entries = self._lists.get(name)
        if entries is None or len(entries) or self._text[start] != ord("["):
            return None
        if empty := EMPTY.match(self._text, start):
            return empty.end()
        limit, read_run = (
            (self._limits.max_items, self._read_items) if name == "items"
            else (self._limits.max_containers, self._read_containers)
        )
        end = start
        try:
            for at, end in array_runs(self._text, start):
                self._checkpoint()
                entries.add_run(at, end, read_run(at, end))
                if len(entries) > limit:
                    self._stop_at(f"{name}: found more than {limit}, expected at most {limit}")
                if self._text_problems.is_full or self._entry_problems.is_full:
                    raise _LimitExceeded
        except NestingError:
            self._stop_at(nesting_problem(f"{name}[{len(entries)}]"))
        return end + 1

    def _read_items(self, start: int, end: int) -> int:
        """Check a run of items; returns how many they are."""
        first = len(self._items)
        known = decode_known_items(self._text, start, end)
        if known is None:
            count, is_costly = self._check_text("items", start, end, "derivatives", self._limits.max_derivatives)
            if is_costly:
                for position in range(first, first + count):
                    self._note_item(position, None, ())
                return count
            checked: Iterator[tuple[Item | None, Iterable[str]]] = self._items.checked(start, end, first)
        else:
            count = len(known)
            checked = ((with_lowercase_hashes(item), ()) for item in known)
        for position, (item, problems) in enumerate(checked, first):
            self._note_item(position, item, problems)
        return count

    def _note_item(self, position: int, item: Item | None, problems: Iterable[str]) -> None:
        self._items.folders.add(safe_folder(item))
        if item is None:
            self._identities.add(position)
            self._entry_problems.extend(problems)
            return
        self._identities.add(identity_of(item))
        self._types[item.asset_type] += 1
        most = self._limits.max_derivatives
        if len(item.derivatives) > most:
            found = f"found {len(item.derivatives)}, expected at most {most}"
            self._text_problems.add(f"items[{position}].derivatives: {found}")

    def _check_text(self, where: str, start: int, end: int, name: str, most: int) -> tuple[int, bool]:
        """Check the text of a run, and that the list `name` of each element has at most `most` elements.

        Returns how many elements the run has, and whether they cost too much to decode them.
        """
        first = len(self._lists[where])
        run = Span(self._text, start, end)
        count, problems = run_problems(run, partial(member_path, where), first, self._limits.max_text_bytes)
        is_wrong = self._text_problems.extend(problems)
        is_long = self._text_problems.extend(self._limited(where, start, end, name, most))
        return count, is_long or (is_wrong and end - start > BIG_BYTES)

    def _limited(self, where: str, start: int, end: int, name: str, most: int) -> list[str]:
        """The problems of elements whose list `name` has more than `most` elements."""
        problems = []
        kind, first = Item if where == "items" else Container, len(self._lists[where])
        if end - start > 2 * most:
            for position, raw in enumerate(run_elements(self._text, start, end), first):
                listed = raw_fields(raw, kind).get(name) if starts_with(raw, "{") else None
                if listed is not None and _is_longer(memoryview(listed), most):
                    problems.append(f"{where}[{position}].{name}: found more than {most}, expected at most {most}")
        return problems

    def _read_containers(self, start: int, end: int) -> int:
        """Check a run of containers; returns how many they are."""
        first = len(self._containers)
        count, is_costly = self._check_text("containers", start, end, "items", self._limits.max_members)
        for position, raw in enumerate(() if is_costly else run_elements(self._text, start, end), first):
            self._read_container(position, raw)
        for position in range(first, first + count if is_costly else first):
            self._container_identities.add(position)
        return count

    def _read_container(self, position: int, raw: Raw) -> None:
        where = f"containers[{position}]"
        try:
            container = container_with_lowercase_hashes(convert(raw, Container))
        except UNFIT:
            self._container_identities.add(position)
            self._entry_problems.extend(value_problems(raw, Container, where))
        else:
            self._container_identities.add((container.type, container.container_hash))
            self._entry_problems.extend(member_repeats(where, container.items))

    def _compare_entries(self) -> None:
        """Find what only all items, and all containers, show together."""
        count = len(self._items) if "items" in self._raw and starts_with(self._raw["items"], "[") else None
        completed_at = MISSING if "completed_at" not in self._raw else self._values.get("completed_at")
        self._head_problems.extend(bundle_problems(self._values, count, self._sync_id, completed_at))
        for at, first in self._container_identities.repeats():
            if self._entry_problems.is_full:
                break
            self._entry_problems.add_lazily(f"containers[{at}]", partial(self._repeated_container, at, first))
        for at, first in self._identities.repeats():
            if self._entry_problems.is_full:
                break
            self._entry_problems.add_lazily(f"items[{at}]", partial(self._repeated_item, at, first))
        self._items.folders.find_clashes(self._items.paths)

    def _repeated_item(self, position: int, first: int) -> str:
        item = self._items[position]
        return repeat_problem("items", position, first, f"{item.asset_type} {item.asset_hash}")

    def _repeated_container(self, position: int, first: int) -> str:
        container = self._containers[position]
        return repeat_problem("containers", position, first, f"{container.type} {container.container_hash}")


def _is_longer(text: memoryview, most: int) -> bool:
    """Whether an array has more than `most` elements; its text is longer than so many commas then."""
    return text[0] == ord("[") and len(text) > 2 * most and count_elements(text, 0, most) > most
