"""The result of an import, computed from the results of its items."""

import pytest
from gpupanel.worker.pipeline import result_of_counts


WHOLE, LACKING = {"created": 3}, {"created": 2, "failed": 1}


@pytest.mark.parametrize("counts, containers, status", [
    ({"created": 2, "skipped": 1}, {}, "completed"), ({}, {}, "completed"), ({}, WHOLE, "completed"),
    ({"created": 1, "failed": 1}, {}, "partial"), ({"failed": 2}, {}, "failed"), ({"failed": 2}, WHOLE, "failed"),
    ({"created": 1}, LACKING, "partial"), ({"created": 1}, {"failed": 1}, "partial"),
    ({"failed": 1}, {"failed": 1}, "failed"), ({}, LACKING, "partial"), ({}, {"failed": 2}, "failed"),
])
def test_the_status_of_a_batch_follows_from_the_results_of_its_items_and_containers(counts, containers, status):
    assert result_of_counts(counts, containers).status == status
