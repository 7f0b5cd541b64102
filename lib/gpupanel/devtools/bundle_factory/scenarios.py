"""The demo set: every kind of bundle that an operator meets, each with what becomes of it."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from ...model import BatchStatus, Decision
from . import breaks
from .assets import Asset
from .documents import KNOWN
from .writer import Writer

Counts = dict[Decision, int]

NOT_COMPLETED = "not_completed"
NOT_VERIFIED = "not_verified"
MANIFEST_REFUSED = "manifest_refused"
MANIFEST_MISSING = "manifest_missing"
SENTINEL_MISSING = "sentinel_missing"


class Expectation(NamedTuple):
    """What becomes of a bundle when the set is scanned, and what the scan discovered is imported one by one, in order.

    `planned` and `done` count its items by decision, after its preflight and at the end; `status` is the batch's last
    one, None where a scan does not even record it. `passed_over` (a word of this module) says why a scan passes the
    bundle over; then nothing of it is planned or done.
    """

    status: BatchStatus | None
    planned: Counts = {}
    done: Counts = {}
    passed_over: str = ""


class Story(NamedTuple):
    sync_id: str
    title: str
    expectation: Expectation


def demo(
    sync_dir: Path | str, assets_dir: Path | str, seed: int | str = 1, attend: Callable[[], None] = lambda: None
) -> list[Story]:
    """Write the demo set and return its stories in the order in which to import them.

    What is there already is left as it is. `attend` is called before each bundle. PanelError without Pillow.
    """
    writer, stories = Writer(sync_dir, assets_dir, seed, pictures=4), []
    for tell in STORIES:
        attend()
        stories.append(tell(writer))
    return stories


def _coast(writer: Writer) -> list[Asset]:
    papers = (*KNOWN, "field.notes.json")
    return list(writer.assets("coast", 6, ("photo", "cover"), documents=papers))


def _harvest(writer: Writer) -> list[Asset]:
    return list(writer.assets("harvest", 4))


def photos_with_covers(writer: Writer) -> Story:
    sync_id = writer.bundle("coast", _coast(writer))
    return Story(sync_id, "Three photos of the coast, each with its cover", _imported({Decision.WILL_CREATE: 6}))


def gallery(writer: Writer) -> Story:
    (known, cover), new = _coast(writer)[:2], _harvest(writer)
    hung = writer.container("gallery", "Harvest", [*new, known], cover=cover)
    sync_id = writer.bundle("harvest", [*new, known], [hung], sync_type="gallery")
    planned = {Decision.WILL_CREATE: 4, Decision.WILL_LINK: 1}
    return Story(sync_id, "A gallery of four new photos and one that is in the library", _imported(planned))


def collection(writer: Writer) -> Story:
    [cover] = writer.assets("year", 1, ("cover",))
    members = [*_coast(writer)[::2], *_harvest(writer)]
    gathered = writer.container("collection", "The year outdoors", members, cover=cover)
    sync_id = writer.bundle("year", [cover], [gathered], sync_type="collection")
    return Story(sync_id, "A collection of photos from earlier bundles", _imported({Decision.WILL_CREATE: 1}))


def films(writer: Writer) -> Story:
    sync_id = writer.bundle("films", writer.assets("films", 2, ("video_simple",)), sync_type="video_simple")
    title = "Two films with stream, transcript, cloud package and library cover"
    return Story(sync_id, title, _imported({Decision.WILL_CREATE: 2}))


def update(writer: Writer) -> Story:
    first, second, same = _coast(writer)[::2]
    retitled = first._replace(title="The coast path, looking back")
    analysed = second._replace(revision=2, documents=(*second.documents, "color.palette.json"))
    sync_id = writer.bundle(
        "coast again", [retitled, analysed, same], action="update", prior_sync_id=writer.sync_id("coast")
    )
    planned = {Decision.WILL_UPDATE: 2, Decision.WILL_SKIP: 1}
    title = "An update: a new title, a new analysis, and a photo that did not change"
    return Story(sync_id, title, _imported(planned))


def removal(writer: Writer) -> Story:
    gone = _harvest(writer)[:2]
    sync_id = writer.bundle("harvest less two", gone, action="remove", prior_sync_id=writer.sync_id("harvest"))
    return Story(sync_id, "Two photos leave the library, and their gallery", _imported({Decision.WILL_REMOVE: 2}))


def one_broken(writer: Writer) -> Story:
    sync_id = writer.bundle("quarry", writer.assets("quarry", 4, broken={2: breaks.no_source}))
    planned = {Decision.WILL_CREATE: 3, Decision.WILL_FAIL: 1}
    return Story(sync_id, "Four photos, one without its provenance", _imported(planned, BatchStatus.PARTIAL))


def all_missing(writer: Writer) -> Story:
    lost = dict.fromkeys(range(3), breaks.no_folder)
    sync_id = writer.bundle("lost", writer.assets("lost", 3, broken=lost))
    refused = Expectation(BatchStatus.PREFLIGHT_FAILED, {Decision.WILL_FAIL: 3})
    return Story(sync_id, "Three photos whose folders never arrived", refused)


def all_unreadable(writer: Writer) -> Story:
    garbled = dict.fromkeys(range(2), breaks.broken_document)
    sync_id = writer.bundle("garbled", writer.assets("garbled", 2, broken=garbled))
    failed = Expectation(BatchStatus.FAILED, {Decision.WILL_CREATE: 2}, {Decision.FAILED: 2})
    return Story(sync_id, "Two photos whose analyses stop halfway, as only the import finds", failed)


def not_completed(writer: Writer) -> Story:
    sync_id = writer.bundle("arriving", writer.assets("arriving", 2), status="processing", completed_at=None)
    return Story(sync_id, "A bundle that upstream is still writing", _passed_over(NOT_COMPLETED))


def not_verified(writer: Writer) -> Story:
    doubt = {"passed": False, "total_files": 1}
    sync_id = writer.bundle("doubtful", writer.assets("doubtful", 2), verification=doubt)
    return Story(sync_id, "A bundle whose verification did not pass", _passed_over(NOT_VERIFIED))


def unparsable(writer: Writer) -> Story:
    sync_id = writer.bundle("torn", writer.assets("torn", 1), spoil=lambda raw: raw[: len(raw) // 2])
    return Story(sync_id, "A manifest that stops halfway", _passed_over(MANIFEST_REFUSED))


def duplicate_keys(writer: Writer) -> Story:
    once, twice = b'"action":"create"', b'"action":"create","action":"remove"'
    sync_id = writer.bundle("twofold", writer.assets("twofold", 1), spoil=lambda raw: raw.replace(once, twice))
    return Story(sync_id, "A manifest that says `action` twice, differently", _passed_over(MANIFEST_REFUSED))


def no_manifest(writer: Writer) -> Story:
    return Story(writer.sentinel("announced"), "A sentinel without its manifest", _passed_over(MANIFEST_MISSING))


def no_sentinel(writer: Writer) -> Story:
    sync_id = writer.bundle("unannounced", writer.assets("unannounced", 1), ready=False)
    return Story(sync_id, "A manifest without its sentinel", Expectation(None, passed_over=SENTINEL_MISSING))


def _imported(planned: Counts, status: BatchStatus = BatchStatus.COMPLETED) -> Expectation:
    return Expectation(status, planned, {plan.done: count for plan, count in planned.items()})


def _passed_over(why: str) -> Expectation:
    return Expectation(BatchStatus.DISCOVERED, passed_over=why)


# In the order in which to import: what touches an earlier bundle comes after it.
STORIES: tuple[Callable[[Writer], Story], ...] = (
    photos_with_covers, gallery, collection, films, update, removal, one_broken, all_missing, all_unreadable,
    not_completed, not_verified, unparsable, duplicate_keys, no_manifest, no_sentinel,
)
