"""A short soak; `make soak` runs ten minutes with more of everything. What is flat, and what rises."""

import pytest
from soak.run import Size, run
from soak.slices import Slices, trend

SHORT = Size(
    seconds=12, slices=4, readers=8, operators=2, browsers=1, backlog=300, delay_ms=5, kill_seconds=4
)
FEW_ITEMS = {1: 4, 4: 3, 40: 1}


@pytest.mark.long
def test_nothing_is_lost_while_a_slow_mount_is_imported_sealed_and_archived_and_workers_are_killed(tmp_path):
    problems, slices = run(tmp_path, SHORT, FEW_ITEMS)
    assert problems == []
    assert {len(values) for values in slices.rows.values()} == {SHORT.slices}
    assert all(value > 0 for name, values in slices.rows.items() if "memory" in name for value in values)
    head, *_, rule = slices.lines()
    assert head.startswith("| measure | 1 | 2 | 3 | 4 |") and "least squares" in rule
    assert len([line for line in slices.lines() if line.startswith("| ")]) == 1 + len(slices.rows)


@pytest.mark.parametrize("values, change, word", [
    ([100, 102, 99, 101, 100], 0.0, "flat"),
    ([100, 110, 120, 130, 140], 1 / 3, "rises"),
    ([140, 130, 120, 110, 100], -1 / 3, "falls"),
    ([100, 30, 180, 20, 170], 0.52, "uncertain"),
    ([0, 0, 0], 0.0, "flat"),
])
def test_a_trend_is_a_change_beyond_the_noise(values, change, word):
    found = trend(values)
    assert found.word == word and found.change == pytest.approx(change, abs=0.01)


def test_a_soak_fails_by_a_rate_that_falls_or_stops_and_by_any_other_measure_that_rises():
    slices = Slices(None, None)
    slices.rows |= {
        "assets a minute": [0, 50, 40, 30], "jobs a minute": [9, 5, 0, 5], "bundles a minute": [0, 3, 4, 5],
        "memory": [1, 10, 20, 30], "queue": [1, 30, 20, 10], "time": [99, 10, 10, 10],
    }
    assert slices.worse() == [
        "jobs a minute: none in a slice", "assets a minute: falls by 50%", "memory: rises by 100%",
    ]
