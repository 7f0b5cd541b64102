"""The corpus of manifests, with the expected answer of each (docs/UPSTREAM.md)."""

import json
from typing import NamedTuple

from constants import TREE

FOLDER = TREE / "tests" / "manifest_corpus"
BUNDLES = FOLDER / "bundles"


class Case(NamedTuple):
    """A manifest of the corpus.

    `verdict` is that of preflight and checker. `schema` is that of the JSON Schema: valid, invalid, or None where the
    text is not strict JSON. `problems` and `item_problems` are the beginnings of the messages.
    """

    case: str
    file: str
    verdict: str
    schema: str | None
    problems: list[str]
    item_problems: list[str]

    @property
    def sync_id(self) -> str:
        return self.file.removesuffix(".json")


CASES = [Case(**case) for case in json.loads((FOLDER / "index.json").read_text(encoding="utf-8"))]


def begin_so(found: list[str], expected: list[str]) -> bool:
    """Return whether each message begins as expected."""
    return len(found) == len(expected) and all(map(str.startswith, found, expected))
