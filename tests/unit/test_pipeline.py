"""The result of an import, computed from the results of its items."""

import pytest
from gpupanel.worker.pipeline import result_of_counts


@pytest.mark.parametrize("counts, container_failures, status", [
    ({"created": 2, "skipped": 1}, 0, "completed"), ({}, 0, "completed"), ({"created": 1, "failed": 1}, 0, "partial"),
    ({"failed": 2}, 0, "failed"), ({"created": 1}, 1, "partial"), ({"failed": 1}, 1, "failed"), ({}, 1, "partial"),
])
def test_the_status_of_a_batch_follows_from_the_results_of_its_items(counts, container_failures, status):
    assert result_of_counts(counts, container_failures).status == status
