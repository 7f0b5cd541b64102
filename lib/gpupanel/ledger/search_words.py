"""The words by which a search finds a batch (docs/decisions/0130-search-by-words.md)."""

from collections.abc import Iterable, Mapping

from ..db import Transaction
from ..text import split_words

MAX_WORDS = 2_000  # of a batch a preflight: a bundle of 10,000 items has about as many distinct ones


class WordSet:
    """The first distinct words of some texts, in lower case, without hashes."""

    def __init__(self, texts: Iterable[str | None] = (), most: int = MAX_WORDS) -> None:
        self._most = most
        self.words: dict[str, None] = {}
        self.add(texts)

    def add(self, texts: Iterable[str | None]) -> None:
        """Add the words of these texts."""
        for text in texts:
            if len(self.words) >= self._most:
                return
            self.words |= dict.fromkeys(split_words(text or ""))


def save_all(tx: Transaction, words: Mapping[int, Iterable[str]]) -> None:
    """Add words to those of several batches: batch id -> words."""
    rows = [{"batch_id": batch_id, "word": word} for batch_id, each in words.items() for word in each]
    tx.insert_many("search_words.save", rows)


def save(tx: Transaction, batch_id: int, words: WordSet) -> None:
    """Add words to those of a batch."""
    rows = [{"batch_id": batch_id, "word": word} for word in list(words.words)[:MAX_WORDS]]
    tx.insert_many("search_words.save", rows)
