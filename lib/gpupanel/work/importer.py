"""The import of one batch: the manifest again, its items chunk by chunk, its containers, the end (docs/CONTRACT.md, 9)."""

from functools import partial
from time import monotonic
from typing import Callable, Iterable, Iterator

from .. import ledger, preflight
from ..catalogue import Key
from ..database import DataRefused, Database, Transaction, chunks
from ..errors import BundleIncomplete, ClaimLost, ManifestError, OutcomeUnknown, PanelError
from ..manifest import Container, Manifest, parse_manifest
from ..model import SETTLED, BatchStatus, Decision, Plan
from ..mount import Mount, elsewhere
from . import claims, containers
from .chunk import Chunks, Unread, needs_documents
from .claims import Claim, Ended, Next
from .containers import Failure, Step
from .heartbeat import Heartbeat
from .reader import PATIENCE, Entry, Readers, cut

EVENT_SECONDS = 10
# Seconds that looking for the files of all items may take.
EXAMINE_PATIENCE = 3600
UNKNOWN = {"id": None, "planned": None, "decision": None, "job_id": None}


class Unimportable(PanelError):
    """The batch cannot be imported as it is; the job fails with this reason."""

    message = "The batch cannot be imported as it is."


class Importer:
    """Imports the batch of one claim.

    `attend` is called between transactions: it may raise to stop the import there. Everything that was committed until
    then stays, and the job goes on from there when it is claimed again. `following` tells at each try of the end
    what to claim together with it. `changed` is told the SHA-256 of the manifest that was planned and of the one that
    took its place, and whether the plan that was made from that one is sound.
    """

    def __init__(
        self, db: Database, mount: Mount, claim: Claim, heartbeat: Heartbeat, attend: Callable[[], None],
        following: Callable[[], Next | None] = lambda: None, changed: Callable[[str, str, bool], None] = lambda *told: None,
        *, chunk_items: int, readers: int,
    ):
        self._db, self._mount, self._claim, self._heartbeat, self._attend = db, mount, claim, heartbeat, attend
        self._following, self._changed = following, changed
        self._chunk_items, self._threads = chunk_items, readers
        self.items_done, self.items_total = claim.items_done, claim.items_total
        self._noted = monotonic()

    def run(self) -> tuple[Ended, Claim | None]:
        """Import all that is not settled yet, and finish the job; returns also the claim that came of `following`, as far as
        a reply told.

        Raises ClaimLost; BundleIncomplete and MountUnavailable when the bundle or the mount is gone, or closed to this
        account; Unimportable; DatabaseUnavailable; and whatever `attend` raises.
        """
        manifest = self._manifest()
        carrier = Chunks(self._claim.batch_id, manifest)
        self._read_and_carry_out(carrier, self._unsettled(manifest), lambda entry: needs_documents(manifest.action, entry))
        failures = self._containers(manifest)
        self._attend()
        return self._finish(manifest, failures)

    @property
    def progress(self) -> str:
        """How far the job is, in words; what failed counts, too."""
        return f"{self.items_done} of {self.items_total} items"

    # ------------------------------------------------------------------------------------------- the manifest

    def _manifest(self) -> Manifest:
        """The manifest as it is now; when it is not the one that was planned, everything is planned anew."""
        recorded = self._db.read(ledger.batch, self._claim.sync_id)["manifest_sha256"]
        return self._as_planned(recorded) or self._replanned(recorded)

    def _as_planned(self, recorded: str | None) -> Manifest | None:
        try:
            raw = self._from_mount(PATIENCE, lambda: self._mount.manifest(self._claim.sync_id))
            found = parse_manifest(raw, self._claim.sync_id, checkpoint=self._attend)
        except ManifestError:
            return None  # the plan made from these bytes will say what is wrong
        return found if found.sha256 == recorded else None

    def _replanned(self, recorded: str | None) -> Manifest:
        examined = self._from_mount(EXAMINE_PATIENCE, lambda: preflight.examine(self._mount, self._claim.sync_id))
        if examined.gone or (examined.manifest and examined.problems):
            raise BundleIncomplete("; ".join(examined.problems))
        outcome = self._db.transact(self._plan_anew, examined)
        if recorded and examined.sha256 and examined.sha256 != recorded:
            self._changed(recorded, examined.sha256, outcome.ok)
        if not outcome.ok:
            raise Unimportable("; ".join(outcome.problems))
        self.items_done, self.items_total = 0, outcome.item_count
        return examined.manifest

    def _from_mount(self, patience: float, look: Callable):
        return elsewhere(look, self._attend, patience)

    def _plan_anew(self, tx: Transaction, examined: preflight.Examined) -> preflight.Outcome:
        claims.restart(tx, self._claim, len(examined.manifest.items) if examined.manifest else 0)
        batch = tx.one("ledger.lock_by_id", batch_id=self._claim.batch_id)
        return preflight.plan(tx, batch, examined, self._claim.worker, phase="import")

    # ----------------------------------------------------------------------------------------------- the items

    def _unsettled(self, manifest: Manifest) -> Iterator[Entry]:
        """The items in the manifest's order, less those that this job settled before it was interrupted, and those that another
        one has done since they were planned; what failed in that one is open still."""
        look_up = partial(self._db.read, ledger.planned_items, self._claim.batch_id)
        for entry, row in planned_entries(manifest, look_up):
            failed_before = row["decision"] == Decision.FAILED and row["job_id"] != self._claim.job_id
            if failed_before or row["decision"] not in SETTLED:
                yield entry

    def _read_and_carry_out(
        self, carrier: Chunks, entries: Iterable[Entry], needed: Callable[[Entry], bool]
    ) -> None:
        with Readers(self._mount, self._threads, self._attend) as readers:
            for chunk in cut(readers.ahead(entries, needed, 2 * self._chunk_items), self._chunk_items):
                self._carry_out(carrier, chunk)

    def _carry_out(self, carrier: Chunks, chunk: list[Entry]) -> None:
        """Settle a chunk: whole, or else item by item; in smaller ones, when documents are needed after all."""
        carry_out = carrier.carry_out
        while chunk:
            self._attend()
            since = monotonic()
            try:
                noted = self._db.transact(self._settle, carry_out, chunk)
                return self._advance(len(chunk), since, noted)
            except Unread as unread:
                unread_keys = {entry.key for entry in unread.entries}
                return self._read_and_carry_out(carrier, chunk, lambda entry: entry.key in unread_keys)
            except DataRefused:
                if carry_out == carrier.one_by_one:
                    raise
                carry_out = carrier.one_by_one
            except OutcomeUnknown:
                done, chunk = len(chunk), self._db.transact(self._still_open, chunk)
                self._advance(done - len(chunk), since, False)

    def _settle(self, tx: Transaction, carry_out: Callable, chunk: list[Entry]) -> bool:
        """One chunk in one transaction: the library, the fence, the ledger; True when it wrote an event of progress."""
        done: list[Plan] = carry_out(tx, chunk)
        claims.progress(tx, self._claim, len(done))
        ledger.settle_items(tx, self._claim.batch_id, self._claim.job_id, done)
        noting = monotonic() - self._noted >= EVENT_SECONDS
        if noting:
            claims.note_progress(tx, self._claim, self.items_done + len(done), self.items_total)
        self._heartbeat.check()
        return noting

    def _still_open(self, tx: Transaction, chunk: list[Entry]) -> list[Entry]:
        """Those of the chunk that are not settled, now that any transaction of ours which held the job has ended."""
        claims.beat(tx, self._claim)
        known = ledger.planned_items(tx, self._claim.batch_id, [entry.key for entry in chunk])
        return [entry for entry in chunk if known.get(entry.key, UNKNOWN)["job_id"] != self._claim.job_id]

    def _advance(self, items: int, since: float, noted: bool) -> None:
        self.items_done += items
        self._heartbeat.noted(since)
        if noted:
            self._noted = monotonic()

    # ------------------------------------------------------------------------------------------ the containers

    def _containers(self, manifest: Manifest) -> list[Failure]:
        """Carry out all containers, also those that an interrupted run of this job had done; returns what is not whole."""
        outcomes = (self._container(manifest.action, container) for container in manifest.containers)
        return [failure for failure in outcomes if failure]

    def _container(self, action: str, container: Container) -> Failure | None:
        missing: list[str] = []
        try:
            for step in containers.steps(action, self._claim.batch_id, container):
                self._attend()
                missing += self._fenced(step)
        except DataRefused as error:
            return containers.refused(container, error)
        return containers.lacking(container, missing) if missing else None

    def _fenced(self, step: Step) -> list[str]:
        """One step under the claim. It changes nothing when it is taken again, so a lost reply costs no more than that."""
        try:
            return self._db.transact(self._step, step)
        except OutcomeUnknown:
            return self._db.transact(self._step, step)

    def _step(self, tx: Transaction, step: Step) -> list[str]:
        missing = step(tx)
        claims.beat(tx, self._claim)
        return missing

    # ------------------------------------------------------------------------------------------------- the end

    def _finish(self, manifest: Manifest, failures: list[Failure]) -> tuple[Ended, Claim | None]:
        try:
            return self._db.transact(self._end, manifest, failures)
        except OutcomeUnknown:
            return self._finish_again(manifest, failures)

    def _finish_again(self, manifest: Manifest, failures: list[Failure]) -> tuple[Ended, Claim | None]:
        """The reply to the first COMMIT was lost; if it took effect, the claim has ended, and under our own token."""
        try:
            return self._db.transact(self._end, manifest, failures)
        except ClaimLost:
            if not self._db.read(claims.ended, self._claim.token):
                raise
            return self._db.read(self._outcome, failures), None

    def _end(self, tx: Transaction, manifest: Manifest, failures: list[Failure]) -> tuple[Ended, Claim | None]:
        following = self._following()  # first of all, so that whoever tells us knows of each try
        self._heartbeat.check()
        outcome = self._outcome(tx, failures)
        return outcome, claims.finish(tx, self._claim, outcome, manifest.sha256, failures, following)

    def _outcome(self, tx: Transaction, failures: list[Failure]) -> Ended:
        return outcome_of(ledger.decision_counts(tx, self._claim.batch_id), len(failures))


def planned_entries(manifest: Manifest, look_up: Callable[[list[Key]], dict[Key, dict]]) -> Iterator[tuple[Entry, dict]]:
    """The items as they were planned, in the manifest's order, each with its row of the ledger; `look_up` finds rows by key."""
    for some in chunks(Entry(position, item, None) for position, item in enumerate(manifest.items)):
        known = look_up([entry.key for entry in some])
        for entry in some:
            row = known.get(entry.key, UNKNOWN)
            yield entry._replace(id=row["id"], planned=Decision(row["planned"]) if row["planned"] else None), row


def outcome_of(counts: dict[str, int], container_failures: int) -> Ended:
    """The status that a batch ends in, by its items' decisions (docs/CONTRACT.md, 5)."""
    total, failed = sum(counts.values()), counts.get(Decision.FAILED, 0)
    if not failed and not container_failures:
        return Ended(BatchStatus.COMPLETED, counts, 0, None)
    problems = [f"{failed} of {total} items failed"] if failed else []
    problems += [f"containers that are not whole: {container_failures}"] if container_failures else []
    status = BatchStatus.FAILED if failed and failed == total else BatchStatus.PARTIAL
    return Ended(status, counts, container_failures, "; ".join(problems))
