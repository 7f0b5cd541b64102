"""Fuzzing: no request and no manifest causes an internal error.

Each test run uses the same examples; `make fuzz` generates others.
"""

import json
import os
from urllib.parse import quote_from_bytes, urlencode

import pytest
from gpupanel import job_queue, services
from gpupanel.web import csrf, flash
from gpupanel.web.form_actions import FORM_ACTIONS
from gpupanel.web.signing_key import SigningKey
from hypothesis import HealthCheck, given
from hypothesis import settings as how
from hypothesis import strategies as st
from page_helpers import BATCHES, TASKS, detail
from raw_requests import ask, assert_sound, form

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", 0))
SYNC_ID = "00000000-0000-4000-8000-000000000001"


def fuzzed(examples):
    """Run this many fixed examples, or FUZZ_EXAMPLES random ones."""
    return how(
        max_examples=EXAMPLES or examples, derandomize=not EXAMPLES, database=None, deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
    )


# ---------------------------------------------------------------------------------------------- requests

EVIL = [
    "", "\0", "' OR 1=1 --", "%s%n%(x)s", "{{7*7}}", "<script>", "..", "../../etc/passwd", "//elsewhere.example",
    "x\r\nSet-Cookie: a=b", "9" * 5000, "-1", "1e9", "NaN", "\x80\xff", "\u0661".encode().decode("latin-1"), "a" * 9000,
    "http://[", "[::1", "bytes=9999999-", "bytes=-0", "q=nan;;,,", SYNC_ID, "detail", "queue", "failed", "0", "1", "on",
]
TEXT = st.one_of(st.sampled_from(EVIL), st.text(st.characters(max_codepoint=255), max_size=20))
METHODS = st.sampled_from(["GET"] * 4 + ["POST"] * 4 + ["HEAD", "PUT", "OPTIONS", "TRACE", "get", "PROXY", "", "\0"])
KNOWN = st.sampled_from([BATCHES, TASKS, "/admin/static/panel.css"])
PATHS = st.one_of(KNOWN, st.builds(str.__add__, st.sampled_from(["", "/", "/admin", BATCHES, "/admin/static/"]), TEXT))
NAMES = st.sampled_from(["tab", "action", "sync_id", "status", "before", "start", "do", "job_id", "csrf_token", "x"])
VALUES = st.one_of(TEXT.map(lambda text: text.encode("latin-1")), st.binary(max_size=8)).map(quote_from_bytes)
PAIRS = st.lists(st.tuples(NAMES, VALUES).map("=".join), max_size=4).map("&".join)
QUERIES = st.one_of(PAIRS, TEXT)
HEADERS = st.dictionaries(
    st.sampled_from([
        "SCRIPT_NAME", "REMOTE_USER", "REMOTE_ADDR", "CONTENT_TYPE", "CONTENT_LENGTH", "HTTP_HOST", "HTTP_ORIGIN",
        "HTTP_SEC_FETCH_SITE", "HTTP_COOKIE", "HTTP_ACCEPT", "HTTP_RANGE", "HTTP_IF_MODIFIED_SINCE",
        "HTTP_IF_NONE_MATCH", "HTTP_TRANSFER_ENCODING", "HTTP_X_REFRESH", "HTTP_X_REMOTE_USER",
        "HTTP_X_FORWARDED_PROTO", "HTTP_X_FORWARDED_PREFIX", "HTTP_X_HTTP_METHOD_OVERRIDE", "HTTP_REFERER",
    ]),
    st.one_of(TEXT, TEXT.map((flash.COOKIE + "=").__add__), st.just("application/json")), max_size=4,
)


@fuzzed(300)
@given(METHODS, PATHS, QUERIES, HEADERS, st.one_of(PAIRS.map(str.encode), st.binary(max_size=40)))
def test_any_request_gets_an_answer_of_the_panels_own(panel, method, path, query, headers, body):
    sent = form(body, REQUEST_METHOD=method, PATH_INFO=path, QUERY_STRING=query)
    assert_sound(ask(panel, **sent | headers))


