"""Map exceptions to HTTP statuses.

One table decides the status of each exception and how much of its message a page may show.
"""

from typing import NamedTuple, TypedDict

from .. import errors
from .responses import (
    AuthenticationRequiredError, ForbiddenError, MethodNotAllowedError, PageNotFoundError, PayloadTooLargeError,
    RangeNotSatisfiableError, TITLES,
)


class ErrorPayload(TypedDict):
    """The part of an error that a page or a JSON response shows."""

    status: int
    title: str
    message: str
    hint: str


class ErrorMapping(NamedTuple):
    """The status of one kind of error.

    With `expose_message`, pages show the error's own message; otherwise that of its class, and the log has the details.
    """

    kind: type[Exception]
    status: int
    expose_message: bool


# The first matching entry counts, so special kinds come before general ones.
ERROR_MAPPINGS = (
    ErrorMapping(errors.InvalidInputError, 400, True),
    ErrorMapping(AuthenticationRequiredError, 401, True),
    ErrorMapping(ForbiddenError, 403, True),
    ErrorMapping(errors.NotFoundError, 404, True),
    ErrorMapping(PageNotFoundError, 404, True),
    ErrorMapping(MethodNotAllowedError, 405, True),
    ErrorMapping(errors.InvalidStateError, 409, True),
    ErrorMapping(PayloadTooLargeError, 413, True),
    ErrorMapping(RangeNotSatisfiableError, 416, True),
    ErrorMapping(errors.MountTimeoutError, 504, True),
    ErrorMapping(errors.MountUnavailableError, 503, True),
    ErrorMapping(errors.DatabaseUnavailableError, 503, False),
    ErrorMapping(errors.DatabaseAccessError, 503, False),
    ErrorMapping(errors.DatabaseConflictError, 503, False),
    ErrorMapping(errors.ConfigurationError, 500, True),
    ErrorMapping(Exception, 500, False),
)

# Errors of the web framework; it returns 403 for a file outside the folder of static files.
ERROR_BY_STATUS: dict[int, type[errors.PanelError]] = {
    400: errors.InvalidInputError, 403: PageNotFoundError, 404: PageNotFoundError, 405: MethodNotAllowedError,
    413: PayloadTooLargeError, 416: RangeNotSatisfiableError,
}

UNEXPECTED = ("The panel failed: unexpected error.", "See the web server's error log for the details.")


def error_for_status(status: int) -> Exception:
    """Return the error for a status that the web framework returned."""
    kind = ERROR_BY_STATUS.get(status)
    return kind() if kind else RuntimeError(f"the web framework returned {status}")


def error_payload(error: Exception) -> ErrorPayload:
    """Return the part of an error that a page may show."""
    rule = next(rule for rule in ERROR_MAPPINGS if isinstance(error, rule.kind))
    message, hint = UNEXPECTED
    if isinstance(error, errors.PanelError) and rule.kind is not Exception:
        message, hint = str(error if rule.expose_message else type(error)()), error.hint
    return {"status": rule.status, "title": TITLES[rule.status], "message": message, "hint": hint}
