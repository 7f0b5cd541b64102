"""Only the clock of the database counts (docs/CONTRACT.md, 3), not that of a worker."""

import pytest
from campaign.environment import open_environment
from campaign import scenario, snapshot

HOURS = 3600


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    with open_environment(tmp_path_factory.mktemp("clocks")) as opened:
        yield opened


@pytest.mark.parametrize("seconds", [-10 * HOURS, 10 * HOURS], ids=["slow", "fast"])
@pytest.mark.parametrize("stage", ["import", "reset"])
def test_a_worker_whose_clock_is_hours_off_does_what_any_other_would(environment, stage, seconds):
    stage = scenario.STAGES[stage]
    undisturbed = environment.reference(stage)
    environment.restore(stage.before)
    ended = environment.start(stage, environment.direct[stage.program], FAULT_CLOCK=str(seconds)).wait()
    assert not environment.unfinished(), ended.output
    assert snapshot.differences(undisturbed, snapshot.take_snapshot(environment.admin)) == []
    assert snapshot.broken_invariants(environment.admin) == []
    assert not environment.admin.execute("SELECT 1 FROM import_job WHERE finished_at NOT BETWEEN queued_at AND NOW(6)")
    assert told_by_its_own_clock(ended.output, environment, seconds)


def told_by_its_own_clock(output: str, environment, seconds: int) -> bool:
    """Whether the worker really had another time: the lines of its log begin with it."""
    (row,) = environment.admin.execute(
        "SELECT TIMESTAMPDIFF(SECOND, %(told)s, UTC_TIMESTAMP()) AS behind", told=output[:19]
    )
    return abs(row["behind"] + seconds) < 600
