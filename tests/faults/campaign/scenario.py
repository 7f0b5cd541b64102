"""The bundles of the campaign, and the stages of their way: before each, the database is as an undisturbed way left it."""

from typing import NamedTuple

from gpupanel import actions
from gpupanel.devtools.bundle_factory import BundleWriter, GeneratedAsset, defects
from gpupanel.work import claims

OPERATOR = "operator"
FORMS = ("photo", "cover")
PAPERS = ("photo.analysis.json",)


class Stage(NamedTuple):
    """A program, and the name of the snapshot that it starts from. `{bundles}` and `{job}` stand for what is there.
    The arguments of a CGI program are the fields of a form.

    `counted` and `hold` are a door's: the connection whose statements count, and the statement of the first one
    that waits for the last of those. `stop` has SIGTERM come at the first statement with these words.
    """

    name: str
    before: str
    program: str
    arguments: tuple[str, ...]
    counted: int = 0
    hold: int = 0
    stop: str = ""

    @property
    def works(self) -> bool:
        return self.program == "import-worker"

    @property
    def clicks(self) -> bool:
        return self.program.endswith(".cgi")


STAGES = {
    stage.name: stage for stage in (
        Stage("scan", "empty", "gpupanel", ("scan",)),
        Stage("preflight", "scanned", "gpupanel", ("preflight", "{bundles}")),
        Stage("queue", "planned", "gpupanel", ("queue", "{bundles}")),
        Stage("cancel", "queued", "gpupanel", ("cancel", "{job}")),
        Stage("click preflight", "scanned", "import-media.cgi", ("do=preflight_selected", "{bundles}")),
        Stage("click queue", "planned", "import-media.cgi", ("do=queue_selected", "{bundles}")),
        Stage("click cancel", "queued", "import-media.cgi", ("do=cancel_selected", "{bundles}")),
        Stage("import", "queued", "import-worker", ("--once",)),
        Stage("release", "queued", "import-worker", ("--once",), stop="INSERT INTO asset_source"),
        Stage("reset", "stale", "import-worker", ("--once",)),
        Stage("heartbeat", "queued", "import-worker", ("--once",), counted=2, hold=60),
    )
}
BEATS = 10
USABLE = 4


FEW = {"derivatives": ("icon",), "documents": PAPERS}


def write_first(writer: BundleWriter) -> tuple[str, list[GeneratedAsset]]:
    """What the library has from the start: the bundle, and its assets."""
    base = list(writer.assets("base", 4, **FEW))
    return writer.bundle("base", base, [writer.container("gallery", "Base", base)]), base


def write_others(writer: BundleWriter, base: list[GeneratedAsset]) -> list[str]:
    """Bundles that bring what is new, fails, is updated, linked and taken out; the last one is not ready to be used.

    They share no asset, so that their order changes nothing.
    """
    new = list(writer.assets("new", 3, FORMS, broken={2: defects.broken_document}, **FEW))
    absent = list(writer.assets("absent", 1))
    renewed = [base[0]._replace(revision=2, title="Renewed"), *writer.assets("renewed", 2, **FEW)]
    film = list(writer.assets("film", 1, ("video_simple",)))
    held = [writer.container("gallery", "New", new), writer.container("collection", "All", new + absent)]
    return [
        writer.bundle("new", new, held),
        writer.bundle("renewed", renewed, action="update"),
        writer.bundle("gone", base[1:3], [writer.container("gallery", "Base", base[1:3])], action="remove"),
        writer.bundle("film", film, sync_type="video_simple"),
        writer.bundle("unready", writer.assets("unready", 1, **FEW), status="running"),
    ]


def tell(lane) -> None:
    """Go the way once without any disturbance, and keep a snapshot before each stage."""
    lane.first, base = write_first(lane.writer)
    actions.scan_mount(lane.panel, lane.mount, OPERATOR)
    actions.queue_batch(lane.panel, lane.mount, lane.first, OPERATOR)
    lane.finish()
    lane.bundles = write_others(lane.writer, base)
    lane.keep("empty")
    actions.scan_mount(lane.panel, lane.mount, OPERATOR)
    lane.keep("scanned")
    for sync_id in lane.bundles[:2]:
        actions.preflight_batch(lane.panel, lane.mount, sync_id, OPERATOR)
    lane.keep("planned")
    queued = actions.queue_batches(lane.panel, lane.mount, lane.bundles[:USABLE], OPERATOR)
    # As if the last one had been planned from other bytes.
    lane.admin.execute(
        "UPDATE ingest_batch SET manifest_sha256 = REPEAT('0', 64) WHERE sync_id = %(sync_id)s", sync_id=lane.bundles[3]
    )
    lane.job = min(each.job_id for each in queued if each.job_id)
    lane.keep("queued")
    _let_two_die(lane)
    lane.keep("stale")


def _let_two_die(lane) -> None:
    """One job whose worker was lost once, and one whose worker was lost each of five times."""
    first = lane.worker.transact(claims.claim, claims.Next("0" * 32, "lost:1"))
    for attempt in range(1, 6):
        claim = lane.worker.transact(claims.claim, claims.Next(f"{attempt:032d}", "lost:2", [first.job_id]))
        lane.let_an_hour_pass(claim.job_id)
        if attempt < 5:
            lane.worker.transact(claims.reset, claim.job_id, 900, 5, "other:3")
    lane.let_an_hour_pass(first.job_id)
