"""The demo set: every kind of bundle, each with its expected outcome."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from ...models import BatchStatus, Decision
from . import defects
from .generated_asset import GeneratedAsset
from .documents import KNOWN
from .writer import BundleWriter

Counts = Mapping[Decision, int]

NO_ITEMS: Counts = {}

NOT_COMPLETED = "not_completed"
NOT_VERIFIED = "not_verified"
MANIFEST_REFUSED = "manifest_refused"
MANIFEST_MISSING = "manifest_missing"
SENTINEL_MISSING = "sentinel_missing"


class ExpectedOutcome(NamedTuple):
    """The outcome of a bundle after imports one by one, in order.

    `planned` and `done` count the items by decision, after the preflight and after the import. `status` is the last one
    of the batch, None if a scan does not record it. `skip_reason` (a constant of this module) says why a scan skips
    the bundle; such a bundle has no planned and no done items.
    """

    status: BatchStatus | None
    planned: Counts = NO_ITEMS
    done: Counts = NO_ITEMS
    skip_reason: str = ""


class Scenario(NamedTuple):
    """A bundle of the demo set."""

    sync_id: str
    title: str
    expected: ExpectedOutcome


def no_checkpoint() -> None:
    """Do nothing between two bundles (default checkpoint)."""


def write_demo_set(
    sync_dir: Path | str, assets_dir: Path | str, seed: int | str = 1, checkpoint: Callable[[], None] = no_checkpoint
) -> list[Scenario]:
    """Write the demo set; return its scenarios in import order.

    Files that exist already stay. `checkpoint` is called before each bundle, and may raise. Raises PanelError without
    Pillow.
    """
    writer, scenarios = BundleWriter(sync_dir, assets_dir, seed, pictures=4), []
    for write_scenario in SCENARIOS:
        checkpoint()
        scenarios.append(write_scenario(writer))
    return scenarios


def _coast(writer: BundleWriter) -> list[GeneratedAsset]:
    documents = (*KNOWN, "field.notes.json")
    return list(writer.assets("coast", 6, ("photo", "cover"), documents=documents))


def _harvest(writer: BundleWriter) -> list[GeneratedAsset]:
    return list(writer.assets("harvest", 4))


def photos_with_covers(writer: BundleWriter) -> Scenario:
    sync_id = writer.bundle("coast", _coast(writer))
    return Scenario(sync_id, "Three photos of the coast, each with its cover", _imported({Decision.WILL_CREATE: 6}))


def gallery(writer: BundleWriter) -> Scenario:
    (existing, cover), new = _coast(writer)[:2], _harvest(writer)
    container = writer.container("gallery", "Harvest", [*new, existing], cover=cover)
    sync_id = writer.bundle("harvest", [*new, existing], [container], sync_type="gallery")
    planned = {Decision.WILL_CREATE: 4, Decision.WILL_LINK: 1}
    return Scenario(sync_id, "A gallery of four new photos and one that is in the library", _imported(planned))


def collection(writer: BundleWriter) -> Scenario:
    [cover] = writer.assets("year", 1, ("cover",))
    members = [*_coast(writer)[::2], *_harvest(writer)]
    container = writer.container("collection", "The year outdoors", members, cover=cover)
    sync_id = writer.bundle("year", [cover], [container], sync_type="collection")
    return Scenario(sync_id, "A collection of photos from earlier bundles", _imported({Decision.WILL_CREATE: 1}))


def films(writer: BundleWriter) -> Scenario:
    sync_id = writer.bundle("films", writer.assets("films", 2, ("video_simple",)), sync_type="video_simple")
    title = "Two films with stream, transcript, cloud package and library cover"
    return Scenario(sync_id, title, _imported({Decision.WILL_CREATE: 2}))


def update(writer: BundleWriter) -> Scenario:
    first, second, same = _coast(writer)[::2]
    retitled = first._replace(title="The coast path, looking back")
    analysed = second._replace(revision=2, documents=(*second.documents, "color.palette.json"))
    sync_id = writer.bundle(
        "coast again", [retitled, analysed, same], action="update", prior_sync_id=writer.sync_id("coast")
    )
    planned = {Decision.WILL_UPDATE: 2, Decision.WILL_SKIP: 1}
    title = "An update: a new title, a new analysis, and a photo that did not change"
    return Scenario(sync_id, title, _imported(planned))


def removal(writer: BundleWriter) -> Scenario:
    gone = _harvest(writer)[:2]
    sync_id = writer.bundle("harvest less two", gone, action="remove", prior_sync_id=writer.sync_id("harvest"))
    return Scenario(sync_id, "Two photos leave the library, and their gallery", _imported({Decision.WILL_REMOVE: 2}))


def one_broken(writer: BundleWriter) -> Scenario:
    sync_id = writer.bundle("quarry", writer.assets("quarry", 4, broken={2: defects.no_source}))
    planned = {Decision.WILL_CREATE: 3, Decision.WILL_FAIL: 1}
    return Scenario(sync_id, "Four photos, one without its provenance", _imported(planned, BatchStatus.PARTIAL))


def all_missing(writer: BundleWriter) -> Scenario:
    lost = dict.fromkeys(range(3), defects.no_folder)
    sync_id = writer.bundle("lost", writer.assets("lost", 3, broken=lost))
    refused = ExpectedOutcome(BatchStatus.PREFLIGHT_FAILED, {Decision.WILL_FAIL: 3})
    return Scenario(sync_id, "Three photos whose folders never arrived", refused)


def all_unreadable(writer: BundleWriter) -> Scenario:
    garbled = dict.fromkeys(range(2), defects.broken_document)
    sync_id = writer.bundle("garbled", writer.assets("garbled", 2, broken=garbled))
    failed = ExpectedOutcome(BatchStatus.FAILED, {Decision.WILL_CREATE: 2}, {Decision.FAILED: 2})
    return Scenario(sync_id, "Two photos whose analyses stop halfway, as only the import finds", failed)


def not_completed(writer: BundleWriter) -> Scenario:
    sync_id = writer.bundle("arriving", writer.assets("arriving", 2), status="processing", completed_at=None)
    return Scenario(sync_id, "A bundle that upstream is still writing", _skipped(NOT_COMPLETED))


def not_verified(writer: BundleWriter) -> Scenario:
    doubt = {"passed": False, "total_files": 1}
    sync_id = writer.bundle("doubtful", writer.assets("doubtful", 2), verification=doubt)
    return Scenario(sync_id, "A bundle whose verification did not pass", _skipped(NOT_VERIFIED))


def unparsable(writer: BundleWriter) -> Scenario:
    sync_id = writer.bundle("torn", writer.assets("torn", 1), spoil=lambda raw: raw[: len(raw) // 2])
    return Scenario(sync_id, "A manifest that stops halfway", _skipped(MANIFEST_REFUSED))


def duplicate_keys(writer: BundleWriter) -> Scenario:
    once, twice = b'"action":"create"', b'"action":"create","action":"remove"'
    sync_id = writer.bundle("twofold", writer.assets("twofold", 1), spoil=lambda raw: raw.replace(once, twice))
    return Scenario(sync_id, "A manifest that says `action` twice, differently", _skipped(MANIFEST_REFUSED))


def no_manifest(writer: BundleWriter) -> Scenario:
    return Scenario(writer.sentinel("announced"), "A sentinel without its manifest", _skipped(MANIFEST_MISSING))


def no_sentinel(writer: BundleWriter) -> Scenario:
    sync_id = writer.bundle("unannounced", writer.assets("unannounced", 1), ready=False)
    return Scenario(sync_id, "A manifest without its sentinel", ExpectedOutcome(None, skip_reason=SENTINEL_MISSING))


def _imported(planned: Counts, status: BatchStatus = BatchStatus.COMPLETED) -> ExpectedOutcome:
    return ExpectedOutcome(status, planned, {plan.done: count for plan, count in planned.items()})


def _skipped(reason: str) -> ExpectedOutcome:
    return ExpectedOutcome(BatchStatus.DISCOVERED, skip_reason=reason)


# In import order: a bundle that changes assets of another one comes after it.
SCENARIOS: tuple[Callable[[BundleWriter], Scenario], ...] = (
    photos_with_covers, gallery, collection, films, update, removal, one_broken, all_missing, all_unreadable,
    not_completed, not_verified, unparsable, duplicate_keys, no_manifest, no_sentinel,
)
