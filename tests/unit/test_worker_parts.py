"""The small parts of the worker: silence that ends a claim, log lines, grants."""

import io
from time import monotonic

import pytest
from gpupanel.config import DatabaseSettings
from gpupanel.db import Database
from gpupanel.errors import ClaimLostError
from gpupanel.worker.db_retry import DatabaseRetrier, ShutdownRequested
from gpupanel.worker.claims import Claim
from gpupanel.worker.heartbeat import Heartbeat
from gpupanel.worker.log import join_sentences, make_logger
from gpupanel.worker.systemd import SystemdNotifier
from gpupanel.worker.pipeline import result_of_counts
from gpupanel.worker.shutdown import ShutdownSignals
from gpupanel.worker.worker import idle_seconds
from gpupanel.worker.worker_slot import Process, WorkerSlot

CLAIM = Claim(1, 1, "s", "t", "h:1", 1, 0, 1)


@pytest.fixture
def heartbeat():
    """One whose database never answers."""
    return Heartbeat(Database(DatabaseSettings(unix_socket="/nowhere")), 15, 900, WorkerSlot(Process("h", 1, "")))


def test_a_worker_that_could_not_beat_for_two_thirds_of_the_threshold_gives_up_its_claim(heartbeat):
    heartbeat.start(CLAIM, since=monotonic() - 590)
    heartbeat.raise_if_lost()
    heartbeat.start(CLAIM, since=monotonic() - 610)
    with pytest.raises(ClaimLostError, match="No heartbeat"):
        heartbeat.raise_if_lost()


def test_a_beat_that_fails_is_silence_and_no_proof_that_the_claim_is_lost(heartbeat):
    heartbeat.start(CLAIM, since=monotonic())
    heartbeat._beat(CLAIM)
    heartbeat.raise_if_lost()


def test_a_commit_of_items_beats_too(heartbeat):
    heartbeat.start(CLAIM, since=monotonic() - 610)
    heartbeat.record_beat(monotonic())
    heartbeat.raise_if_lost()


def test_without_a_claim_there_is_nothing_to_write_for(heartbeat):
    heartbeat.start(CLAIM, since=monotonic())
    heartbeat.pause()
    with pytest.raises(ClaimLostError):
        heartbeat.raise_if_lost()


@pytest.mark.parametrize("texts, line", [
    (("No mount.", "It waits."), "No mount. It waits."), (("expected completed", "It waits."), "expected completed. It waits."),
    (("the server is away (2)", "", "It waits"), "the server is away (2). It waits."),
])
def test_sentences_of_a_log_line_do_not_run_together(texts, line):
    assert join_sentences(*texts) == line


def test_a_database_that_is_away_is_told_in_sentences():
    out, signals = io.StringIO(), ShutdownSignals()
    signals.stopping = True
    with pytest.raises(ShutdownRequested):
        DatabaseRetrier(signals, make_logger(out, {}), SystemdNotifier({})).retry(Database(DatabaseSettings(unix_socket="/nowhere")).run_read, len)
    assert "). Check that MariaDB runs" in out.getvalue() and "try again. Retrying until it answers.\n" in out.getvalue()


@pytest.mark.parametrize("environ, line", [({"JOURNAL_STREAM": "8:1"}, "<4>two\\nwords\n"), ({}, "Z two\\nwords\n")])
def test_a_log_line_carries_a_level_for_the_journal_and_a_time_for_everybody_else(environ, line):
    out = io.StringIO()
    make_logger(out, environ).warning("two\nwords")
    assert out.getvalue().endswith(line) and out.getvalue().count("\n") == 1


@pytest.mark.parametrize("counts, container_failures, status", [
    ({"created": 2, "skipped": 1}, 0, "completed"), ({}, 0, "completed"), ({"created": 1, "failed": 1}, 0, "partial"),
    ({"failed": 2}, 0, "failed"), ({"created": 1}, 1, "partial"), ({"failed": 1}, 1, "failed"), ({}, 1, "partial"),
])
def test_a_batch_ends_by_what_became_of_its_items(counts, container_failures, status):
    assert result_of_counts(counts, container_failures).status == status


@pytest.mark.parametrize("threshold, seconds", [(900, 30), (30, 10), (1, 1)])
def test_the_server_ends_idle_transactions_long_before_their_worker_is_presumed_dead(threshold, seconds):
    assert idle_seconds(threshold) == seconds
