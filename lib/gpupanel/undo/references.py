"""What refers to an asset that an undo would take out, and stays: the asset stays, too.

A gallery or collection refers to its members by id, and an asset, gallery or collection to its cover by hash. What was
so before the batch does not count: the undo restores that state. docs/decisions/0151-what-others-refer-to-stays.md
"""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Any, NamedTuple

from .. import library_reader
from ..db import ReadTransaction, chunked, fill, query
from ..order import fetch_sync_ids
from ..text import short_hash
from .effective import Key, Result, UndoTarget, effective_results, read_history

COVER = "cover"
PAGE_ROWS = 500  # assets or containers that show a cover, read and planned at a time
LISTED = "batch {} has put it into a gallery or collection since"


class ContainerFate(NamedTuple):
    """What an undo leaves of a container; `keeps_own`: some of what the batch did there stays."""

    is_live: bool
    cover_hash: str | None
    keeps_own: bool


class Remainder(NamedTuple):
    """What an undo leaves of a target: the covers that it shows, and the results that still count, newest first."""

    covers: frozenset[str]
    results: list[Result]


class Cover(NamedTuple):
    """A cover that would go: the first result that the undo takes back of it, and when that was written."""

    first: int
    made_at: datetime


class References:
    """Finds what refers to the assets that the undo of a batch would take out.

    `fates` are those of the containers that this undo has planned. In an import the containers are written before the
    assets, so that the library has what stays.
    """

    def __init__(self, tx: ReadTransaction, target: UndoTarget, first: int) -> None:
        self._tx, self._target, self._first = tx, target, first
        self.fates: dict[Key, ContainerFate] = {}

    def find_own_listings(self, asset_ids: Iterable[int]) -> dict[int, str]:
        """Asset id -> reason, of members that the batch itself has put into a container which stays as it is."""
        reasons: dict[int, str] = {}
        for kind in library_reader.CONTAINER_TYPES:
            statement = fill("undo.own_members", type=kind)
            for ids in chunked(sorted(asset_ids)):
                params = {"asset_ids": ids, "first": self._first, "batch_id": self._target.batch_id}
                for row in self._tx.stream_sql(statement, **params):
                    fate = self.fates.get((kind, row["container_hash"]))
                    if fate is None or (fate.is_live and fate.keeps_own):
                        reasons[row["asset_id"]] = f"{kind} {short_hash(row['container_hash'])} lists it, and stays"
        return reasons

    def find_foreign_listings(self, assets: dict[int, int]) -> dict[int, str]:
        """Asset id -> reason, of members that another program has put into a container since the asset came.

        `assets` has the first result that is taken back of each.
        """
        times = self._times_of(assets.values())
        reasons: dict[int, str] = {}
        for kind in library_reader.CONTAINER_TYPES:
            statement = fill("undo.foreign_members", type=kind)
            for ids in chunked(sorted(assets)):
                for row in self._tx.stream_sql(statement, asset_ids=ids, first=self._first):
                    if row["created_at"] > times[assets[row["asset_id"]]]:
                        name = f"{kind} {short_hash(row['container_hash'])}"
                        reasons[row["asset_id"]] = f"another program has put it into {name} since"
        return reasons

    def _times_of(self, result_ids: Iterable[int]) -> dict[int, datetime]:
        """Result id -> when it was written."""
        chunks = chunked(sorted(set(result_ids)))
        rows = (row for ids in chunks for row in self._tx.fetch_all("undo.result_times", ids=ids))
        return {row["id"]: row["created_at"] for row in rows}

    def find_covers_in_use(
        self, covers: dict[str, int], assets_after: Callable[[list[Key]], dict[Key, Remainder]], taken_back: set[int],
    ) -> dict[str, str]:
        """Cover hash -> reason, of covers that an asset or container shows which stays and was written since.

        `covers` has the first result that is taken back of each; `assets_after` says what the undo leaves of assets.
        """
        times = self._times_of(covers.values())
        going = {cover: Cover(first, times[first]) for cover, first in covers.items()}
        reasons: dict[str, str] = {}
        for rows in self._pages(query("undo.assets_of_covers"), going, reasons):
            self._judge(rows, going, assets_after([(row["kind"], row["hash"]) for row in rows]), reasons)
        for kind in library_reader.CONTAINER_TYPES:
            for rows in self._pages(fill("undo.containers_of_covers", type=kind), going, reasons):
                self._judge(rows, going, self._containers_after(rows, taken_back), reasons)
        return reasons

    def _pages(self, statement: str, going: dict[str, Cover], reasons: dict[str, str]) -> Iterator[list[Any]]:
        """Yield live rows that show covers which still go, in the order of the index."""
        last, last_id = "", 0
        while hashes := [cover for cover in sorted(going) if cover >= last and cover not in reasons]:
            params = {"hashes": hashes, "cover_hash": last, "id": last_id, "limit": PAGE_ROWS}
            rows = self._tx.fetch_all_sql(statement, **params)
            if rows:
                yield rows
            if len(rows) < PAGE_ROWS:
                return
            last, last_id = rows[-1]["cover_hash"], rows[-1]["id"]

    def _containers_after(self, rows: list[Any], taken_back: set[int]) -> dict[Key, Remainder]:
        keys = [(row["kind"], row["hash"]) for row in rows]
        history = read_history(self._tx, keys, [self._target], self._first)
        after = {}
        for row, key in zip(rows, keys, strict=True):
            fate = self.fates.get(key) or ContainerFate(True, row["cover_hash"], keeps_own=True)
            covers = frozenset([fate.cover_hash]) if fate.is_live and fate.cover_hash else frozenset()
            results = effective_results(history.get(key, []), self._target.batch_id, taken_back)
            after[key] = Remainder(covers, results)
        return after

    def _judge(
        self, rows: list[Any], going: dict[str, Cover], after: dict[Key, Remainder], reasons: dict[str, str]
    ) -> None:
        """Add the reason of each cover that stays because of one of these rows."""
        found: list[tuple[str, str, int | None]] = []
        for row in rows:
            cover, name = going[row["cover_hash"]], f"{row['kind']} {short_hash(row['hash'])}"
            left = after[row["kind"], row["hash"]]
            if row["cover_hash"] not in left.covers:
                continue
            others = (result for result in left.results if result.batch_id != self._target.batch_id)
            later = next((result.batch_id for result in others if result.id > cover.first), None)
            if later is not None:
                found.append((row["cover_hash"], name, later))
            elif any(result.batch_id == self._target.batch_id for result in left.results):
                found.append((row["cover_hash"], f"{name} shows it, and stays", None))
            elif row["created_at"] > cover.made_at:
                found.append((row["cover_hash"], f"another program lets {name} show it since", None))
        names = fetch_sync_ids(self._tx, (batch_id for _, _, batch_id in found if batch_id is not None))
        for cover_hash, text, batch_id in found:
            if batch_id is not None:
                text = f"{text} shows it, and batch {names[batch_id]} changed or confirmed that {text.split()[0]} since"
            reasons.setdefault(cover_hash, text)
