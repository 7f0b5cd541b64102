"""Requests of the panel's forms, as a web server passes them to a CGI program."""

from pathlib import Path
from urllib.parse import urlencode

from gpupanel.web import csrf
from gpupanel.web.signing_key import SigningKey

from .scenario import OPERATOR

ENVIRON = {
    "GATEWAY_INTERFACE": "CGI/1.1", "SERVER_PROTOCOL": "HTTP/1.1", "SERVER_NAME": "localhost", "SERVER_PORT": "80",
    "HTTP_HOST": "localhost", "REMOTE_ADDR": "203.0.113.9", "REMOTE_USER": OPERATOR, "REQUEST_METHOD": "POST",
    "SCRIPT_NAME": "/admin/import-media.cgi", "QUERY_STRING": "", "HTTP_ACCEPT": "application/json",
    "CONTENT_TYPE": "application/x-www-form-urlencoded",
}


def request(fields: list[str], secret: Path) -> tuple[str, dict[str, str]]:
    """Return body and environment of a form; each field is `name=value` or a sync_id."""
    pairs = [tuple(field.split("=")) if "=" in field else ("sync_id", field) for field in fields]
    body = urlencode([*pairs, ("csrf_token", csrf.make_token(SigningKey(secret), OPERATOR))])
    return body, ENVIRON | {"CONTENT_LENGTH": str(len(body))}


def went_well(answer: str) -> bool:
    """Return whether the response reports success."""
    return answer.startswith("Status: 200") and '"ok":true' in answer.replace(" ", "")


def is_no_answer(answer: str) -> bool:
    """Return whether the response is an error of the panel itself."""
    return "Status: 500" in answer or "Traceback" in answer
