"""The doctor page: findings, operators only, within bounded time."""

from threading import Event

import pytest
from gpupanel import doctor
from gpupanel.mount import Mount
from page_helpers import BATCHES, JSON, cells, region, text

DOCTOR = f"{BATCHES}?action=doctor"


def test_operators_get_the_lines_of_the_shell_the_worst_first(admin, settings):
    settings.panel.secret_file.write_text("x" * 32)
    settings.panel.secret_file.chmod(0o644)
    page = admin.get(DOCTOR)
    head, *rows = cells(region(page, "Findings"))
    assert head == ["check", "level", "found", "expected", "what to do"]
    assert rows[0] == [
        "permissions of panel.secret", "wrong", "644",
        "only its owner and its group may read it (600 or 640)", f"chmod 600 {settings.panel.secret_file}",
    ]
    fine = cells(region(page, "Checks that are ok"))[1:]
    assert {row[1] for row in rows} <= {"wrong", "note"} and {row[1] for row in fine} == {"ok"}
    assert {row[0] for row in rows + fine} == {finding.check for finding in doctor.run_checks(settings)}
    assert text(page.html.find(id="ok").summary) == f"{len(fine)} ok"


def test_programs_get_the_same_as_json(scripted):
    answer = scripted.get(DOCTOR).json
    assert sum(answer["counts"].values()) == len(answer["findings"])
    assert set(answer["findings"][0]) == {"check", "level", "found", "expected", "advice"}


def test_a_viewer_may_not_see_it_and_nobody_else_either(viewer, nobody):
    assert viewer.get(DOCTOR, headers=JSON, expect_errors=True).status_int == 403
    assert nobody.get(DOCTOR, headers=JSON, expect_errors=True).status_int == 401
    assert "action=doctor" not in viewer.get(BATCHES)


def test_operators_find_it_from_every_page(admin):
    assert admin.get(BATCHES).click("Doctor", href="action=doctor").html.find("h1").string == "Doctor"


@pytest.mark.parametrize("what", ["database", "mount"])
def test_what_is_gone_is_a_line_and_not_an_error(configured, settings, tmp_path, what):
    gone = {"unix_socket": str(tmp_path / "nobody")} if what == "database" else {"sync_dir": tmp_path / "nowhere"}
    page = configured(what, **gone).get(DOCTOR)
    assert [what, "wrong"] in [row[:2] for row in cells(region(page, "Findings"))]


def test_a_mount_that_hangs_is_a_line_too(scripted, monkeypatch):
    hangs = Event()
    monkeypatch.setattr(Mount, "list_sentinels", lambda self: iter(hangs.wait, True))
    monkeypatch.setattr("gpupanel.web.pages.doctor.PATIENCE", 0.5)
    findings = scripted.get(DOCTOR).json["findings"]
    hangs.set()
    assert "did not answer" in next(finding["found"] for finding in findings if finding["check"] == "mount")


def test_what_comes_from_outside_shows_as_text(admin, admin_db):
    admin_db.execute(
        "INSERT INTO ingest_batch (sync_id, status) VALUES ('37e428d2-a4f6-4a31-bacf-0c835fb24084', 'importing')"
    )
    admin_db.execute(
        "INSERT INTO import_job (batch_id, requested_by, state, worker, claim_token, heartbeat_at)"
        " SELECT id, 'x', 'running', '<script>{{ 7 * 7 }}', 'x', NOW(6) - INTERVAL 1 DAY FROM ingest_batch"
    )
    page = admin.get(DOCTOR)
    assert "<script>{{" not in page and "on <script>{{ 7 * 7 }}" in text(page.html)
