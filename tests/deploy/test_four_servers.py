"""The panel responds alike under each of the four servers of the samples in etc/."""

from urllib.parse import urlencode

import pytest
import webservers
from http_client import ask
from request_script import BATCHES, FORM, JSON, PANEL, REFUSED, SERVER, STATIC, Conversation
from webservers import Site

SERVERS = list(webservers.ALL)
STATIC_FILES = [
    ("the stylesheet", "panel.css", "text/css"),
    ("the script", "panel.js", "text/javascript"),
    ("the icon", "icon.svg", "image/svg+xml"),
]


@pytest.fixture(scope="session")
def answers(site, bundle_ids, emptied):
    """server -> question -> answer; each server starts from the same empty tables."""
    ids_by_name = dict(zip(("first", "second", "empty"), bundle_ids, strict=True))

    def asked(serve):
        emptied()
        with serve(site) as port:
            return Conversation(port, ids_by_name).all()

    return {name: asked(serve) for name, serve in webservers.ALL.items()}


@pytest.mark.parametrize("question", PANEL + STATIC, ids=lambda question: question.name)
def test_status_headers_and_body_are_the_same(answers, question):
    results = {name: given[question.name].comparable for name, given in answers.items()}
    expected = results["apache_cgi"]
    assert expected[0] == question.status
    for name, answer in results.items():
        assert answer == expected, name


@pytest.mark.parametrize("question", SERVER, ids=lambda question: question.name)
def test_the_web_server_refuses_alike(answers, question):
    given = {name: each[question.name] for name, each in answers.items()}
    sign_in = ['Basic realm="Admin panel"'] if question.status == 401 else None
    results = {name: (each.status, each.headers.get("www-authenticate")) for name, each in given.items()}
    assert results == dict.fromkeys(SERVERS, (question.status, sign_in))


@pytest.mark.parametrize("question", REFUSED, ids=lambda question: question.name)
def test_what_is_not_ours_to_serve_is_not_served(answers, question):
    for name, given in answers.items():
        assert given[question.name].status in (400, 403, 404), name


@pytest.mark.parametrize("name", SERVERS)
def test_static_files_come_whole_with_their_type_and_may_be_kept_for_a_week(answers, site, name):
    for question, file, kind in STATIC_FILES:
        answer = answers[name][question]
        assert answer.body == (site.tree / "static" / file).read_bytes()
        assert answer.headers["content-type"] == [kind]
        assert answer.headers["cache-control"] == ["max-age=604800"]


@pytest.mark.parametrize("name", SERVERS)
def test_what_a_visitor_says_of_himself_in_headers_is_not_believed(answers, name):
    claimed = answers[name]["someone else's name in a header"]
    assert claimed.json["user"] == {"name": "viewer", "operator": False}
    proxied = answers[name]["headers of a proxy that is none"]
    assert b"/elsewhere" not in proxied.body
    assert not any("Secure" in cookie for cookie in proxied.headers["set-cookie"])


@pytest.mark.parametrize("name", SERVERS)
def test_an_action_ends_in_a_redirect_and_says_once_what_became_of_it(answers, name):
    sent, outcome = answers[name]["scan"], answers[name]["the scan's outcome"]
    assert sent.headers["location"] == [BATCHES]
    [cookie] = sent.headers["set-cookie"]
    assert cookie.split("; ")[1:] == ["Path=/admin/", "HttpOnly", "SameSite=Strict"]
    assert b"Scan: 3 new bundles" in outcome.body
    assert "Max-Age=0" in outcome.headers["set-cookie"][0]


@pytest.mark.parametrize("name", SERVERS)
def test_the_pages_may_be_in_another_folder(site, emptied, name):
    emptied()
    with webservers.ALL[name](Site(site.tree, site.folder, path="/site/panel")) as port:
        page = ask(port, "GET", "/site/panel/import-tasks.cgi")
        assert page.status == 200 and b'href="/site/panel/import-media.cgi"' in page.body
        assert b'href="/site/panel/static/panel.css?v=' in page.body and b"/admin" not in page.body
        assert ask(port, "GET", "/site/panel/static/panel.css").status == 200
        assert ask(port, "GET", "/admin/import-tasks.cgi").status in (403, 404)


@pytest.mark.parametrize("name", SERVERS)
def test_a_web_server_that_signs_nobody_in_lets_nobody_in(site, name):
    with webservers.ALL[name](Site(site.tree, site.folder, guarded=False)) as port:
        for target in (BATCHES, "/admin/import-tasks.cgi", BATCHES + "/more"):
            answer = ask(port, "GET", target, user=None, X_Remote_User="admin", Remote_User="admin", **JSON)
            assert (answer.status, answer.json["error"]["title"]) == (401, "Unauthorized")
        for form in ("do=scan", "do=scan&more=" + "x" * 1_000_000):  # the second is more than a socket or a pipe holds
            assert ask(port, "POST", BATCHES, form, user=None, Content_Type=FORM).status == 401


@pytest.mark.parametrize("name", SERVERS)
def test_over_https_forms_are_accepted_and_cookies_are_secure(site, emptied, certificate, name):
    emptied()
    with webservers.ALL[name](Site(site.tree, site.folder, certificate=certificate)) as port:
        token = ask(port, "GET", BATCHES, certificate=certificate, **JSON).json["csrf_token"]
        form = urlencode({"do": "scan", "csrf_token": token})
        origin = {"Origin": "https://panel.example", "Sec_Fetch_Site": "same-origin"}
        sent = ask(port, "POST", BATCHES, form, certificate=certificate, Content_Type=FORM, **origin)
        assert (sent.status, sent.headers["location"]) == (303, [BATCHES])
        assert "Secure" in sent.headers["set-cookie"][0].split("; ")
