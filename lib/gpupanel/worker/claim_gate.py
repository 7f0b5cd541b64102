"""Whether a worker may claim now: the mount is available, the window is open, the queue is not paused."""

from time import monotonic

from ..errors import MountUnavailableError
from ..mount import call_with_timeout
from ..rows import QueueControl
from .document_prefetch import MOUNT_TIMEOUT_SECONDS
from .log import join_sentences
from .worker_context import WorkerContext

# A check of the mount costs as much as the claim of a small job, so it is not made for each job.
MOUNT_CHECK_SECONDS = 1


class ClaimGate:
    """Says whether this worker may claim; logs each reason once, and its end once."""

    def __init__(self, context: WorkerContext):
        self._context = context
        self.paused_reason = self.blocked_reason = ""
        self._mount_checked_at = float("-inf")

    @property
    def reason(self) -> str:
        """Why nothing is claimed; empty while jobs are."""
        return self.blocked_reason or self.paused_reason

    def may_claim(self) -> bool:
        """Return whether the window is open and the mount available."""
        window = self._context.settings.window
        if not window.is_open():
            self._pause(f"outside of the window {window.text}")
            return False
        return self.is_mount_available()

    def is_mount_available(self) -> bool:
        """Return whether the mount was available at the last check.

        Without it, nothing is claimed.
        """
        if not self.blocked_reason and monotonic() < self._mount_checked_at + MOUNT_CHECK_SECONDS:
            return True
        self._mount_checked_at = monotonic()
        context = self._context
        try:
            call_with_timeout(context.mount.check_available, context.keep_going, MOUNT_TIMEOUT_SECONDS)
            problem = ""
        except MountUnavailableError as error:
            problem = str(error)
        context.slot.report_mount(not problem)
        context.slot.report("blocked" if problem else "idle")
        self._block(f"cannot claim jobs: {problem}" if problem else "")
        return not problem

    def recheck_mount(self) -> None:
        """Check the mount before the next claim: it may be the reason of a failure."""
        self._mount_checked_at = float("-inf")

    def report_pause(self, control: QueueControl | None) -> None:
        """Report that the queue is paused, or is not."""
        why = control and join_sentences(f"the queue is paused by {control['paused_by']}", control["reason"])
        self._pause(why or "")

    def _pause(self, reason: str) -> None:
        has_changed = reason != self.paused_reason
        self.paused_reason = reason
        self._context.slot.report("paused" if reason else "idle")
        if has_changed:
            self._context.log.info(f"worker {self._context.name}: {reason or 'claims jobs again'}")
            self._context.heartbeat.beat_soon()

    def _block(self, problem: str) -> None:
        if problem != self.blocked_reason:
            log = self._context.log
            (log.warning if problem else log.info)(problem or "the mount is available again")
        self.blocked_reason = problem