@fuzzed(40)
@given(st.sampled_from(sorted(FORM_ACTIONS)), st.lists(st.tuples(NAMES, TEXT), max_size=3), QUERIES)
def test_any_form_with_its_token_is_done_or_refused(panel, settings, scan_bundle, do, fields, query):
    token = csrf.make_token(SigningKey(settings.panel.secret_file), "admin")
    body = urlencode([*fields, ("do", do), ("csrf_token", token)]).encode()
    answer = ask(panel, **form(body, QUERY_STRING=query, HTTP_SEC_FETCH_SITE="same-origin"))
    assert_sound(answer)
    assert answer.status in (303, 400, 404, 409)
    assert answer.headers.get("Location", BATCHES).startswith(BATCHES)


# ---------------------------------------------------------------------------------------------- manifests

ODD = [
    "<script>alert(1)</script>", "{{7*7}}", "\u202egnp.exe\u2028", "\0", "\ud800", "\x1b[2J", "' --", "\\", "../x",
    "x" * 300, "\U0001f600" * 255, 10**400, -1, 1.5e308, float("nan"), None, True, [], {}, [[]], "2026-02-31T00:00:00Z",
]
PLACES = [
    ("source_host",), ("created_at",), ("completed_at",), ("prior_sync_id",), ("status",), ("sync_type",), ("action",),
    ("total_bytes",), ("item_count",), ("verification", "passed"), ("verification", "total_files"), ("items",),
    ("items", 0), ("items", 0, "title"), ("items", 0, "path"), ("items", 0, "asset_type"), ("items", 0, "asset_hash"),
    ("items", 0, "cover_hash"), ("items", 0, "mime_type"), ("items", 0, "width"), ("items", 0, "duration_seconds"),
    ("items", 0, "derivatives"), ("items", 0, "derivatives", 0), ("containers",), ("unknown",),
]
LEAVES = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=9), st.sampled_from(ODD))
ANYTHING = st.recursive(
    LEAVES,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
)
CHANGES = st.dictionaries(st.sampled_from(PLACES), st.one_of(st.sampled_from(ODD), ANYTHING), min_size=1, max_size=2)
NOISE = st.tuples(st.integers(0, 10**6), st.binary(min_size=1, max_size=4))


def changed(document, changes):
    """Return the manifest with other values at these places, as bytes."""
    for place, value in changes.items():
        inner = document
        try:
            for key in place[:-1]:
                inner = inner[key]
            inner[place[-1]] = value
        except (TypeError, KeyError, IndexError):
            pass
    return json.dumps(document, ensure_ascii=False).encode("utf-8", "surrogatepass")


def noisy(raw, at, noise):
    """Return the bytes with `noise` in them."""
    at %= len(raw)
    return raw[:at] + noise + raw[at + len(noise):]


def look_at_pages(panel, sync_id):
    """Open every page that shows the batch, as HTML and as JSON."""
    for url in (BATCHES, detail(sync_id), TASKS):
        path, _, query = url.partition("?")
        page = ask(panel, PATH_INFO=path, QUERY_STRING=query)
        assert "<script>" not in page.text
        assert_sound(page)
        assert_sound(ask(panel, PATH_INFO=path, QUERY_STRING=query, HTTP_ACCEPT="application/json"))


@pytest.fixture
def handed_over(bundles, mount, panel_db, admin_db, panel):
    """Scan, preflight and queue a manifest, then check every page."""
    sound = bundles.bundle("sound", bundles.assets("sound", 2), action="update")
    manifest = mount.sync_dir / f"{sound}.json"

    def handed_over(change):
        manifest.write_bytes(change(original))
        services.scan_mount(panel_db, mount, "admin")
        services.preflight_batch(panel_db, mount, sound, "admin")
        (queued,) = services.queue_batches(panel_db, mount, [sound], "admin")
        try:
            look_at_pages(panel, sound)
        finally:
            if queued.job_id is not None:
                panel_db.run_transaction(job_queue.cancel, queued.job_id, "admin")

    original = manifest.read_bytes()
    return handed_over


@fuzzed(25)
@given(CHANGES)
def test_a_manifest_with_anything_in_any_place_harms_neither_scan_nor_preflight_nor_pages(handed_over, changes):
    handed_over(lambda raw: changed(json.loads(raw), changes))


@fuzzed(25)
@given(st.one_of(NOISE, st.binary(max_size=80)))
def test_any_bytes_for_a_manifest_harm_neither_scan_nor_preflight_nor_pages(handed_over, noise):
    handed_over(lambda raw: noise if isinstance(noise, bytes) else noisy(raw, *noise))
