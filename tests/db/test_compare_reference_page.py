"""Our panel reproduces the reference page from the same ledger rows (docs/CONTRACT.md, 12)."""

import base64
import json
import threading
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pytest
from constants import TREE
from gpupanel.errors import PanelError
from gpupanel.migration import page_diff, page_fetch
from gpupanel.migration.findings import Findings
from gpupanel.web.wsgi import application
from webtest import TestApp

REFERENCE = (TREE / "tests" / "reference" / "perl-batch-page.txt").read_text()
SYNC_ID = "6df12fb8-3d5b-42ca-bcec-3999624acc82"
SHA256 = "6aeaaef68c502920540c647d688cced68bbe2f9f1ee7d5de57ae4c04535b6f16"
AT = "2026-04-30 00:32:19"
HASHES = ["3016f8bdfa702d3d", "23078a2b9d404c71", "90e59a6160fd46dd", "580f9fa0b0bc440f"]
SUMMARY = {
    "created_at": "2026-04-12T20:44:14Z", "completed_at": "2026-04-12T20:47:14Z", "verification.passed": True,
    "verification.total_files": 528, "prior_sync_id": None,
}
# The texts that the page shows cut, whole; the others are taken from the page itself.
WHOLE = {
    "scan": (
        f'{{"source": "filesystem", "manifest_sha256": "{SHA256}", "sync_type": "asset", "action": "update",'
        ' "item_count": "4", "total_bytes": "181162647", "source_host": "flux-1"}'
    ),
    "preflight_started": (
        '{"action":"update","container_count":1,"item_count":4,"item_type_counts":{"cover":2,"photo":2},'
        f'"manifest_sha256":"{SHA256}","phase":"preflight","prior_sync_id":null,"sync_id":"{SYNC_ID}",'
        '"sync_type":"asset","total_bytes":181162647}'
    ),
}


@pytest.fixture
def ledger(admin_db):
    """The rows behind the reference page."""
    add = admin_db.execute
    add(
        "INSERT INTO ingest_batch (id, sync_id, sync_type, action, item_count, total_bytes, source_host, status,"
        " manifest_sha256, manifest_summary, container_count, started_at) VALUES (7, %(sync_id)s, 'asset', 'update', 4,"
        " 181162647, 'flux-1', 'preflight_passed', %(sha256)s, %(summary)s, 1, %(at)s)",
        sync_id=SYNC_ID, sha256=SHA256, summary=json.dumps(SUMMARY), at=AT,
    )
    add(
        "INSERT INTO import_job (id, batch_id, state, requested_by, queued_at, items_total, finished_at, last_error)"
        " VALUES (3, 7, 'canceled', 'admin', %(at)s, 4, %(at)s, 'canceled by operator')",
        at=AT,
    )
    for n, digest in enumerate(HASHES):
        add(
            "INSERT INTO ingest_batch_item (batch_id, position, asset_type, asset_hash, decision, planned, updated_at,"
            " reason) VALUES (7, %(n)s, %(kind)s, %(hash)s, 'will_create', 'will_create', %(at)s,"
            " 'only this panel says why')",
            n=n, kind=("photo", "cover")[n % 2], hash=digest.ljust(64, "0"), at=AT,
        )
    [(_, (_, *events))] = [table for table in page_diff.parse_page(REFERENCE).tables if table[0] == "Recent events"]
    for event_type, payload, at in reversed(events):
        add(
            "INSERT INTO ingest_event (batch_id, event_type, payload, created_at)"
            " VALUES (7, %(event_type)s, %(payload)s, %(at)s)",
            event_type=event_type, payload=WHOLE.get(event_type, payload), at=at,
        )


ADDRESS = f"/admin/import-media.cgi?action=detail&sync_id={SYNC_ID}"


@pytest.fixture
def html(ledger, settings):
    return TestApp(application(settings), extra_environ={"REMOTE_USER": "admin"}).get(ADDRESS).text


def differences(html):
    findings = Findings()
    page_diff.compare_pages(page_diff.parse_page(REFERENCE), page_diff.parse_page(html), findings, exact=True)
    return findings


def test_every_heading_label_column_order_format_truncation_and_payload_is_that_of_the_reference(html):
    findings = differences(html)
    assert [(group.title, group.samples[0]) for group in findings.groups] == []
    assert {tally.table: tally.equal for tally in findings.tallies} == {
        "headings": 16, "facts": 16, "order of facts": 16, "Job history 1": 9, "Items 4": 28, "Recent events": 15,
        "sentences": 0,
    }


def test_the_reference_is_not_reproduced_by_just_any_page(html):
    assert len(differences(html.replace("172.8 MB", "172.7 MB")).groups) == 1
    assert differences(html.replace("preflight_started", "preflight_begun")).count == 1


def test_a_running_panel_is_asked_with_credentials_that_only_its_host_gets(ledger, settings, tmp_path):
    inner, asked = application(settings), []

    def guarded(environ, start_response):
        given = environ.get("HTTP_AUTHORIZATION", "")
        asked.append(given)
        if given != "Basic " + base64.b64encode(b"admin:open sesame").decode():
            challenge = [("WWW-Authenticate", 'Basic realm="panel"'), ("Content-Type", "text/plain")]
            start_response("401 Unauthorized", challenge)
            return [b""]
        return inner(environ | {"REMOTE_USER": "admin"}, start_response)

    class Quiet(WSGIRequestHandler):
        def log_message(self, *args):
            pass

    (tmp_path / "credentials").write_text("admin:open sesame\n")
    with make_server("127.0.0.1", 0, guarded, handler_class=Quiet) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            url = f"http://127.0.0.1:{server.server_port}{ADDRESS}"
            assert differences(page_fetch.fetch_page(url, tmp_path / "credentials")).equal
            with pytest.raises(PanelError, match="401"):
                page_fetch.fetch_page(url)
        finally:
            server.shutdown()
            thread.join()
    assert asked[0] == "" and asked[1]
