"""What the types of values.py cannot say: rules about paths, and between parts (docs/CONTRACT.md, 4)."""

import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from unicodedata import normalize

from .values import Container, Derivative, Item
from .words import MISSING, problem, shown

LONGEST_NAME = 255
# Most paths are made of such names alone; none of the rules below can concern them.
PLAIN_PATH = re.compile(r"[A-Za-z0-9_-]+(?:[./][A-Za-z0-9_-]+)*")
PATH_RULES = (
    (re.compile(r"\A\Z"), "a path that is not empty"),
    (re.compile(r"\A/"), 'no leading "/"'),
    (re.compile(r"\A~"), 'no leading "~"'),
    (re.compile(r"\A[A-Za-z]:"), "no drive letter"),
    (re.compile(r"\\"), "no backslash"),
    (re.compile(r"\x00"), "no NUL"),
    (re.compile(r"[\x01-\x1f\x7f-\x9f]"), "no control character"),
    (re.compile(r".//|[^/]/\Z", re.DOTALL), "no empty element"),
    (re.compile(r"(?:\A|/)\.\.?(?:/|\Z)"), 'no "." or ".." element'),
    (re.compile(r"(?:[^/.]\.+| )(?:/|\Z)|(?:\A|/)\.{3,}(?:/|\Z)"), "no name that ends in a dot or space"),
)


def path_faults(path: str) -> str:
    """Which rules for paths `path` breaks, in the words of what is expected; "" when it is safe."""
    if PLAIN_PATH.fullmatch(path) and len(path) <= LONGEST_NAME:
        return ""
    broken = [words for pattern, words in PATH_RULES if pattern.search(path)]
    if any(len(name.encode("utf-8", "surrogatepass")) > LONGEST_NAME for name in path.split("/")):
        broken.append(f"no name longer than {LONGEST_NAME} bytes")
    return ", ".join(broken)


def item_problems(position: int, item: Item, sync_type: str | None, action: str | None) -> list[str]:
    """The problems of one item whose fields are of the right types."""
    problems, path, subtype = [], item.path, item.asset_subtype
    if path is None and action != "remove":
        problems.append(problem(f"items[{position}].path", MISSING, "the item's folder"))
    if path is not None and (faults := path_faults(path)):
        problems.append(problem(f"items[{position}].path", path, faults))
    if item.derivatives:
        problems += _derivative_problems(f"items[{position}].derivatives", item.derivatives)
    if subtype and item.asset_type != "video":
        problems.append(problem(f"items[{position}].asset_subtype", subtype, f"null for a {item.asset_type}"))
    if sync_type == "video_simple" and item.asset_type == "video" and not subtype:
        problems.append(problem(f"items[{position}].asset_subtype", subtype, "video_simple, as sync_type says"))
    return problems


def _derivative_problems(where: str, derivatives: tuple[Derivative, ...]) -> list[str]:
    problems, seen = [], {}
    for index, file in enumerate(derivatives):
        if faults := path_faults(file.path):
            problems.append(problem(f"{where}[{index}].path", file.path, faults))
        if (first := seen.setdefault((file.kind, file.path), index)) != index:
            problems.append(f"{where}[{index}]: found the kind and path of {where}[{first}], expected each once")
    return problems


def folder_problems(paths: Iterable[tuple[int, str]]) -> dict[int, str]:
    """position -> why its folder is not its own: two items share it, or one lies inside the other's.

    `paths` are (position, safe path). Sorted by element, a folder is followed by all that lies inside it, so that one
    pass finds every clash.
    """
    problems: dict[int, str] = {}
    open_folders: list[tuple[str, int, str]] = []
    for key, position, path in sorted((_key(path), position, path) for position, path in paths):
        while open_folders and not key.startswith(open_folders[-1][0]):
            open_folders.pop()
        if open_folders:
            outer_key, outer, outer_path = open_folders[-1]
            inward, outward = _clash(path, outer_path) if key == outer_key else ("lies inside that of", "holds that of")
            problems.setdefault(position, _not_own(position, path, inward, outer))
            problems.setdefault(outer, _not_own(outer, outer_path, outward, position))
        if not open_folders or key != open_folders[-1][0]:
            open_folders.append((key, position, path))
    return problems


def _key(path: str) -> str:
    """Equal for paths that a case-blind or a normalising file system takes for one; each element ends in NUL, which sorts first."""
    folded = path.lower() if path.isascii() else normalize("NFD", normalize("NFD", path).casefold())
    return folded.replace("/", "\0") + "\0"


def _clash(path: str, other: str) -> tuple[str, str]:
    same = "is that of" if path == other else "differs only by case or Unicode normalisation from that of"
    return same, same


def _not_own(position: int, path: str, clash: str, other: int) -> str:
    return problem(f"items[{position}].path", path, f"a folder of its own, but it {clash} items[{other}]")


def item_repeats(items: Iterable[tuple[int, Item]]) -> Iterator[str]:
    """The items, as (position, item), that are listed before already by asset_type and asset_hash."""
    seen = {}
    for position, item in items:
        if (first := seen.setdefault((item.asset_type, item.asset_hash), position)) != position:
            found = f"{item.asset_type} {item.asset_hash}"
            yield f"items[{position}]: found {found} again, expected it once (it is items[{first}] already)"


def container_repeats(containers: Iterable[Container]) -> Iterator[str]:
    """The containers that are listed twice, and members listed twice in one."""
    seen = {}
    for index, each in enumerate(containers):
        if (first := seen.setdefault((each.type, each.container_hash), index)) != index:
            found = f"{each.type} {each.container_hash}"
            yield f"containers[{index}]: found {found} again, expected it once (it is containers[{first}] already)"
        yield from _member_repeats(f"containers[{index}]", each.items)


def _member_repeats(where: str, members: tuple[str, ...]) -> Iterator[str]:
    seen = {}
    for index, member in enumerate(members):
        if (first := seen.setdefault(member, index)) != index:
            yield f"{where}.items[{index}]: found {member} again, expected it once (it is items[{first}] already)"


def bundle_problems(values: dict, found: dict, sync_id: str) -> Iterator[str]:
    """The problems between keys at the top; `values` are the sound ones, `found` is the whole object."""
    if values.get("sync_id", sync_id) != sync_id:
        yield problem("sync_id", values["sync_id"], f"{shown(sync_id)}, as the file is named")
    items = found.get("items")
    if isinstance(items, list) and values.get("item_count", len(items)) != len(items):
        yield problem("item_count", values["item_count"], f"{len(items)}, as many as there are items")
    for key in ("created_at", "completed_at"):
        if values.get(key) and not _on_the_calendar(values[key]):
            yield problem(key, values[key], "a date and time that exist")
    if values.get("status") == "completed" and found.get("completed_at") is None:
        yield problem("completed_at", found.get("completed_at", MISSING), "the time when status became completed")


def _on_the_calendar(time: str) -> bool:
    try:
        return bool(datetime.fromisoformat(time[:19]))
    except ValueError:
        return False
