"""HTTP responses, and the errors that only the web layer raises."""

from typing import IO, Any, NamedTuple

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
    hint = "Check the address."


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
