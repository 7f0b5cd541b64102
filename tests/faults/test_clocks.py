"""Only the database's clock counts (docs/CONTRACT.md, 3): a worker whose own is hours off imports as any other."""

import pytest
from campaign import environment as lanes
from campaign import scenario, snapshot

HOURS = 3600


@pytest.fixture(scope="module")
def lane(tmp_path_factory):
    with lanes.open_environment(tmp_path_factory.mktemp("clocks")) as opened:
        yield opened


@pytest.mark.parametrize("seconds", [-10 * HOURS, 10 * HOURS], ids=["slow", "fast"])
@pytest.mark.parametrize("stage", ["import", "reset"])
def test_a_worker_whose_clock_is_hours_off_does_what_any_other_would(lane, stage, seconds):
    stage = scenario.STAGES[stage]
    undisturbed = lane.reference(stage)
    lane.restore(stage.before)
    ended = lane.start(stage, lane.direct[stage.program], FAULT_CLOCK=str(seconds)).wait()
    assert not lane.unfinished(), ended.output
    assert snapshot.differences(undisturbed, snapshot.take_snapshot(lane.admin)) == []
    assert snapshot.broken_invariants(lane.admin) == []
    assert not lane.admin.execute("SELECT 1 FROM import_job WHERE finished_at NOT BETWEEN queued_at AND NOW(6)")
    assert told_by_its_own_clock(ended.output, lane, seconds)


def told_by_its_own_clock(output: str, lane, seconds: int) -> bool:
    """Whether the worker really had another time: the lines of its log begin with it."""
    (row,) = lane.admin.execute("SELECT TIMESTAMPDIFF(SECOND, %(told)s, UTC_TIMESTAMP()) AS behind", told=output[:19])
    return abs(row["behind"] + seconds) < 600
