"""Cursors of the four job lists on Import Tasks, as query parameters.

`queued_after=100.17` starts after job 17 of priority 100, `queued_before=100.17` ends before it, and
`queued_before=end` is the last page; `running_...` and `held_...` work likewise. `finished_after=17` starts with the
jobs that ended before job 17.
"""

from .. import job_queue
from ..db import ReadTransaction
from ..errors import InvalidInputError
from ..pagination import Cursor, Page
from .request import Request, number

AFTER, BEFORE, END = "after", "before", "end"


def parameter_names(of: str) -> tuple[str, str]:
    """Return the two parameters of a list."""
    return f"{of}_{AFTER}", f"{of}_{BEFORE}"


def active_cursor(request: Request, of: str) -> Cursor | None:
    """Return the cursor among queued, held or running jobs. Raises InvalidInputError."""
    name, text = _parameter_given(request, of)
    if not name:
        return None
    if text == END:
        return job_queue.LAST
    priority, _, job_id = text.rpartition(".")
    sign, digits = (-1, priority[1:]) if priority.startswith("-") else (1, priority)
    return Cursor(number(name, job_id), name.endswith(AFTER), sign * number(name, digits))


def finished_cursor(tx: ReadTransaction, request: Request) -> Cursor | None:
    """Return the cursor among finished jobs. Raises InvalidInputError."""
    name, text = _parameter_given(request, "finished")
    if not name:
        return None
    if text == END:
        return job_queue.EARLIEST
    return job_queue.finished_cursor(tx, number(name, text), ascending=name.endswith(BEFORE))


def neighbours(of: str, page: Page) -> dict[str, dict[str, str] | None]:
    """Return the parameters of the `previous` and the `next` page."""
    return {"previous": _parameter(of, page.previous), "next": _parameter(of, page.next)}


def _parameter(of: str, cursor: Cursor | None) -> dict[str, str] | None:
    if cursor is None:
        return None
    after, before = parameter_names(of)
    if of == "finished":  # the latest first: the next page has earlier ones
        return {before if cursor.ascending else after: str(cursor.id)}
    return {after if cursor.ascending else before: f"{cursor.key}.{cursor.id}"}


def _parameter_given(request: Request, of: str) -> tuple[str, str]:
    """Return name and value of the list's parameter; empty without one."""
    given = [(name, request.query[name]) for name in parameter_names(of) if request.query.get(name)]
    if len(given) > 1:
        raise InvalidInputError(f"{', '.join(parameter_names(of))}: found both, expected one of them")
    name, text = given[0] if given else ("", "")
    if text == END and name.endswith(AFTER):
        raise InvalidInputError(f"{name}: found {END!r}, which only {of}_{BEFORE} may have")
    return name, text
