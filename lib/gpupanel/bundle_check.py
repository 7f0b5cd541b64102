"""Check bundles as a preflight does, without database and configuration.

Upstream teams run it before they hand a bundle over. It uses the parser, the order and the file checks of the
preflight, so that both give the same answers.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from itertools import islice
from pathlib import Path

from . import order
from .config import MountSettings
from .errors import ManifestError, PanelError
from .manifest import InvalidItem, Manifest, parse_manifest, reasons_not_consumable
from .models import SYNC_ID
from .mount import ManifestFile, Mount
from .mount.mount import SENTINEL
from .mount.safe_open import decode_name, open_checked
from .bundle_inspection import BundleInspection, check_files
from .text import escape_unprintable

MANIFEST = ".json"
MAX_ITEMS = 50  # failing items that are reported of a bundle


class Verdict(StrEnum):
    """What a preflight would say of a bundle."""

    SOUND = "sound"
    PARTIAL = "partial"  # some items would fail alone
    REFUSED = "refused"


@dataclass(slots=True)
class BundleCheck:
    """The answer for one bundle; `item_problems` are those of the first failing items."""

    file: str
    sync_id: str
    item_count: int = 0
    failing_items: int = 0
    problems: list[str] = field(default_factory=list)
    item_problems: list[str] = field(default_factory=list)

    @property
    def verdict(self) -> Verdict:
        if self.problems:
            return Verdict.REFUSED
        return Verdict.PARTIAL if self.failing_items else Verdict.SOUND


def check_file(file: Path, assets_dir: Path | None) -> BundleCheck:
    """Check one manifest, named as its sync_id. Its sentinel may be missing, since upstream writes it last."""
    if not file.name.endswith(MANIFEST):
        problem = f'file: found "{escape_unprintable(file.name)}", expected a name that ends in {MANIFEST}'
        return BundleCheck(escape_unprintable(str(file)), escape_unprintable(file.name), problems=[problem])
    return _Checker(file.absolute().parent, assets_dir).check(file.name)


def check_folder(folder: Path, assets_dir: Path | None) -> Iterator[BundleCheck]:
    """Check all bundles of a folder, by name; only the sync_ids of all bundles are kept in memory.

    A manifest without a sentinel is no bundle unless its name is a sync_id.
    """
    checker = _Checker(folder.absolute(), assets_dir)
    with os.scandir(folder) as entries:
        names = {decode_name(entry.name) for entry in entries if entry.name.endswith((MANIFEST, SENTINEL))}
    stems = {name.removesuffix(SENTINEL) for name in names if name.endswith(SENTINEL)}
    stems |= {stem for name in names if SYNC_ID.fullmatch(stem := name.removesuffix(MANIFEST))}
    for stem in sorted(stems):
        yield checker.check_bundle(stem, has_manifest=stem + MANIFEST in names, has_sentinel=stem + SENTINEL in names)


class _Checker:
    """Checks the bundles of one folder; remembers their priors, so that it finds bundles that follow themselves."""

    def __init__(self, folder: Path, assets_dir: Path | None) -> None:
        self._folder = folder
        self._mount = None if assets_dir is None else Mount(MountSettings(folder, assets_dir.absolute()))
        self._priors: dict[str, str] = {}

    def check_bundle(self, sync_id: str, *, has_manifest: bool, has_sentinel: bool) -> BundleCheck:
        """Check a bundle of which the manifest or the sentinel may be missing."""
        shown = escape_unprintable(sync_id)
        if not SYNC_ID.fullmatch(sync_id):
            problem = f'{shown}{SENTINEL}: found "{shown}", expected a lowercase UUID before {SENTINEL}'
            return BundleCheck(f"{shown}{SENTINEL}", shown, problems=[problem])
        if not has_manifest:
            problem = f"{sync_id}{MANIFEST}: found no file, expected the manifest of {sync_id}{SENTINEL}"
            return BundleCheck(f"{sync_id}{SENTINEL}", sync_id, problems=[problem])
        answer = self.check(sync_id + MANIFEST)
        if not has_sentinel:
            answer.problems.append(f"{sync_id}{SENTINEL}: found no file, expected the sentinel")
        return answer

    def check(self, name: str) -> BundleCheck:
        """Check a manifest of the folder."""
        answer = BundleCheck(escape_unprintable(name), escape_unprintable(name.removesuffix(MANIFEST)))
        try:
            manifest = self._parse(name)
            answer.item_count = len(manifest.items)
            answer.problems += reasons_not_consumable(manifest)
            missing = self._check_files(manifest, answer.problems)
            _add_item_problems(answer, manifest, missing)
            answer.problems += self._order_problems(manifest)
        except ManifestError as error:
            answer.problems += error.problems or [str(error)]
        except PanelError as error:
            answer.problems.append(str(error).rstrip("."))
        return answer

    def _parse(self, name: str) -> Manifest:
        limits = MountSettings()
        opened = open_checked(self._folder, name, stat.S_ISREG)
        with closing(ManifestFile(self._folder, name, opened, limits.manifest_limit)) as file:
            return parse_manifest(file.read(), name.removesuffix(MANIFEST), limits)

    def _check_files(self, manifest: Manifest, problems: list[str]) -> dict[int, str]:
        """Return what is wrong with the files of items, by position."""
        if self._mount is None:
            return {}
        found = BundleInspection(manifest.sync_id, manifest.sha256, manifest, problems, {})
        return check_files(self._mount, found).missing

    def _order_problems(self, manifest: Manifest) -> list[str]:
        now = datetime.now(UTC).replace(tzinfo=None)
        problems = order.future_problems(manifest, now, "the time of this machine")
        if manifest.prior_sync_id is None:
            return problems
        self._priors[manifest.sync_id] = manifest.prior_sync_id
        between: list[str] = []
        prior: str | None = manifest.prior_sync_id
        while prior is not None and prior != manifest.sync_id and len(between) < order.MAX_PRIORS:
            between.append(prior)
            prior = self._priors.get(prior)
        if prior == manifest.sync_id:
            problems.append(order.own_prior_problem(manifest.sync_id, between))
            del self._priors[manifest.sync_id]
        return problems


def _add_item_problems(answer: BundleCheck, manifest: Manifest, missing: dict[int, str]) -> None:
    """Add the items that would fail; if these are all items, the bundle is refused."""
    failing = _failing_items(manifest, missing)
    answer.item_problems = list(islice(failing, MAX_ITEMS))
    answer.failing_items = len(answer.item_problems) + sum(1 for _ in failing)
    if answer.failing_items and answer.failing_items == answer.item_count and not answer.problems:
        whole = "the only item" if answer.item_count == 1 else f"all {answer.item_count} items"
        answer.problems.append(f"items: {whole} would fail")


def _failing_items(manifest: Manifest, missing: dict[int, str]) -> Iterator[str]:
    for position, item in enumerate(manifest.items):
        if isinstance(item, InvalidItem):
            yield "; ".join(item.problems)
        elif position in missing:
            yield missing[position]
