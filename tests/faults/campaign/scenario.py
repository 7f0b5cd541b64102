"""The bundles of the campaign and the stages of their import."""

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import NamedTuple

from gpupanel import holds, job_queue, ledger, services, undo_service
from gpupanel.devtools.bundle_factory import BundleWriter, GeneratedAsset, defects
from gpupanel.holds import Hold
from gpupanel.models import HoldKind
from gpupanel.receipts import seal
from gpupanel.worker import claims, stale_jobs

from . import archives

OPERATOR = "operator"
FORMS = ("photo", "cover")
PAPERS = ("photo.analysis.json",)


class Stage(NamedTuple):
    """A program, and the name of the snapshot from which it starts.

    `{bundles}`, `{two}`, `{job}`, `{imported}`, `{folder}` and `{file}` stand for existing ones. The arguments of a CGI
    program are the fields of a form. `counted` and `hold` are those of FaultProxy. With `stop` the program gets SIGTERM
    at the first statement with these words. `account` names a configuration, if it is not that of the program. With
    `away`, each look at a bundle ends with this error. `mend` is a statement that an operator executes afterwards.
    """

    name: str
    before: str
    program: str
    arguments: tuple[str, ...]
    counted: int = 0
    hold: int = 0
    stop: str = ""
    account: str = ""
    away: str = ""
    mend: str = ""

    @property
    def works(self) -> bool:
        return self.program == "import-worker"

    @property
    def clicks(self) -> bool:
        return self.program.endswith(".cgi")

    @property
    def configuration(self) -> str:
        return self.account or self.program

    @property
    def recurs(self) -> bool:
        """Whether a timer runs it again and again, so that it may also follow a run that went well."""
        return self.account in ("archive", "seal", "notify")

    @property
    def archives(self) -> bool:
        return self.account == "archive"

    @property
    def code(self) -> str:
        """The name of the code that runs: workers of several stages import alike, as a command does what it does."""
        if self.works:
            return self.name if self.counted or self.stop or self.away else self.program
        return self.name if self.clicks else self.arguments[0]


