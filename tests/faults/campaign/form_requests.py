"""What a web server hands to a CGI program when an operator has clicked: the request of a form of the panel."""

from pathlib import Path
from urllib.parse import urlencode

from gpupanel.web import forms

from .scenario import OPERATOR

ENVIRON = {
    "GATEWAY_INTERFACE": "CGI/1.1", "SERVER_PROTOCOL": "HTTP/1.1", "SERVER_NAME": "localhost", "SERVER_PORT": "80",
    "HTTP_HOST": "localhost", "REMOTE_ADDR": "203.0.113.9", "REMOTE_USER": OPERATOR, "REQUEST_METHOD": "POST",
    "SCRIPT_NAME": "/admin/import-media.cgi", "QUERY_STRING": "", "HTTP_ACCEPT": "application/json",
    "CONTENT_TYPE": "application/x-www-form-urlencoded",
}


def request(fields: list[str], secret: Path) -> tuple[str, dict[str, str]]:
    """The body and the environment of a form with these fields, each `name=value`, or a sync_id; answers come as JSON."""
    pairs = [tuple(field.split("=")) if "=" in field else ("sync_id", field) for field in fields]
    body = urlencode([*pairs, ("csrf_token", forms.token(forms.Secret(secret), OPERATOR))])
    return body, ENVIRON | {"CONTENT_LENGTH": str(len(body))}


def went_well(answer: str) -> bool:
    """Whether the program has answered that all was done."""
    return answer.startswith("Status: 200") and '"ok":true' in answer.replace(" ", "")


def is_no_answer(answer: str) -> bool:
    """A fault of ours, which no fault of others may bring about."""
    return "Status: 500" in answer or "Traceback" in answer
