"""What an answer is; which HTTP status an error is answered with, and how much of it a page may say. One table holds all
of them."""

from typing import BinaryIO, NamedTuple

from .. import errors


class NotSignedIn(errors.PanelError):
    """Nobody is signed in."""

    message = "Nobody is signed in."
    hint = "The web server signs people in and passes their name on; sign in there, or check its configuration."


class Forbidden(errors.PanelError):
    """The user may not do this."""

    message = "You do not have permission to do this. Nothing was changed."


class NoSuchPage(errors.PanelError):
    """There is no such page."""

    message = "There is no such page."
    hint = "Go on from the list of batches."


class MethodNotAllowed(errors.PanelError):
    """The page has another method."""

    message = "This page does not answer to that method."
    hint = "Pages are read with GET; forms on them are sent with POST."


class TooLarge(errors.PanelError):
    """The request body exceeds the limit."""

    message = "The form is too large; nothing was changed."
    hint = "Tick fewer batches at once."


class NotSatisfiable(errors.PanelError):
    """The Range header cannot be satisfied."""

    message = "The file has no such range."


# What every answer carries, whatever it holds.
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    # `same-origin` and not `no-referrer`, with which a browser's own forms would arrive without their origin.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


# A table of our own, since importing `http` costs a CGI program more than a query does.
TITLES = {
    200: "OK", 303: "See Other", 304: "Not Modified", 400: "Bad Request", 401: "Unauthorized", 403: "Forbidden",
    404: "Not Found", 405: "Method Not Allowed", 409: "Conflict", 413: "Request Entity Too Large",
    416: "Requested Range Not Satisfiable", 500: "Internal Server Error", 503: "Service Unavailable", 504: "Gateway Timeout",
}


class Reply(NamedTuple):
    """An answer; a file as the body is closed when it was sent."""

    status: int
    headers: dict[str, str]
    body: bytes | BinaryIO

    @property
    def line(self) -> str:
        """The status as HTTP writes it: `200 OK`."""
        return f"{self.status} {TITLES[self.status]}"


class Rule(NamedTuple):
    """`told`: the message is for whoever asked. Otherwise only the kind of error is, and the log has the rest."""

    kind: type[Exception]
    status: int
    told: bool


# The first rule that fits counts, so the special stand before the general.
RULES = (
    Rule(errors.InvalidInput, 400, True),
    Rule(NotSignedIn, 401, True),
    Rule(Forbidden, 403, True),
    Rule(errors.NotFound, 404, True),
    Rule(NoSuchPage, 404, True),
    Rule(MethodNotAllowed, 405, True),
    Rule(errors.Refused, 409, True),
    Rule(TooLarge, 413, True),
    Rule(NotSatisfiable, 416, True),
    Rule(errors.MountTimeout, 504, True),
    Rule(errors.MountUnavailable, 503, True),
    Rule(errors.DatabaseUnavailable, 503, False),
    Rule(errors.DatabaseDenied, 503, False),
    Rule(errors.DatabaseConflict, 503, False),
    Rule(errors.ConfigurationError, 500, True),
    Rule(Exception, 500, False),
)

# What the web framework itself refuses; 403 is its word for a file outside the folder of static files.
BY_STATUS = {
    400: errors.InvalidInput, 403: NoSuchPage, 404: NoSuchPage, 405: MethodNotAllowed, 413: TooLarge,
    416: NotSatisfiable,
}

UNEXPECTED = ("The panel failed at this.", "The web server's error log says more. Nothing else is known here.")


def of_status(status: int) -> Exception:
    """The error that stands for a refusal by the web framework."""
    kind = BY_STATUS.get(status)
    return kind() if kind else RuntimeError(f"the web framework answered {status}")


def problem(error: Exception) -> dict:
    """What a page may say of an error: status, title, message, hint."""
    rule = next(rule for rule in RULES if isinstance(error, rule.kind))
    message, hint = UNEXPECTED
    if rule.kind is not Exception:
        message, hint = str(error if rule.told else type(error)()), error.hint
    return {"status": rule.status, "title": TITLES[rule.status], "message": message, "hint": hint}
