"""A short load test with chaos; `make load` runs ten minutes with a hundred times as much."""

from math import inf

from load.deployment import Size
from load.run import run

# How long a row is waited for depends on what else the machine does; `make load` holds it against a second.
SHORT = Size(bundles=40, items=600, sentinels=600, operators=10, workers=2, minutes=0.12, lock_seconds=inf)


def test_nothing_is_lost_and_no_request_fails_while_workers_and_panel_are_killed_under_load(tmp_path):
    assert run(tmp_path, SHORT) == []
