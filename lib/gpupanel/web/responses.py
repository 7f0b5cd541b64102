"""HTTP responses, and the mapping of exceptions to HTTP statuses.

One table decides the status of each exception and how much of its message a page may show.
"""

from typing import IO, Any, NamedTuple, TypedDict

from .. import errors

Environ = dict[str, Any]  # a WSGI environment, which PEP 3333 defines as a plain dict


class HttpError(errors.PanelError):
    """Base of the errors that only the web layer raises."""

    message = "The request failed."


class AuthenticationRequiredError(HttpError):
    message = "You are not signed in."
    hint = "Sign in at the web server, and check that it passes the user name to the panel."


class ForbiddenError(HttpError):
    message = "You do not have permission to do this. Nothing was changed."


class PageNotFoundError(HttpError):
    message = "Page not found."
    hint = "Open the list of batches."


class MethodNotAllowedError(HttpError):
    message = "This page does not accept this method."
    hint = "Read pages with GET; send forms with POST."


class PayloadTooLargeError(HttpError):
    message = "The form is too large. Nothing was changed."
    hint = "Select fewer batches at once."


class RangeNotSatisfiableError(HttpError):
    message = "The file does not have the requested range."


# Headers of every response.
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    # With `no-referrer` a browser would send the panel's own forms without their origin.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


# A table of its own, since importing `http` costs a CGI program more than a query does.
TITLES = {
    200: "OK", 303: "See Other", 304: "Not Modified", 400: "Bad Request", 401: "Unauthorized", 403: "Forbidden",
    404: "Not Found", 405: "Method Not Allowed", 409: "Conflict", 413: "Request Entity Too Large",
    416: "Requested Range Not Satisfiable", 500: "Internal Server Error", 503: "Service Unavailable",
    504: "Gateway Timeout",
}


class Response(NamedTuple):
    """A response. The server closes a file body after sending it."""

    status: int
    headers: dict[str, str]
    body: bytes | IO[bytes]

    @property
    def line(self) -> str:
        """The HTTP status line: `200 OK`."""
        return f"{self.status} {TITLES[self.status]}"


class FileResponse(NamedTuple):
    """A file response. `headers` are added to the headers of every response."""

    body: bytes | IO[bytes]
    headers: dict[str, str]
    status: int = 200


class ErrorPayload(TypedDict):
    """The part of an error that a page or a JSON response shows."""

    status: int
    title: str
    message: str
    hint: str


class ErrorMapping(NamedTuple):
    """The status of one kind of error.

    With `told`, pages show the error's own message; otherwise only that of its class, and the log has the details.
    """

    kind: type[Exception]
    status: int
    told: bool


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

# Errors of the web framework; it answers 403 for a file outside the folder of static files.
ERROR_BY_STATUS: dict[int, type[errors.PanelError]] = {
    400: errors.InvalidInputError, 403: PageNotFoundError, 404: PageNotFoundError, 405: MethodNotAllowedError,
    413: PayloadTooLargeError, 416: RangeNotSatisfiableError,
}

UNEXPECTED = ("The panel failed: unexpected error.", "See the web server's error log for the details.")


def error_for_status(status: int) -> Exception:
    """Return the error for a status that the web framework answered."""
    kind = ERROR_BY_STATUS.get(status)
    return kind() if kind else RuntimeError(f"the web framework answered {status}")


def error_payload(error: Exception) -> ErrorPayload:
    """Return the part of an error that a page may show."""
    rule = next(rule for rule in ERROR_MAPPINGS if isinstance(error, rule.kind))
    message, hint = UNEXPECTED
    if isinstance(error, errors.PanelError) and rule.kind is not Exception:
        message, hint = str(error if rule.told else type(error)()), error.hint
    return {"status": rule.status, "title": TITLES[rule.status], "message": message, "hint": hint}
