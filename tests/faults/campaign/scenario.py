"""The bundles of the campaign and the stages of their import."""

from typing import NamedTuple

from gpupanel import ledger, services
from gpupanel.devtools.bundle_factory import BundleWriter, GeneratedAsset, defects
from gpupanel.worker import claims, stale_jobs

OPERATOR = "operator"
FORMS = ("photo", "cover")
PAPERS = ("photo.analysis.json",)


class Stage(NamedTuple):
    """A program, and the name of the snapshot from which it starts.

    `{bundles}` and `{job}` stand for existing ones. The arguments of a CGI program are the fields of a form. `counted`
    and `hold` are those of FaultProxy. With `stop` the program gets SIGTERM at the first statement with these words.
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
        Stage("requested", "requested", "import-worker", ("--once",)),
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
    """Write the bundle that is imported before all stages; return it with its assets."""
    base = list(writer.assets("base", 4, **FEW))
    return writer.bundle("base", base, [writer.container("gallery", "Base", base)]), base


def write_others(writer: BundleWriter, base: list[GeneratedAsset]) -> list[str]:
    """Write bundles that create, fail, update, link and remove; the last one is not consumable.

    They share no asset, so their order does not matter.
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


def tell(environment) -> None:
    """Run all stages once without faults, and save a snapshot before each."""
    environment.first, base = write_first(environment.writer)
    services.scan_mount(environment.panel, environment.mount, OPERATOR)
    services.queue_batch(environment.panel, environment.mount, environment.first, OPERATOR)
    environment.finish()
    environment.bundles = write_others(environment.writer, base)
    environment.keep("empty")
    services.scan_mount(environment.panel, environment.mount, OPERATOR)
    environment.keep("scanned")
    for sync_id in environment.bundles[:2]:
        services.preflight_batch(environment.panel, environment.mount, sync_id, OPERATOR)
    environment.keep("planned")
    _request_preflights(environment)
    environment.restore("planned")
    queued = services.queue_batches(environment.panel, environment.mount, environment.bundles[:USABLE], OPERATOR)
    # The last one looks as if planned from another manifest.
    environment.admin.execute(
        "UPDATE ingest_batch SET manifest_sha256 = REPEAT('0', 64) WHERE sync_id = %(sync_id)s",
        sync_id=environment.bundles[3],
    )
    environment.job = min(each.job_id for each in queued if each.job_id)
    environment.keep("queued")
    _let_two_die(environment)
    environment.keep("stale")


def _request_preflights(environment) -> None:
    """Ask a worker for two preflights, of which the first also queues its batch."""
    environment.restore("scanned")
    for sync_id, then_queue in zip(environment.bundles[:2], (100, None), strict=True):
        batch = environment.panel.run_read(ledger.get_batch, sync_id)
        services.request_preflight(environment.panel, batch, OPERATOR, then_queue=then_queue)
    environment.keep("requested")


def _let_two_die(environment) -> None:
    """Make a job whose worker died once, and one whose worker died five times."""
    first = environment.worker.run_transaction(claims.claim, claims.ClaimRequest("0" * 32, "lost:1"))
    for attempt in range(1, 6):
        claim = environment.worker.run_transaction(
            claims.claim, claims.ClaimRequest(f"{attempt:032d}", "lost:2")
        )
        environment.let_an_hour_pass(claim.job_id)
        if attempt < 5:
            environment.worker.run_transaction(stale_jobs.requeue_stale, claim.job_id, 900, 5, "other:3")
    environment.let_an_hour_pass(first.job_id)
