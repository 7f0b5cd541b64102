"""Operators, holds and workers in any order, compared with a model (docs/CONTRACT.md, 2 and 5).

MODEL_EXAMPLES says how many stories are told, 12 unless told otherwise, and they are other ones with each
--hypothesis-seed then; `make faults` tells more. MODEL_SHRINK=1 shortens the story that fails.
"""

import os
import secrets
from time import monotonic
from typing import NamedTuple

import pytest
import worker_helpers
from campaign import snapshot
from constants import empty
from gpupanel import job_queue, services
from gpupanel.db import Database
from gpupanel.errors import ClaimLostError, InvalidStateError
from gpupanel.worker import claims, job_release, stale_jobs
from gpupanel.worker.heartbeat import Heartbeat
from gpupanel.worker.hold_sweep import HoldSweeper
from gpupanel.worker.worker_slot import Process, WorkerSlot
from gpupanel.worker.importer import Importer, ImportOptions
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as some
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

EXAMPLES = int(os.environ.get("MODEL_EXAMPLES", "12"))
STEPS = 30
# A failing story is told as it was found, unless MODEL_SHRINK is set: to shorten it takes minutes.
PHASES = [Phase.generate, Phase.shrink] if os.environ.get("MODEL_SHRINK") else [Phase.generate]
MAX_ATTEMPTS = 3
BUSY, WAITING = ("queued", "importing"), ("queued", "held")
BUNDLES = some.integers(0, 2)
FOLLOWER, PRIOR = 2, 1  # bundle 2 names bundle 1 as its prior
STEPS_OF_A_WORKER = some.sampled_from([1000, 1, 2, 3, 4, 5, 6, 0])


class WorkerKilledError(Exception):
    """The worker ends here, between two transactions."""


class KilledAfter:
    """Hooks that end an import at the checkpoint after this many."""

    def __init__(self, steps: int):
        self._left = iter(range(steps))

    def checkpoint(self, progress: str) -> None:
        if next(self._left, None) is None:
            raise WorkerKilledError

    def warn(self, text: str) -> None:
        """A bundle may come again at any time."""


class Batch:
    """What the model knows of a bundle: how often it was changed, the status of its batch, and its jobs.

    `planned` is the version that was planned last. `handed`, `noted` and `source` are places in upstream's order: of
    the bundle on the mount, as the scan noted it, and as it was planned. `is_unapproved` says whether a worker planned
    it last, because upstream had replaced the bundle. `first_job` is the place in `jobs` of the first job of that plan.
    """

    def __init__(self):
        self.version, self.recorded, self.status, self.is_unapproved = 0, False, "discovered", False
        self.planned, self.handed, self.noted, self.source = 0, 0.0, 0.0, 0.0
        self.jobs: list[Job] = []
        self.first_job = 0

    @property
    def has_active_job(self) -> bool:
        return self.status in BUSY


class Job:
    """What the model knows of a job."""

    def __init__(self, job_id: int, priority: int):
        self.id, self.priority, self.state, self.attempts = job_id, priority, "queued", 0
        self.hold: str | None = None


class Held(NamedTuple):
    """A claim in some worker's hand."""

    claim: claims.Claim
    batch: Batch
    job: Job


