"""The likeness of two names, by letters and by synonyms, and the likeliest pairs of names."""

from collections.abc import Set
from difflib import SequenceMatcher

MIN_LIKENESS = 0.5
# Synonyms in names of tables and columns; our words are on the right.
SYNONYMS = {
    "uuid": "sync id", "no": "id", "nr": "id", "number": "id", "checksum": "hash", "digest": "hash",
    "sha256": "hash", "kind": "type", "bundle": "batch", "bundles": "batch", "batches": "batch",
    "items": "item", "entries": "item", "log": "event", "events": "event", "assets": "asset",
    "media": "asset", "ts": "at", "time": "at", "on": "at", "state": "status", "pos": "position",
    "sort": "position", "order": "position", "message": "error", "data": "payload", "json": "payload",
    "jobs": "job", "hostname": "host", "server": "host", "bytes": "size", "ingest": "import",
    "caption": "title", "verdict": "decision", "touched": "updated", "changed": "updated",
    "galleries": "gallery", "collections": "collection", "covers": "cover", "sources": "source",
    "runs": "run", "mime": "content", "derivatives": "derivative", "who": "actor", "why": "reason",
    "tries": "attempts", "removed": "deleted", "erased": "deleted", "added": "created", "inserted": "created",
    "seen": "discovered", "found": "discovered", "ended": "finished", "started": "claimed",
}


def likeliest_pairs(scores: dict[tuple[str, str], float]) -> dict[str, str]:
    """Choose the likeliest pairs, each name once."""
    pairs: dict[str, str] = {}
    for ours, theirs in sorted(scores, key=lambda pair: (-scores[pair], pair)):
        if ours not in pairs and theirs not in pairs.values():
            pairs[ours] = theirs
    return pairs


def likeness(ours: str, theirs: str, ignored: Set[str] = frozenset()) -> float:
    """Return 0 to 1, by letters and by synonyms.

    `ignored` are the words of the name of the table.
    """
    letters = SequenceMatcher(None, ours, theirs, autojunk=False).ratio()
    our_words, their_words = (words_of_name(name) - ignored or words_of_name(name) for name in (ours, theirs))
    return max(letters, len(our_words & their_words) / len(our_words | their_words))


def words_of_name(name: str) -> set[str]:
    return {word for part in name.lower().split("_") for word in SYNONYMS.get(part, part).split()}
