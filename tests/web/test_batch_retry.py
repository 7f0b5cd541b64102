"""The button that retries failed items, and the number it reports."""

import pytest
import worker_helpers
from page_helpers import detail, text


@pytest.fixture
def partial(panel_db, mount, bundles, worker_conf):
    """A partial batch: one of four photos had no source, which came later."""
    sync_id = worker_helpers.partial_batch(panel_db, mount, bundles, worker_conf, 4)
    worker_helpers.mend(panel_db, mount, sync_id)
    return sync_id


def press(page):
    forms = page.forms
    return next(forms[key] for key in forms if 'id="retry"' in forms[key].text).submit("do", value="retry").follow()


def test_one_button_queues_what_failed_and_says_how_many_that_are(admin, partial, worker_conf):
    page = press(admin.get(detail(partial)))
    assert text(page.html.find(class_="notice")).startswith("Retry of 1 item queued as job")
    assert text(page.html.find(class_="state")).startswith("Status: queued")
    worker_helpers.drain(worker_conf)
    page = admin.get(detail(partial))
    assert text(page.html.find(class_="state")).startswith("Status: completed")
    assert not page.html.find(id="retry")


def test_a_bulk_retry_does_the_same(send, partial, panel_db):
    send(do="retry_selected", sync_id=partial)
    (job,) = panel_db.execute("SELECT items_total FROM import_job WHERE state = 'queued'")
    assert job["items_total"] == 1


@pytest.mark.parametrize("counts, offered", [
    ({"failed": 1}, True), ({"created": 3, "will_create": 1}, True),
    ({"will_create": 4}, False), ({"created": 4}, True),
])
def test_it_is_offered_where_something_is_left_to_retry(counts, offered):
    from gpupanel.web.pages import batch

    assert batch._is_retryable({"status": "partial"}, counts) == offered
    assert not batch._is_retryable({"status": "completed"}, counts)
