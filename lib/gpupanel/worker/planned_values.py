"""The values that a plan saw, where the plan itself does not name them: a removal plans no values.

The digest of the plan says which values those were. They are looked for among what imports wrote, and count only where
their digest is that one (docs/decisions/0110-plan-approval-result.md, "The library changed").
"""

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from .. import digests
from ..container_reader import ExistingContainer
from ..db import ReadTransaction
from ..ledger import results
from ..library_reader import AssetKey, ExistingAsset
from ..models import CONTAINER_FIELDS, Changes

MAX_RESULTS = 100  # of one target, the latest ones: older values are rarely those that a plan saw

Files = dict[AssetKey, dict[str, Any]]


class _Recorded(NamedTuple):
    """The latest values that imports wrote."""

    fields: dict[str, Any]
    files: Files


def asset_changes(tx: ReadTransaction, key: AssetKey, existing: ExistingAsset, target_digest: str) -> Changes:
    """name -> [planned, found] of the values that differ from those of the plan; {} if these are unknown."""
    recorded = _recorded(tx, key, digests.FIELDS)
    for is_removed in (False, True):
        if digests.asset_digest(recorded.fields, is_removed, recorded.files) == target_digest:
            mark: Changes = {"deleted": [is_removed, existing.removed]} if is_removed != existing.removed else {}
            fields = _differences(recorded.fields, existing.fields)
            return mark | fields | _file_differences(recorded.files, existing.derivatives)
    return {}


def container_changes(
    tx: ReadTransaction, key: AssetKey, existing: ExistingContainer, target_digest: str
) -> Changes:
    """The same of a gallery or collection."""
    recorded = _recorded(tx, key, CONTAINER_FIELDS).fields
    for is_removed in (False, True):
        if digests.library_container_digest(recorded["title"], recorded["cover_hash"], is_removed) == target_digest:
            mark: Changes = {"deleted": [is_removed, existing.removed]} if is_removed != existing.removed else {}
            return mark | _differences(recorded, {name: getattr(existing, name) for name in CONTAINER_FIELDS})
    return {}


def _recorded(tx: ReadTransaction, key: AssetKey, names: Sequence[str]) -> _Recorded:
    """The values that the results of a target wrote last; one that none wrote is empty, as a create leaves it."""
    fields: dict[str, Any] = {}
    files: dict[AssetKey, dict[str, Any] | None] = {}
    for text in results.changes_of(tx, key, MAX_RESULTS):
        changes = json.loads(text)
        for name, (_, after) in ((name, changes[name]) for name in names if name in changes):
            fields.setdefault(name, after)
        for label, (_, after) in (changes.get("derivatives") or {}).items():
            kind, _, path = label.partition(" ")
            files.setdefault((kind, path), after)
    return _Recorded({name: fields.get(name) for name in names}, {key: file for key, file in files.items() if file})


def _differences(planned: dict[str, Any], found: dict[str, Any]) -> Changes:
    return {name: [value, found[name]] for name, value in planned.items() if value != found[name]}


def _file_differences(planned: Files, found: Files) -> Changes:
    """A derivative that is missing on one side is named by its size."""
    changes: Changes = {}
    for kind, path in sorted(planned.keys() | found.keys()):
        before, after = planned.get((kind, path)), found.get((kind, path))
        names = digests.DERIVATIVE_VALUES if before and after else ("bytes",)
        for name in names:
            values = [before and before[name], after and after[name]]
            if values[0] != values[1]:
                changes[f"{name} of derivative {kind} {path}"] = values
    return changes
