"""Reads of status bar, counts and chart in a large ledger."""

import installation
import pytest
from gpupanel import job_queue
from gpupanel.web import status_bar
from gpupanel.web.pages import throughput_chart
from rows_read import examined, temporary_tables

FILL = [
    """INSERT INTO ingest_batch (id, sync_id, status, discovered_at)
       SELECT seq, LPAD(seq, 36, '0'), 'completed', NOW(6) FROM seq_1_to_20000""",
    # 30 queued and 5 running jobs; the others have ended, 50 of each state within the last day.
    """INSERT INTO import_job (id, batch_id, state, requested_by, items_done, claim_token, claimed_at, heartbeat_at,
                               finished_at)
       SELECT 20001 - seq, 20001 - seq,
              IF(seq <= 30, 'queued', IF(seq <= 35, 'running', ELT(1 + seq % 3, 'completed', 'failed', 'canceled'))),
              'x', 10, IF(seq <= 30, NULL, LPAD(seq, 32, '0')), IF(seq <= 30, NULL, NOW(6) - INTERVAL seq * 8 MINUTE),
              IF(seq <= 30, NULL, NOW(6)),
              IF(seq <= 35, NULL, NOW(6) - INTERVAL seq * 8 - 4 MINUTE) FROM seq_1_to_20000""",
    """INSERT INTO ingest_event (batch_id, event_type, payload)
       SELECT 1 + seq % 20000, ELT(1 + seq DIV 20000, 'scan', 'job_claimed', 'job_progress'),
              JSON_OBJECT('job_id', 1 + seq % 20000, 'items_done', 1) FROM seq_0_to_59999""",
]


@pytest.fixture(scope="module")
def filled(server):
    with installation.filled(server, FILL) as db:
        yield db


def test_the_status_line_reads_what_it_counts(filled):
    summary, read = examined(filled, status_bar.load)
    assert (summary.queued, summary.running) == (30, 5)
    newest_events = 50
    assert read < 2 * (summary.queued + summary.running + summary.failed + newest_events) + 60


def test_each_state_is_counted_to_the_bound_and_no_entry_beyond_it_is_read(filled):
    counts, read = examined(filled, job_queue.count_up_to, limit=101)
    assert counts == {"queued": 30, "running": 5, "completed": 101, "failed": 101, "canceled": 101, "held": 0}
    assert read < 2 * (30 + 5) + 3 * 101 + 20


@pytest.mark.parametrize("limit", [30, 31, 32, 6_655, 6_656])
def test_a_count_is_exact_below_its_limit_and_ends_at_it(filled, limit, monkeypatch):
    counts, census = filled.run_read(job_queue.count_up_to, limit=limit), filled.run_read(job_queue.count_all)
    assert counts == {state: min(jobs, limit) for state, jobs in census.items()}
    monkeypatch.setitem(status_bar.PARAMETERS, "bound", limit - 1)
    assert filled.run_read(status_bar.load).queued == min(census["queued"], limit)


def summary(tx):
    return tx.fetch_one("job_queue.summary", hours=24, bound=100, perl_offset=0)


@pytest.mark.parametrize("count", [job_queue.count_up_to, summary])
def test_counting_makes_no_temporary_table(filled, count):
    assert temporary_tables(filled, count) == 0


def test_the_chart_reads_the_jobs_of_its_day(filled):
    _, read = examined(filled, throughput_chart.load_chart)
    assert read < 5 * 24 * 60 / 8


def test_the_chart_stops_at_its_bound_and_says_so(filled, monkeypatch):
    monkeypatch.setattr(throughput_chart, "MOST_JOBS", 20)
    drawn, read = examined(filled, throughput_chart.load_chart)
    assert (drawn["total"], drawn["since"] is None) == (200, False)
    assert read < 120
