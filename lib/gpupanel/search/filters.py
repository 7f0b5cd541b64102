"""The filters of a batch search, from URL parameters or options."""

import re
from collections.abc import Mapping
from datetime import date
from typing import NamedTuple

from ..errors import InvalidInputError
from ..models import ATTENTION, BatchStatus
from ..text import DAY_RULE, parse_day, split_words

STATUSES = tuple(map(str, BatchStatus))
TYPES = ("asset", "gallery", "collection", "video_simple")
ACTIONS = ("create", "update", "remove", "undo")

# Up to eight hexadecimal characters may start a sync_id or a hash; they are taken for a sync_id.
SYNC_ID_PREFIX = re.compile(r"[0-9a-f]{1,8}|[0-9a-f]{8}-[0-9a-f-]{0,27}")
HASH_PREFIX = re.compile(r"[0-9a-f]{9,64}")
MAX_HOST_LENGTH = 255
MAX_TEXT_LENGTH = 200  # characters of a search text
MAX_WORDS = 5  # of a search text that count


class BatchFilter(NamedTuple):
    """The conditions of a search; None is no condition.

    `since` and `until` are days (UTC), both included. `sync_id` and `asset_hash` may be prefixes, and so may each of
    `words`: a batch matches if it has them all.
    """

    status: str | None = None
    sync_type: str | None = None
    action: str | None = None
    host: str | None = None
    sync_id: str | None = None
    asset_hash: str | None = None
    since: date | None = None
    until: date | None = None
    words: tuple[str, ...] | None = None
    attention: str | None = None


# parameter -> its allowed values
WORDS = {"status": STATUSES, "type": TYPES, "action": ACTIONS, "attention": tuple(ATTENTION)}
NAMES = (*WORDS, "host", "from", "to", "q")


def parse_filter(texts: Mapping[str, str]) -> BatchFilter:
    """Parse the filters; an empty text is none. Raises InvalidInputError."""
    given = {name: texts.get(name, "").strip() for name in NAMES}
    words = {name: _word(name, given[name]) for name in WORDS}
    if len(given["host"]) > MAX_HOST_LENGTH:
        raise InvalidInputError(f"host: found {len(given['host'])} characters, expected up to {MAX_HOST_LENGTH}")
    return BatchFilter(
        words["status"], words["type"], words["action"], given["host"] or None, *_searched(given["q"]),
        since=parse_day_of("from", given["from"]), until=parse_day_of("to", given["to"]), words=_words(given["q"]),
        attention=words["attention"],
    )


def _word(name: str, text: str) -> str | None:
    if text and text not in WORDS[name]:
        raise InvalidInputError(f"{name}: found {text[:80]!r}, expected one of {', '.join(WORDS[name])}")
    return text or None


def parse_day_of(name: str, text: str) -> date | None:
    """Parse a day, None for an empty text. Raises InvalidInputError, which names the parameter."""
    try:
        return parse_day(text) if text else None
    except ValueError:
        raise InvalidInputError(f"{name}: found {text[:80]!r}, expected {DAY_RULE}") from None


def _searched(text: str) -> tuple[str | None, str | None]:
    """(sync_id, asset_hash) of a search text, whole or cut: `6df12fb8...`."""
    wanted = text.lower().removesuffix("...")
    if not wanted:
        return None, None
    if SYNC_ID_PREFIX.fullmatch(wanted):
        return wanted, None
    if HASH_PREFIX.fullmatch(wanted):
        return None, wanted
    return None, None


def _words(text: str) -> tuple[str, ...] | None:
    """The words of a search text that is neither a sync_id nor a hash; in quotes, each text is words.

    A text without any word is one that no batch has.
    """
    if not text or _searched(text) != (None, None):
        return None
    if len(text) > MAX_TEXT_LENGTH:
        raise InvalidInputError(f"q: found {len(text)} characters, expected up to {MAX_TEXT_LENGTH}")
    return tuple(dict.fromkeys(split_words(text)))[:MAX_WORDS] or (text,)
