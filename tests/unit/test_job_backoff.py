"""Backoff per job: doubles with each deferral, up to a limit."""

from gpupanel.worker import job_backoff
from gpupanel.worker.job_backoff import JobBackoff


def test_a_deferred_job_waits_twice_as_long_each_time_up_to_a_limit():
    backoff = JobBackoff()
    seconds = [backoff.defer(7) for _ in range(20)]
    assert seconds[:3] == [job_backoff.FIRST_SECONDS * 2**n for n in range(3)]
    assert seconds[-1] == job_backoff.MAX_SECONDS
    assert backoff.deferred_ids() == [7]
    backoff.clear(7)
    assert backoff.deferred_ids() == []
