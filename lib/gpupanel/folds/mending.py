"""Queue the bundles that mend what a reconciliation found."""

from collections.abc import Callable
from typing import NamedTuple

from .. import services
from ..db import Database
from ..errors import InvalidStateError, NotFoundError, PreflightFailedError
from ..mount import Mount
from .reconcile import Reconciliation
from .remedy import Difference

UNDONE = "it was undone; queue it yourself if that was wrong"
SUPERSEDED = (
    "only an import with --although-older would mend it, and that would also put back entries that newer bundles "
    "changed; look at its plan with `gpupanel preflight --although-older`"
)


class Mending(NamedTuple):
    """A bundle that was queued to mend differences, or the problem."""

    sync_id: str
    although_older: bool
    job_id: int | None = None
    problem: str | None = None


class Remedies:
    """Collects the bundles that mend differences while these are found; one entry a bundle stays in memory."""

    def __init__(self) -> None:
        self._plain: set[str] = set()
        self._overriding: set[str] = set()

    def add(self, difference: Difference) -> None:
        remedy = difference.remedy
        (self._overriding if remedy.although_older else self._plain).update(remedy.sync_ids)

    def queue(
        self, db: Database, mount: Mount, actor: str, reconciliation: Reconciliation,
        progress: Callable[[int, int], None],
    ) -> list[Mending]:
        """Preflight and queue the bundles in upstream's order; scan first if the ledger lacks one of them.

        A bundle overrides newer ones only if no newer bundle decided about any of its entries.
        Raises MountUnavailableError.
        """
        upstream = reconciliation.upstream
        wanted = [
            bundle.sync_id for bundle in upstream.bundles.values()
            if bundle.sync_id in self._plain or bundle.sync_id in self._overriding
        ]
        if any(sync_id not in upstream.known for sync_id in wanted):
            services.scan_mount(db, mount, actor)
        mendings = []
        for done, sync_id in enumerate(wanted, 1):
            known = upstream.known.get(sync_id)
            may_override = sync_id not in reconciliation.superseded
            overrides = sync_id in self._overriding and may_override
            if known and known.undone:
                mendings.append(Mending(sync_id, overrides, problem=UNDONE))
            elif not overrides and sync_id not in self._plain:
                mendings.append(Mending(sync_id, True, problem=SUPERSEDED))
            else:
                mendings.append(_queue(db, mount, sync_id, actor, overrides))
            progress(done, len(wanted))
        return mendings


def _queue(db: Database, mount: Mount, sync_id: str, actor: str, overrides: bool) -> Mending:
    """Plan the bundle anew over the library as it is, and queue it."""
    try:
        planned = services.preflight_batch(db, mount, sync_id, actor, services.PreflightOptions(overrides))
        if not planned.ok:
            return Mending(sync_id, overrides, problem="; ".join(planned.problems))
        return Mending(sync_id, overrides, services.queue_batch(db, mount, sync_id, actor))
    except (NotFoundError, InvalidStateError, PreflightFailedError) as error:
        return Mending(sync_id, overrides, problem=f"{error} {error.hint}".strip())
