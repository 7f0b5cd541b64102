"""Heartbeats: when a worker gives up its claim, and when the server ends idle transactions."""

from time import monotonic

import pytest
from gpupanel.config import DatabaseSettings
from gpupanel.db import Database
from gpupanel.errors import ClaimLostError
from gpupanel.worker.claims import Claim
from gpupanel.worker.heartbeat import Heartbeat
from gpupanel.worker.worker_context import idle_seconds
from gpupanel.worker.worker_slot import Process, WorkerSlot

CLAIM = Claim(1, 1, "s", "t", "h:1", 1, 0, 1)


@pytest.fixture
def heartbeat():
    """A heartbeat whose database never answers."""
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


@pytest.mark.parametrize("threshold, seconds", [(900, 30), (30, 10), (1, 1)])
def test_the_server_ends_idle_transactions_long_before_their_worker_is_presumed_dead(threshold, seconds):
    assert idle_seconds(threshold) == seconds
