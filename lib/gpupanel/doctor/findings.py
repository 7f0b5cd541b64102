"""The result of a check."""

from typing import NamedTuple

OK, NOTE, WRONG = "ok", "note", "wrong"


class Finding(NamedTuple):
    """A result: ok, note (works, but look at it) or wrong, with advice."""

    check: str
    level: str
    found: str
    expected: str
    advice: str = ""


def judge(check: str, fine: bool, found: object, expected: str, advice: str, otherwise: str = WRONG) -> Finding:
    """Make a finding: ok if `fine`, else of the level `otherwise`."""
    return Finding(check, OK if fine else otherwise, str(found), expected, "" if fine else advice)