class Story(RuleBasedStateMachine):
    """One story; `world` is set to (admin database, panel's, worker's, mount, bundle writer)."""

    world: tuple

    def __init__(self):
        super().__init__()
        self.admin, self.panel, self.db, self.mount, self.writer = self.world
        self.batches = [Batch() for _ in range(3)]
        self.hands: dict[int, Held] = {}  # a worker's number -> the claim that it believes to have
        self.dead: list[Held] = []
        self.tokens, self.seen = {}, {}
        self.shared, self.say = "", 0.0  # title of the photo of all bundles, and the place of the bundle that gave it
        self.paused = False

    @initialize()
    def forget_the_last_story(self):
        empty(self.admin)
        for path in self.mount.sync_dir.iterdir():
            path.unlink()
        for n in range(2):
            self.hand_over(n)
        self.scan()

    # ------------------------------------------------------------------------------------------- upstream

    @rule(n=BUNDLES)
    def hand_over(self, n):
        """A bundle comes, or comes again with other titles: two photos of its own, and one that all bundles share."""
        batch = self.batches[n]
        batch.version += 1
        photos = [*self._assets(f"own {n}"), *list(self._assets("shared"))[:1]]
        photos = [photo._replace(title=self._title(batch), revision=1) for photo in photos]
        self.writer.bundle(
            f"bundle {n}", photos, [self.writer.container("gallery", f"Gallery {n}", photos)], replace=True,
            action="update", prior_sync_id=self._sync_id(PRIOR) if n == FOLLOWER else None,
        )
        batch.handed = float(self.writer.bundles)

    def _assets(self, name: str):
        return self.writer.assets(name, 2, derivatives=(), documents=())

    # ------------------------------------------------------------------------------------------ operators

    @rule()
    def scan(self):
        here = [batch for batch in self.batches if batch.version]
        if not here:
            return
        report = services.scan_mount(self.panel, self.mount, "operator")
        assert len(report.discovered) == sum(not batch.recorded for batch in here)
        replaced = [n for n, batch in enumerate(self.batches) if batch.is_unapproved and batch.version != batch.planned]
        assert set(report.changed_upstream) == {self._sync_id(n) for n in replaced}
        for batch in here:
            if not batch.recorded:
                batch.recorded, batch.noted = True, batch.handed

    @rule(n=BUNDLES)
    def preflight(self, n):
        batch = self.batches[n]
        if not batch.recorded:
            return
        if batch.has_active_job:
            with pytest.raises(InvalidStateError):
                services.preflight_batch(self.panel, self.mount, self._sync_id(n), "operator")
            return
        assert services.preflight_batch(self.panel, self.mount, self._sync_id(n), "operator").ok
        self._planned(batch)
        batch.status, batch.is_unapproved = "preflight_passed", False

    def _planned(self, batch: Batch):
        """A follower comes after its prior, whatever their times say."""
        batch.planned, batch.source, batch.first_job = batch.version, batch.handed, len(batch.jobs)
        if batch is self.batches[FOLLOWER] and self.batches[PRIOR].recorded:
            prior = self.batches[PRIOR]
            batch.source = max(batch.handed, (prior.source or prior.noted) + 0.001)

    @rule(n=BUNDLES, priority=some.integers(1, 3))
    def queue(self, n, priority):
        """A plan that no person has seen is not queued until a person preflights the batch."""
        batch = self.batches[n]
        if not batch.recorded:
            return
        options = services.QueueOptions(priority)
        if batch.has_active_job or batch.is_unapproved:
            with pytest.raises(InvalidStateError):
                services.queue_batch(self.panel, self.mount, self._sync_id(n), "operator", options)
            return
        job_id = services.queue_batch(self.panel, self.mount, self._sync_id(n), "operator", options)
        if batch.status != "preflight_passed":
            self._planned(batch)
        batch.jobs.append(Job(job_id, priority))
        self._put(batch, batch.jobs[-1])

    def _put(self, batch: Batch, job: Job, hold: str | None = None):
        """The job waits in the queue, or is held; an active job of the prior holds it whatever else would."""
        if batch is self.batches[FOLLOWER] and self.batches[PRIOR].has_active_job:
            hold = "prior"
        job.state, job.hold, batch.status = "held" if hold else "queued", hold, "queued"

    def _end(self, batch: Batch, job: Job, state: str, status: str):
        """The job ends, which ends the hold of the job that waits for it."""
        job.state, job.hold, batch.status = state, None, status
        for follower in self.batches[FOLLOWER].jobs if batch is self.batches[PRIOR] else ():
            if (follower.state, follower.hold) == ("held", "prior"):
                follower.state, follower.hold = "queued", None

    @precondition(lambda self: any(batch.jobs for batch in self.batches))
    @rule(n=BUNDLES)
    def cancel(self, n):
        for batch in self.batches[n:]:
            if batch.jobs:
                return self._cancel(batch, batch.jobs[-1])

    def _cancel(self, batch: Batch, job: Job):
        if job.state not in WAITING:
            with pytest.raises(InvalidStateError):
                self.panel.run_transaction(job_queue.cancel, job.id, "operator")
            return
        self.panel.run_transaction(job_queue.cancel, job.id, "operator")
        self._end(batch, job, "canceled", "preflight_passed")

    @precondition(lambda self: any(batch.jobs for batch in self.batches))
    @rule(n=BUNDLES)
    def hold(self, n):
        """An operator holds a job that waits, whatever held it before."""
        for job in (batch.jobs[-1] for batch in self.batches[n:] if batch.jobs):
            if job.state not in WAITING or job.hold == "operator":
                with pytest.raises(InvalidStateError):
                    self.panel.run_transaction(job_queue.hold, job.id, "operator", "look first")
                return
            self.panel.run_transaction(job_queue.hold, job.id, "operator", "look first")
            job.state, job.hold = "held", "operator"
            return

    @precondition(lambda self: any(job.hold for batch in self.batches for job in batch.jobs))
    @rule()
    def end_hold(self):
        """An operator ends a hold, but not that of a prior."""
        batch, job = next((batch, job) for batch in self.batches for job in batch.jobs if job.hold)
        if job.hold == "prior":
            with pytest.raises(InvalidStateError):
                self.panel.run_transaction(job_queue.release, job.id, "operator")
            return
        self.panel.run_transaction(job_queue.release, job.id, "operator")
        self._put(batch, job)

    @rule()
    def sweep(self):
        """The time of all backoffs comes, and a worker looks; other holds stay."""
        worker_helpers.make_due(self.admin)
        HoldSweeper(self.db, self.mount, "host:9", lambda: None).sweep()
        for batch in self.batches:
            for job in batch.jobs:
                if job.hold == "backoff":
                    self._put(batch, job)

    @precondition(lambda self: self._is_queued() and self._free() is not None)
    @rule()
    def claim_while_paused(self):
        """A paused queue gives out no job."""
        self.panel.run_transaction(job_queue.pause, "operator", "maintenance")
        self.paused = True
        self.claim()
        assert self.panel.run_transaction(job_queue.resume, "operator")
        self.paused = False

    def _is_queued(self) -> bool:
        return any(job.state == "queued" for batch in self.batches for job in batch.jobs)

    def _sync_id(self, n: int) -> str:
        return self.writer.sync_id(f"bundle {n}")

    # ------------------------------------------------------------------------------------------- workers

    @precondition(lambda self: self._is_queued() and self._free() is not None)
    @rule()
    def claim(self):
        w = self._free()
        self._claimed(w, self.db.run_transaction(claims.claim, claims.ClaimRequest(secrets.token_hex(16), f"host:{w}")))

    def _claimed(self, w: int, claim: claims.Claim | None):
        """The claim is of the first queued job."""
        waiting = sorted(
            (job.priority, job.id, n)
            for n, batch in enumerate(self.batches)
            for job in batch.jobs
            if job.state == "queued" and not self.paused
        )
        assert (claim.job_id if claim else None) == (waiting[0][1] if waiting else None)
        if claim:
            batch = self.batches[waiting[0][2]]
            job = batch.jobs[-1]
            job.state, job.attempts, batch.status = "running", job.attempts + 1, "importing"
            self.hands[w] = Held(claim, batch, job)

    def _free(self) -> int | None:
        return next((w for w in range(3) if w not in self.hands), None)

    @precondition(lambda self: self.hands)
    @rule(which=some.integers(0, 2), steps=STEPS_OF_A_WORKER)
    def go_on(self, which, steps):
        """A worker continues until it has ended the job, or for some steps until it is killed."""
        self._work(sorted(self.hands)[which % len(self.hands)], steps)

    @precondition(lambda self: self._free() is not None)
    @rule(steps=STEPS_OF_A_WORKER, n=BUNDLES)
    def queue_claim_and_go_on(self, steps, n):
        """What is rare when chance draws three steps in a row."""
        w = self._free()
        self.queue(n, 2)
        self.claim()
        if w in self.hands:
            self._work(w, steps)

    @precondition(lambda self: self._free() is not None)
    @rule(n=BUNDLES, steps=STEPS_OF_A_WORKER, again=some.booleans())
    def replace_after_approval(self, n, steps, again):
        """Upstream replaces a bundle that is queued, and perhaps once more after a worker planned that one."""
        w = self._free()
        self.queue(n, 2)
        self.hand_over(n)
        self.claim()
        if w in self.hands:
            self._work(w, steps)
        if again:
            self.hand_over(n)
        self.scan()
        self.queue(n, 2)

    def _work(self, w: int, steps: int):
        held = self.hands.pop(w)
        if held in self.dead:
            return self._write_in_vain(held)
        try:
            self._import(held, steps)
        except WorkerKilledError:
            self.dead.append(held)
            self.hands[w] = held  # and may come back, not knowing that it was presumed dead
        else:
            self._ended(held)

    def _write_in_vain(self, held: Held):
        """A stale worker may continue until its job is requeued; afterwards it writes nothing."""
        if self._has(held):
            self.dead.remove(held)
            self._import(held, 1000)
            return self._ended(held)
        before = snapshot.everything(self.admin)
        with pytest.raises(ClaimLostError):
            self._import(held, 1000)
        assert snapshot.everything(self.admin) == before

    def _ended(self, held: Held):
        """A bundle that changed since its plan is not imported, and its new plan waits for an operator."""
        if held.batch.version != held.batch.planned:
            self._planned(held.batch)
            held.batch.is_unapproved = True
            return self._end(held.batch, held.job, "failed", "preflight_passed")
        self._end(held.batch, held.job, "completed", "completed")
        self._brought(held.batch)

    def _has(self, held: Held) -> bool:
        (row,) = self.admin.execute("SELECT claim_token, state FROM import_job WHERE id = %(id)s", id=held.job.id)
        return (row["claim_token"], row["state"]) == (held.claim.token, "running")

    def _import(self, held: Held, steps: int) -> None:
        before = self._shared_of(held.batch)
        heartbeat = Heartbeat(Database(self.db.settings), 3600, 3600, WorkerSlot(Process("h", 1, "")))
        heartbeat.start(held.claim, monotonic())
        importer = Importer(self.db, self.mount, held.claim, heartbeat, KilledAfter(steps), ImportOptions(1, 1))
        try:
            importer.run()
        finally:
            after = self._shared_of(held.batch)
            if after != before and after["job_id"] == held.job.id and held.batch.source >= self.say:
                self.shared, self.say = self._title(held.batch), held.batch.source

    def _shared_of(self, batch: Batch) -> dict:
        """What the ledger says of the photo that all bundles share: the last one of the batch."""
        return self.admin.execute(
            "SELECT i.job_id, i.updated_at FROM ingest_batch_item i JOIN ingest_batch b ON b.id = i.batch_id"
            " WHERE b.sync_id = %(sync_id)s AND i.position = 2", sync_id=self._sync_id(self.batches.index(batch)),
        )[0]

    def _title(self, batch: Batch) -> str:
        return f"{self.batches.index(batch)} v{batch.version}"

    def _brought(self, batch: Batch):
        """All that the bundle lists is there, as it lists it; another one may have changed since what they share."""
        rows = self.admin.execute(
            "SELECT a.title FROM asset a JOIN ingest_batch_item i ON i.asset_id = a.id"
            " JOIN ingest_batch b ON b.id = i.batch_id"
            " WHERE b.sync_id = %(sync_id)s AND a.deleted_at IS NULL ORDER BY i.position",
            sync_id=self._sync_id(self.batches.index(batch)),
        )
        assert [row["title"] for row in rows] == [self._title(batch)] * 2 + [self.shared]

    @precondition(lambda self: any(held not in self.dead for held in self.hands.values()))
    @rule()
    def release(self):
        """A worker that was asked to stop gives its job back."""
        w = next(w for w, held in self.hands.items() if held not in self.dead)
        held = self.hands.pop(w)
        self.db.run_transaction(job_release.release, held.claim, "stopped")
        self._put(held.batch, held.job)
        held.job.attempts -= 1

    @precondition(lambda self: any(held not in self.dead for held in self.hands.values()))
    @rule()
    def fail_attempt(self):
        """An attempt fails: the job is held for a while, and fails with the last attempt."""
        w = next(w for w, held in self.hands.items() if held not in self.dead)
        held = self.hands.pop(w)
        self.db.run_transaction(job_release.retry_or_fail, held.claim, "a file cannot be read", MAX_ATTEMPTS)
        if held.job.attempts >= MAX_ATTEMPTS:
            self._end(held.batch, held.job, "failed", "failed")
        else:
            self._put(held.batch, held.job, "backoff")

    @precondition(lambda self: self.dead)
    @rule()
    def reset(self):
        """An hour passes, and another worker requeues the jobs of dead workers."""
        for held in [held for held in self.dead if self._has(held)]:
            worker_helpers.make_stale(self.admin, held.job.id)
            self._put_back(held)

    def _put_back(self, held: Held):
        self.db.run_transaction(stale_jobs.requeue_stale, held.job.id, 900, MAX_ATTEMPTS, "host:9")
        if held.job.attempts >= MAX_ATTEMPTS:
            self._end(held.batch, held.job, "failed", "failed")
        else:
            self._put(held.batch, held.job)

    @precondition(lambda self: self.hands)
    @rule(hours=some.sampled_from([-2, -1, 1, 2]))
    def step_the_clock(self, hours):
        """The database's clock is set, so that what was noted before seems longer ago, or is yet to come."""
        self.admin.execute(
            "UPDATE import_job SET heartbeat_at = heartbeat_at - INTERVAL %(hours)s HOUR WHERE state = 'running'",
            hours=hours,
        )

    @rule()
    def look_for_the_silent(self):
        """A worker without a heartbeat for too long loses its job, alive or not; no other worker does."""
        for job_id in self.db.run_read(stale_jobs.list_stale, 900):
            (held,) = [held for held in self.hands.values() if held.job.id == job_id and self._has(held)]
            self._put_back(held)
            if held not in self.dead:
                self.dead.append(held)
        late = "SELECT 1 FROM import_job WHERE state = 'running' AND heartbeat_at < NOW(6) - INTERVAL 900 SECOND"
        assert self.admin.execute(late) == []

    @precondition(lambda self: self.dead and self._free() is not None)
    @rule(steps=some.integers(1, 4))
    def outlive(self, steps):
        """Somebody else takes over from the dead, and is still at it when they come back."""
        late = [w for w, held in self.hands.items() if held in self.dead]
        self.reset()
        self.claim()
        for w in [w for w in self.hands if self.hands[w] not in self.dead]:
            self._work(w, steps)
        for w in late:
            self._work(w, 1000)

    # ---------------------------------------------------------------------------------------- what holds always

    @invariant()
    def batches_and_jobs_are_as_the_model_says(self):
        rows = self.admin.execute("SELECT sync_id, status, changed_at IS NOT NULL AS changed FROM ingest_batch")
        assert {row["sync_id"]: (row["status"], bool(row["changed"])) for row in rows} == {
            self._sync_id(n): (batch.status, batch.is_unapproved)
            for n, batch in enumerate(self.batches) if batch.recorded
        }
        rows = self.admin.execute("SELECT id, state, hold, attempts FROM import_job")
        jobs = {row["id"]: (row["state"], row["hold"], row["attempts"]) for row in rows}
        assert jobs == {job.id: (job.state, job.hold, job.attempts) for batch in self.batches for job in batch.jobs}

    @invariant()
    def a_token_is_one_claim_s_and_never_another_s(self):
        for job in self.admin.execute("SELECT id, attempts, claim_token FROM import_job WHERE state = 'running'"):
            claim = self.tokens.setdefault(job["claim_token"], (job["id"], job["attempts"]))
            assert claim == (job["id"], job["attempts"])

    @invariant()
    def the_items_of_a_completed_batch_were_settled_by_jobs_of_its_last_plan(self):
        """A job that takes the place of a canceled one settles what that one left open."""
        for n, batch in enumerate(self.batches):
            if batch.status == "completed":
                rows = self.admin.execute(
                    "SELECT i.decision, i.job_id FROM ingest_batch_item i JOIN ingest_batch b ON b.id = i.batch_id"
                    " WHERE b.sync_id = %(sync_id)s AND i.decision <> 'withdrawn'", sync_id=self._sync_id(n),
                )
                assert {row["job_id"] for row in rows} <= {job.id for job in batch.jobs[batch.first_job:]}
                assert {row["decision"] for row in rows} <= {"created", "updated", "linked", "skipped"}

    @invariant()
    def the_events_tell_the_truth(self):
        assert snapshot.broken_invariants(self.admin) == []

    @invariant()
    def nothing_is_deleted_and_nothing_told_is_changed(self):
        ids = snapshot.ids(self.admin)
        events = self.admin.execute("SELECT * FROM ingest_event ORDER BY id")
        for table, before in self.seen.get("ids", {}).items():
            assert before <= ids[table]
        assert events[: len(self.seen.get("told", []))] == self.seen.get("told", [])
        self.seen = {"ids": ids, "told": events}


def test_any_order_of_scans_clicks_imports_deaths_and_resets_ends_as_the_model_says(
    admin_db, panel_db, worker_db, mount, bundles
):
    Story.world = (admin_db, panel_db, worker_db, mount, bundles)
    run_state_machine_as_test(Story, settings=settings(
        max_examples=EXAMPLES, stateful_step_count=STEPS, deadline=None, database=None,
        derandomize="MODEL_EXAMPLES" not in os.environ,
        phases=PHASES, suppress_health_check=list(HealthCheck),
    ))
