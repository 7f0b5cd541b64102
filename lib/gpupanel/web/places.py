"""Where the pages of the three lists of jobs begin, as an address says it.

`queued_after=100.17` is what follows job 17 of priority 100 in line, `queued_before=100.17` what comes before it, and
`queued_before=end` the last page; `running_...` likewise. `finished_after=17` is what ended before job 17 did.
"""

from .. import queue
from ..database import Reading
from ..errors import InvalidInput
from ..pagination import Cursor, Page
from .visit import Visit, number

AFTER, BEFORE, END = "after", "before", "end"


def names(of: str) -> tuple[str, str]:
    """The two parameters of a list."""
    return f"{of}_{AFTER}", f"{of}_{BEFORE}"


def in_line(visit: Visit, of: str) -> Cursor | None:
    """The place in line that the address gives for running or queued jobs. Raises InvalidInput."""
    name, text = _given(visit, of)
    if name is None or text == END:
        return name and queue.LAST
    priority, _, job_id = text.rpartition(".")
    sign, digits = (-1, priority[1:]) if priority.startswith("-") else (1, priority)
    return Cursor(number(name, job_id), name.endswith(AFTER), sign * number(name, digits))


def among_ended(tx: Reading, visit: Visit) -> Cursor | None:
    """The place among finished jobs; a job that has not ended is none. Raises InvalidInput."""
    name, text = _given(visit, "finished")
    if name is None or text == END:
        return name and queue.EARLIEST
    return queue.ended_place(tx, number(name, text), ascending=name.endswith(BEFORE))


def neighbours(of: str, page: Page) -> dict[str, dict[str, str] | None]:
    """`previous` and `next`: the parameter that leads to each neighbour of a page, None where there is none."""
    return {"previous": _parameter(of, page.previous), "next": _parameter(of, page.next)}


def _parameter(of: str, cursor: Cursor | None) -> dict[str, str] | None:
    if cursor is None:
        return None
    after, before = names(of)
    if of == "finished":  # the latest first: the next page has earlier ones
        return {before if cursor.ascending else after: str(cursor.id)}
    return {after if cursor.ascending else before: f"{cursor.key}.{cursor.id}"}


def _given(visit: Visit, of: str) -> tuple[str | None, str]:
    """Which of the two parameters is there, and what it says."""
    given = [name for name in names(of) if visit.query.get(name)]
    if len(given) > 1:
        raise InvalidInput(f"{', '.join(given)}: found both, expected one of them")
    if given and visit.query[given[0]] == END and given[0].endswith(AFTER):
        raise InvalidInput(f"{given[0]}: found {END!r}, after which there is nothing")
    return (given[0], visit.query[given[0]]) if given else (None, "")
