"""What a check has to say."""

from typing import NamedTuple

OK, NOTE, WRONG = "ok", "note", "wrong"


class Finding(NamedTuple):
    """`level` is ok, note (works, but look at it) or wrong; `advice` says what to do unless all is well."""

    check: str
    level: str
    found: str
    expected: str
    advice: str = ""


def judge(check: str, fine: bool, found: object, expected: str, advice: str, otherwise: str = WRONG) -> Finding:
    """ok where it is fine, else `otherwise`."""
    return Finding(check, OK if fine else otherwise, str(found), expected, "" if fine else advice)