ONCE = ("--once",)
ARCHIVE = ("archive", "--before", "{before}", "--to", "{folder}")
RESUME = "UPDATE queue_control SET paused = 0"
STAGES = {
    stage.name: stage for stage in (
        Stage("scan", "empty", "gpupanel", ("scan",)),
        Stage("preflight", "scanned", "gpupanel", ("preflight", "{bundles}")),
        Stage("queue", "planned", "gpupanel", ("queue", "{bundles}")),
        Stage("queue after prior", "planned chain", "gpupanel", ("queue", "{two}")),
        Stage("cancel", "queued", "gpupanel", ("cancel", "{job}")),
        Stage("cancel prior", "chain", "gpupanel", ("cancel", "{job}")),
        Stage("hold", "queued", "gpupanel", ("hold", "{job}", "--reason", "look")),
        Stage("end hold", "held", "gpupanel", ("release", "{job}")),
        Stage("pause", "queued", "gpupanel", ("pause", "--reason", "maintenance")),
        Stage("resume", "paused", "gpupanel", ("resume",)),
        Stage("retry", "imported", "gpupanel", ("retry", "{two}")),
        Stage("undo", "imported", "gpupanel", ("undo", "{imported}")),
        Stage("seal", "imported", "gpupanel", ("seal",), account="seal"),
        Stage("notify", "imported", "gpupanel", ("notify", "--now"), account="notify"),
        Stage("archive", "sealed", "gpupanel", ARCHIVE, account="archive"),
        Stage("archive again", "half archived", "gpupanel", ARCHIVE, account="archive"),
        Stage("restore", "archived", "gpupanel", ("restore-archive", "{file}"), account="archive"),
        Stage("restore again", "half restored", "gpupanel", ("restore-archive", "{file}"), account="archive"),
        Stage("archive between", "half restored", "gpupanel", ARCHIVE, account="archive"),
        Stage("click preflight", "scanned", "import-media.cgi", ("do=preflight_selected", "{bundles}")),
        Stage("click queue", "planned", "import-media.cgi", ("do=queue_selected", "{bundles}")),
        Stage("click cancel", "queued", "import-media.cgi", ("do=cancel_selected", "{bundles}")),
        Stage("click undo", "imported", "import-media.cgi", ("do=undo", "{imported first}")),
        Stage("import", "queued", "import-worker", ONCE),
        Stage("requested", "requested", "import-worker", ONCE),
        Stage("release", "queued", "import-worker", ONCE, stop="INSERT INTO asset_source"),
        Stage("reset", "stale", "import-worker", ONCE),
        Stage("heartbeat", "queued", "import-worker", ONCE, counted=2, hold=60),
        Stage("import after prior", "chain", "import-worker", ONCE),
        Stage("bundle gone", "two", "import-worker", ONCE, away="ENOENT"),
        Stage("bundle still gone", "due", "import-worker", ONCE, away="ENOENT"),
        Stage("backoff", "two", "import-worker", ONCE, away="EIO"),
        Stage("sweep", "due", "import-worker", ONCE),
        Stage("paused", "paused", "import-worker", ONCE, mend=RESUME),
        Stage("changed", "changed", "import-worker", ONCE),
        Stage("replan", "changed", "import-worker", ONCE, account="replan"),
        Stage("import undo", "undoing", "import-worker", ONCE),
        Stage("requested undo", "requested undo", "import-worker", ONCE),
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


# ------------------------------------------------------------------------------------------------- snapshots


def tell(environment) -> None:
    """Run the first stages once without faults, and save a snapshot before each."""
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


def _queue(environment) -> None:
    services.queue_batches(environment.panel, environment.mount, environment.bundles[:USABLE], OPERATOR)
    # The last one looks as if planned from another manifest.
    environment.admin.execute(
        "UPDATE ingest_batch SET manifest_sha256 = REPEAT('0', 64) WHERE sync_id = %(sync_id)s",
        sync_id=environment.bundles[3],
    )


def _queue_two(environment) -> None:
    services.queue_batches(environment.panel, environment.mount, environment.bundles[:2], OPERATOR)


def _request_preflights(environment) -> None:
    """Ask a worker for two preflights, of which the first also queues its batch."""
    for sync_id, then_queue in zip(environment.bundles[:2], (100, None), strict=True):
        batch = environment.panel.run_read(ledger.get_batch, sync_id)
        services.request_preflight(environment.panel, batch, OPERATOR, then_queue=then_queue)


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


def _chain(environment) -> None:
    """Make the first bundle the prior of the second."""
    first, second = environment.bundles[:2]
    environment.admin.execute(
        "UPDATE ingest_batch SET prior_sync_id = %(first)s WHERE sync_id = %(second)s", first=first, second=second
    )


def _hold(environment) -> None:
    environment.panel.run_transaction(job_queue.hold, environment.active_job(), OPERATOR, "look")


def _pause(environment) -> None:
    environment.panel.run_transaction(job_queue.pause, OPERATOR, "maintenance")


def _hold_until_now(environment) -> None:
    """Hold jobs in each way that a sweep ends: by backoff, by the bundle, and by a prior that another program ended."""
    services.queue_batches(environment.panel, environment.mount, environment.bundles[2:3], OPERATOR)
    [prior] = environment.admin.execute("SELECT id FROM ingest_batch WHERE sync_id = %(id)s", id=environment.first)
    reasons = (
        Hold(HoldKind.BACKOFF, "the last attempt failed"), Hold(HoldKind.BUNDLE, "the bundle is not on the mount"),
        Hold(HoldKind.PRIOR, "waits for its prior", prior["id"], environment.first),
    )
    jobs = environment.admin.execute("SELECT id FROM import_job WHERE state = 'queued' ORDER BY id")
    for job, reason in zip(jobs, reasons, strict=True):
        environment.worker.run_transaction(holds.hold, job["id"], reason, "lost:1")
    environment.let_an_hour_pass()


def _change(environment) -> None:
    """Let the plan of the first bundle be one of other items, as if upstream had replaced the bundle since."""
    environment.admin.execute(
        "UPDATE ingest_batch b JOIN ingest_batch_item i ON i.batch_id = b.id"
        " SET b.manifest_sha256 = REPEAT('0', 64), i.item_digest = REPEAT('0', 64) WHERE b.sync_id = %(sync_id)s",
        sync_id=environment.bundles[0],
    )


def _undo(environment) -> None:
    undo_service.undo_batches(environment.panel, environment.imported, OPERATOR)


def _request_undo(environment) -> None:
    """Ask a worker for the plan of an undo that is to be queued."""
    for sync_id in environment.imported[-1:]:
        planned = undo_service.plan_undo(environment.panel, sync_id, OPERATOR)
        batch = environment.panel.run_read(ledger.get_batch, planned.sync_id)
        services.request_preflight(environment.panel, batch, OPERATOR, then_queue=100)


def _seal(environment) -> None:
    """Seal a library whose jobs ended a year ago; a result also has a tombstone."""
    environment.admin.execute(
        "INSERT INTO ingest_result_tombstone (result_id, asset_hash, source_at, batch_id)"
        " SELECT MAX(id), REPEAT('a', 64), NOW(6), MAX(batch_id) FROM ingest_result WHERE kind = 'gallery'"
    )
    seal(environment.sealer)
    environment.admin.execute(
        "UPDATE ingest_batch SET completed_at = completed_at - INTERVAL 1 YEAR WHERE completed_at IS NOT NULL"
    )


def _archive(environment) -> None:
    archives.archive(environment)


def _archive_half(environment) -> None:
    """Stop an archive after it has marked a batch and deleted the results, but not the events."""
    with suppress(Stopped):
        archives.archive(environment, partial(_stop_at, "delete_events"))


def _restore_half(environment) -> None:
    """Stop a restoration after it has inserted the results of the first batch, but not the events."""
    with suppress(Stopped):
        archives.restore(environment, archives.files(environment)[0], partial(_stop_at, "event"))


class Stopped(Exception):  # noqa: N818  # no error: the operation was to stop here
    """Ends an operation between two of its steps."""


def _stop_at(last: str, step: str) -> None:
    if step == last:
        raise Stopped


# Made when a stage needs them: name -> the snapshot before, and what leads to this one.
LATER: dict[str, tuple[str, Callable]] = {
    "queued": ("planned", _queue), "requested": ("scanned", _request_preflights), "stale": ("queued", _let_two_die),
    "two": ("planned", _queue_two), "planned chain": ("planned", _chain), "chain": ("planned chain", _queue_two),
    "held": ("queued", _hold), "paused": ("two", _pause), "due": ("two", _hold_until_now), "changed": ("two", _change),
    "imported": ("queued", lambda environment: environment.finish()), "undoing": ("imported", _undo),
    "requested undo": ("imported", _request_undo), "sealed": ("imported", _seal), "archived": ("sealed", _archive),
    "half archived": ("sealed", _archive_half), "half restored": ("archived", _restore_half),
}
