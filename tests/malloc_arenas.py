"""The arenas of malloc in a running process."""

from itertools import pairwise
from pathlib import Path

HEAP_BYTES = 64 * 1024**2  # what the GNU C library reserves for an arena of a thread, aligned to its own size


def thread_arenas(pid: int) -> int:
    """The number of arenas beside the main one: heaps of which a part is in use and the rest is reserved."""
    mappings = [line.split() for line in Path(f"/proc/{pid}/maps").read_text().splitlines()]
    return sum(_is_heap(used, rest) for used, rest in pairwise(mappings))


def _is_heap(used: list[str], rest: list[str]) -> bool:
    start, middle = (int(address, 16) for address in used[0].split("-"))
    after, end = (int(address, 16) for address in rest[0].split("-"))
    rights = used[1] == "rw-p" and rest[1] == "---p"
    return rights and middle == after and start % HEAP_BYTES == 0 and end - start == HEAP_BYTES
