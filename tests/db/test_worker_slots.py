"""Workers beat in slots, idle too; a worker that stops beating is late after 45 s, everywhere."""

import signal
import threading

import pytest
import worker_helpers
from gpupanel import workers
from gpupanel.db import Database
from gpupanel.worker.worker_slot import Process, WorkerSlot, take
from malloc_arenas import thread_arenas


@pytest.fixture
def start(admin_db):
    """Starts workers; none outlives its test."""
    programs = worker_helpers.Programs()
    yield programs
    programs.end()


def taken(db, boot: str, wanted: int | None = None, host: str = "h") -> int:
    return db.run_transaction(take, Process(host, 1, "1", wanted), boot)


def beat(db, slot: WorkerSlot) -> int:
    slot.slot = db.run_transaction(slot.beat)
    return slot.slot


def test_each_worker_of_a_host_takes_the_lowest_free_slot(worker_db, admin_db):
    assert [taken(worker_db, boot) for boot in "abc"] == [1, 2, 3]
    assert taken(worker_db, "d", host="other") == 1
    admin_db.execute("UPDATE import_worker SET ended_at = NOW(6) WHERE boot = 'b'")
    assert taken(worker_db, "e") == 2


@pytest.mark.parametrize("seconds, slot", [(44, 2), (46, 1)])
def test_the_slot_of_a_worker_that_was_not_seen_for_three_heartbeats_is_free(worker_db, admin_db, seconds, slot):
    taken(worker_db, "a")
    admin_db.execute("UPDATE import_worker SET seen_at = NOW(6) - INTERVAL %(s)s SECOND", s=seconds)
    assert taken(worker_db, "b") == slot


def test_the_instance_of_a_unit_takes_its_own_slot_if_that_is_free(worker_db):
    assert taken(worker_db, "a", wanted=3) == 3
    assert taken(worker_db, "b", wanted=3) == 4
    assert taken(worker_db, "c", wanted=1) == 1


def test_workers_that_start_at_once_get_a_slot_each(worker_db, admin_db):
    ready, slots = threading.Barrier(6), []

    def run(number: int) -> None:
        db = Database(worker_db.settings)
        ready.wait()
        slots.append(taken(db, str(number)))
        db.close()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(slots) == [1, 2, 3, 4, 5, 6]


def test_a_worker_whose_slot_was_taken_gets_another_one(worker_db, admin_db):
    slept, other = WorkerSlot(Process("h", 1, "1")), WorkerSlot(Process("h", 2, "1"))
    beat(worker_db, slept)
    admin_db.execute("UPDATE import_worker SET seen_at = NOW(6) - INTERVAL 1 MINUTE")
    assert beat(worker_db, other) == 1
    assert beat(worker_db, slept) == 2


def test_a_beat_reports_what_the_worker_does(worker_db):
    slot = WorkerSlot(Process("h", 7, "1.2"))
    slot.report("importing", 5)
    slot.report_mount(True)
    beat(worker_db, slot)
    (row,) = worker_db.run_read(workers.alive)
    assert (row["state"], row["job_id"], row["mount_ok"], row["version"], row["pid"]) == ("importing", 5, 1, "1.2", 7)


def test_an_idle_worker_beats_and_a_clean_end_is_recorded(bundles, worker_conf, worker_db, start):
    bundles.bundle("one", bundles.assets("one", 1))
    worker = start(worker_conf)
    worker_helpers.wait_until(lambda: worker_db.run_read(workers.presence).alive == 1)
    worker.send(signal.SIGTERM)
    assert worker.ends() == 0
    assert worker_db.run_read(workers.presence).alive == 0
    (row,) = worker_db.run_read(workers.latest)
    assert row["ended_at"] and workers.state_of(row) == "ended"


def test_the_threads_of_a_worker_share_one_arena_of_memory(bundles, worker_conf, worker_db, start):
    """docs/decisions/0225-one-malloc-arena.md"""
    bundles.bundle("one", bundles.assets("one", 1))
    worker = start(worker_conf)
    worker_helpers.wait_until(lambda: worker_db.run_read(workers.presence).alive == 1)
    (row,) = worker_db.run_read(workers.alive)
    assert thread_arenas(row["pid"]) == 0
    worker.send(signal.SIGTERM)
    assert worker.ends() == 0


def test_a_killed_worker_is_late_after_45_seconds_and_alive_until_then(
    bundles, worker_conf, worker_db, admin_db, start
):
    bundles.bundle("one", bundles.assets("one", 1))
    worker = start(worker_conf)
    worker_helpers.wait_until(lambda: worker_db.run_read(workers.presence).alive == 1)
    worker.end()
    (row,) = worker_db.run_read(workers.latest)
    assert row["ended_at"] is None
    for seconds, alive, told in ((44, 1, {"idle", "blocked", "paused"}), (46, 0, {"late"})):
        admin_db.execute("UPDATE import_worker SET seen_at = NOW(6) - INTERVAL %(s)s SECOND", s=seconds)
        assert worker_db.run_read(workers.presence).alive == alive
        assert workers.state_of(worker_db.run_read(workers.latest)[0]) in told


def test_a_running_perl_job_counts_as_a_worker_by_its_heartbeat(worker_db, admin_db):
    worker_helpers.enqueue(admin_db, 1)
    running = (
        "UPDATE import_job SET state = 'running', worker = 'perl:9', heartbeat_at = NOW(6) - INTERVAL %(s)s SECOND"
    )
    for seconds, alive in ((40, 1), (50, 0)):
        admin_db.execute(running, s=seconds)
        assert worker_db.run_read(workers.presence).alive == alive
    admin_db.execute("INSERT INTO import_worker (host, slot, pid, boot) VALUES ('perl', 1, 9, 'x')")
    admin_db.execute(running, s=1)
    assert worker_db.run_read(workers.presence).alive == 1
