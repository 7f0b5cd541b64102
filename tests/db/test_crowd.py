"""Claims among several: on one server the first job in line, after collisions any of the first few, and never one held."""

import pytest
import worker_helpers
from gpupanel.database import Database
from gpupanel.errors import DatabaseConflict
from gpupanel.work import claims, crowd
from gpupanel.work.claims import Next
from gpupanel.work.crowd import Crowd
from worker_helpers import HOST


def take(db, crowd: Crowd, number: int) -> int:
    """Claim the next job; returns its id."""
    claim = db.transact(crowd.claim, Next(f"{number:032d}", HOST))
    crowd.went_through()
    return claim.job_id


@pytest.fixture
def collided(worker_db):
    """Somebody whose first try came to nothing."""
    crowd = Crowd()
    with pytest.raises(DatabaseConflict), worker_db.transaction() as tx:
        crowd.claim(tx, Next("x" * 32, HOST))
        raise DatabaseConflict
    return crowd


def test_claims_that_do_not_collide_are_made_in_line(admin_db, worker_db):
    jobs, crowd = worker_helpers.enqueue(admin_db, 5), Crowd()
    assert [take(worker_db, crowd, number) for number in range(5)] == jobs


def test_after_a_collision_every_job_of_the_best_priority_still_comes_before_the_others(admin_db, worker_db, collided):
    late, soon = worker_helpers.enqueue(admin_db, 5), worker_helpers.enqueue(admin_db, 20, priority=1)
    taken = [take(worker_db, collided, number) for number in range(25)]
    assert (sorted(taken[:20]), sorted(taken[20:])) == (soon, late)


def test_a_crowded_claim_passes_over_what_is_held_or_put_aside(admin_db, worker_db):
    aside, free, held = worker_helpers.enqueue(admin_db, 3)
    other = Database(worker_db.settings)
    with other.transaction() as tx:
        tx.one("queue.lock", job_id=held)
        claim = worker_db.transact(claims.claim, Next("a" * 32, HOST, [aside]), crowd.AMONG)
        assert claim.job_id == free
        assert worker_db.transact(claims.claim, Next("b" * 32, HOST, [aside]), crowd.AMONG) is None
    other.close()


def test_when_no_claim_collides_any_more_they_are_made_in_line_again(admin_db, worker_db, collided):
    jobs = worker_helpers.enqueue(admin_db, crowd.WARY + 20)
    for number in range(crowd.WARY):
        jobs.remove(take(worker_db, collided, number))
    assert [take(worker_db, collided, crowd.WARY + number) for number in range(20)] == jobs


def test_the_last_job_that_was_chosen_among_several_is_none_to_look_past(admin_db, worker_db, collided):
    worker_helpers.enqueue(admin_db, crowd.WARY + 1)
    assert [(take(worker_db, collided, number), collided.wary)[1] for number in range(crowd.WARY + 1)] == [True] * crowd.WARY + [False]
