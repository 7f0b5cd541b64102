"""Authentication and roles: REMOTE_USER and two lists of names."""

from ipaddress import ip_network

import pytest
from gpupanel import job_queue
from gpupanel.web import csrf
from gpupanel.web.signing_key import SigningKey
from page_helpers import BATCHES, JSON, TASKS, detail, text
from webtest import TestApp

PROXIES = (ip_network("10.0.0.0/8"),)
UNKNOWN = "00000000-0000-4000-8000-000000000000"


@pytest.mark.parametrize("url", [BATCHES, TASKS, detail(UNKNOWN), "/", "/admin/nothing", f"{BATCHES}?tab=nonsense"])
def test_without_a_user_everything_is_401(nobody, url):
    assert nobody.get(url, status=401).html.find("nav") is None
    assert nobody.get(url, headers=JSON, status=401).json["error"]["status"] == 401
    nobody.post(url, {"do": "scan"}, status=401)


@pytest.mark.parametrize("header", ["X-Remote-User", "Remote-User", "X-Forwarded-User"])
def test_a_header_from_anywhere_signs_nobody_in(nobody, header):
    nobody.get(BATCHES, headers={header: "admin"}, status=401)


@pytest.mark.parametrize("address, status", [
    ("10.1.2.3", 200), ("::ffff:10.1.2.3", 200), ("192.168.0.1", 401), ("", 401),
])
def test_a_header_from_a_trusted_proxy_signs_in(configured, address, status):
    browser = configured(environ={"REMOTE_ADDR": address}, trusted_proxies=PROXIES)
    browser.get(BATCHES, headers={"X-Remote-User": "admin"}, status=status)


def test_the_web_servers_user_counts_more_than_a_header(configured):
    browser = configured(environ={"REMOTE_ADDR": "10.1.2.3", "REMOTE_USER": "viewer"}, trusted_proxies=PROXIES)
    assert browser.get(BATCHES, headers={"X-Remote-User": "admin"} | JSON).json["user"]["name"] == "viewer"


def test_a_stranger_is_403(panel):
    page = TestApp(panel, extra_environ={"REMOTE_USER": "stranger"}).get(BATCHES, status=403)
    assert "stranger is signed in, but has no access to this panel" in text(page.html.main)


@pytest.mark.parametrize("name", ["a\tb", "a\x00b", "x" * 256, " "])
def test_a_name_that_is_none_signs_nobody_in(configured, name):
    configured(environ={"REMOTE_USER": name}, operators=frozenset("*")).get(BATCHES, status=401)


@pytest.mark.parametrize("operators, viewers, operator", [("*", "", True), ("", "*", False), ("anna", "*", True)])
def test_a_star_stands_for_everyone_who_is_signed_in(configured, operators, viewers, operator):
    lists = {"operators": frozenset(operators.split()), "viewers": frozenset(viewers.split())}
    browser = configured(environ={"REMOTE_USER": "anna"}, **lists)
    assert browser.get(BATCHES, headers=JSON).json["user"] == {"name": "anna", "operator": operator}


def test_a_viewer_sees_every_page_and_no_button(viewer, scan_bundle):
    sync_id = scan_bundle()
    for url in (BATCHES, TASKS, detail(sync_id)):
        page = viewer.get(url).html
        assert page.find("form", {"method": "post"}) is None and page.find("input", {"type": "checkbox"}) is None
    assert viewer.get(BATCHES, headers=JSON).json["csrf_token"] is None


@pytest.mark.parametrize("do", ["scan", "queue", "preflight", "queue_selected", "cancel"])
def test_a_viewer_who_acts_is_403_and_nothing_is_done(viewer, scan_bundle, panel_db, settings, do):
    token = csrf.make_token(SigningKey(settings.panel.secret_file), "viewer")
    fields = {"do": do, "sync_id": scan_bundle(), "job_id": 1, "csrf_token": token}
    assert "You have view-only access" in text(viewer.post(BATCHES, fields, status=403).html.main)
    assert panel_db.run_read(job_queue.list_queued) == []


@pytest.mark.parametrize("environ, status", [
    ({}, 401), ({"REMOTE_ADDR": "127.0.0.1"}, 200), ({"REMOTE_ADDR": "::1"}, 200), ({"REMOTE_ADDR": "10.0.0.7"}, 401),
    ({"REMOTE_ADDR": "127.0.0.1", "HTTP_HOST": "[::1]:8080"}, 200),
    ({"REMOTE_ADDR": "127.0.0.1", "HTTP_HOST": "elsewhere.example"}, 401),
    ({"REMOTE_ADDR": "127.0.0.1", "HTTP_X_FORWARDED_FOR": "203.0.113.9"}, 401),
])
def test_without_signing_in_only_the_machine_itself_is_let_in(configured, environ, status):
    answer = configured(environ=environ, auth="none").get(BATCHES, headers=JSON, status=status)
    if status == 200:
        assert answer.json["user"] == {"name": "local", "operator": True}
