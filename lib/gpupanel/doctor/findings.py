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


def judge(check: str, fine: bool, found: object, expected: str, advice: str) -> Finding:
    """Make a finding: ok if `fine`, else wrong."""
    return Finding(check, OK if fine else WRONG, str(found), expected, "" if fine else advice)


def suggest(check: str, fine: bool, found: object, expected: str, advice: str) -> Finding:
    """Make a finding: ok if `fine`, else a note."""
    finding = judge(check, fine, found, expected, advice)
    return finding if fine else finding._replace(level=NOTE)
