"""The decision about one item, made again under the lock of its asset.

The rules are those of `decision`; docs/decisions/0111-upstream-order.md names which bundle has a say.
"""

from datetime import datetime
from typing import NamedTuple

from .. import digests
from ..library_reader import AssetKey, ExistingAsset
from ..manifest import Derivative, InvalidItem
from ..models import SHA256, Changes, Decision
from ..order import MICROSECOND, BundleOrder, Say, is_newer
from .document_prefetch import ImportItem
from .item_documents import NewDocuments

WRITES = (Decision.WILL_CREATE, Decision.WILL_UPDATE)
LEAVES = (Decision.WILL_SKIP, Decision.WILL_LINK)


class ItemDecision(NamedTuple):
    """The decision about an item.

    `source_at` is the time of the say that is written, None where a newer bundle has the latest say. `new` has the
    documents that the library lacks, `drift` the fields that are written although they differ from the plan.
    """

    entry: ImportItem
    decision: Decision
    reason: str
    changes: Changes | None = None
    existing: ExistingAsset | None = None
    tombstone: Say | None = None
    source_at: datetime | None = None
    new: NewDocuments | None = None
    drift: Changes | None = None

    @property
    def key(self) -> AssetKey:
        return self.entry.key

    @property
    def is_older(self) -> bool:
        """Whether a newer bundle has the latest say."""
        return self.source_at is None

    @property
    def is_live(self) -> bool:
        """Whether the library has the asset, and it is not removed."""
        return self.existing is not None and not self.existing.removed

    @property
    def is_failing(self) -> bool:
        return self.decision is Decision.WILL_FAIL

    def failed(self, reason: str) -> "ItemDecision":
        """The same item, which fails for this reason."""
        return ItemDecision(self.entry, Decision.WILL_FAIL, reason, None, self.existing)

    def reads_documents(self, action: str) -> bool:
        """Whether the decision depends on the item's documents, or writes them."""
        if action == "remove" or self.is_failing:
            return False
        return self.decision in WRITES or (self.is_live and (action == "update" or self.is_older))


def needs_documents(action: str, entry: ImportItem) -> bool:
    """Return whether to prefetch an item's documents.

    A create needs none of an existing asset.
    """
    if action in ("remove", "undo") or isinstance(entry.item, InvalidItem):
        return False
    return action == "update" or entry.planned not in LEAVES


def bundle_for(bundle: BundleOrder, entry: ImportItem, existing: ExistingAsset | None) -> BundleOrder:
    """The bundle as it counts for one item.

    `although_older` counts only while the asset is what the operator saw.
    """
    if not bundle.although_older or found_digest(existing) == entry.target_digest:
        return bundle
    return bundle._replace(although_older=False)


def time_of_say(bundle: BundleOrder, say: Say | None) -> datetime | None:
    """The time of the say that an import writes, or None if a newer bundle keeps the latest say."""
    if say is None:
        return bundle.order.source_at
    if is_newer(say, bundle):
        return say.order.source_at + MICROSECOND if bundle.although_older else None
    if say.batch_id == bundle.batch_id:
        return max(say.order.source_at, bundle.order.source_at)
    return bundle.order.source_at


def found_digest(existing: ExistingAsset | None) -> str:
    """The digest of an asset as the library has it."""
    return existing.target_digest if existing else digests.ABSENT


def derivatives_to_write(action: str, decided: ItemDecision, bundle: BundleOrder) -> tuple[Derivative, ...]:
    """The derivatives of an item to be inserted, changed, named by a later say, or hashed for the first time.

    A create changes none of a live asset; an older one adds those that are missing.
    """
    existing = decided.existing
    if action == "remove" or decided.is_failing:
        return ()
    if existing is None:
        return decided.entry.asset.persisted if decided.decision is Decision.WILL_CREATE else ()
    overwrites = action == "update" or existing.removed
    if (decided.is_older and existing.removed) or not (overwrites or decided.is_older):
        return ()

    def is_written(derivative: Derivative) -> bool:
        file = derivative.kind, derivative.path
        if file not in existing.derivatives:
            return True
        own = existing.derivative_says.get(file)
        if not overwrites or (decided.is_older and is_newer(own, bundle)):
            return False
        is_named = own is not None and own.batch_id == bundle.batch_id
        is_stronger = decided.entry.compared(derivative) == SHA256 and file not in existing.hashed
        return not is_named or is_stronger or existing.derivatives[file] != digests.derivative_fields(derivative)

    return tuple(derivative for derivative in decided.entry.asset.persisted if is_written(derivative))
