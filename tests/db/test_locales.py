"""File names are UTF-8 whatever the locale of the process is."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import worker_helpers
from constants import TREE
from gpupanel import services

LOCALES = {"C": {"LC_ALL": "C"}, "ASCII": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}}
LATIN_1 = shutil.which("localedef") and Path("/usr/share/i18n/charmaps/ISO-8859-1.gz").exists()
if LATIN_1:
    LOCALES["Latin-1"] = {"LANG": "de_DE.ISO-8859-1", "LC_ALL": "de_DE.ISO-8859-1"}


@pytest.fixture(scope="module")
def locales(tmp_path_factory) -> Path:
    """A folder with the locale de_DE.ISO-8859-1."""
    folder = tmp_path_factory.mktemp("locales")
    if LATIN_1:
        command = ["localedef", "-i", "de_DE", "-f", "ISO-8859-1", folder / "de_DE.ISO-8859-1"]
        subprocess.run(command, check=False, capture_output=True)  # it warns, and then exits with 1
    return folder


def run(program: str, locales: Path, name: str, *arguments) -> subprocess.CompletedProcess:
    environ = {key: value for key, value in os.environ.items() if not key.startswith(("LC_", "LANG", "PYTHONUTF8"))}
    return subprocess.run(
        [sys.executable, TREE / "bin" / program, *arguments], capture_output=True, encoding="utf-8", errors="replace",
        env=environ | {"LOCPATH": str(locales)} | LOCALES[name], timeout=120,
    )


@pytest.mark.parametrize("name", LOCALES)
def test_folders_and_files_with_letters_beyond_ascii_are_found(
    panel_db, mount, bundles, locales, panel_conf, worker_conf, name
):
    photos = list(bundles.assets("coast", 2, derivatives=("icon",)))

    def rename(raw: bytes) -> bytes:
        for photo in photos:
            raw = raw.replace(f'"{photo.path}"'.encode(), f'"{photo.path} Küste-東京"'.encode())
        return raw

    sync_id = bundles.bundle("coast", photos, spoil=rename)
    for photo in photos:
        (mount.assets_dir / photo.path).rename(mount.assets_dir / f"{photo.path} Küste-東京")
    (mount.assets_dir / f"{photos[0].path} Küste-東京" / "source" / "data" / "Küste.json").write_text("{}")
    services.scan_mount(panel_db, mount, "operator")
    planned = run("gpupanel", locales, name, "--config", panel_conf, "queue", sync_id)
    assert planned.returncode == 0, planned.stderr + planned.stdout
    imported = run("import-worker", locales, name, "--config", worker_conf, "--once")
    assert imported.returncode == 0, imported.stderr
    assert worker_helpers.counts(panel_db, sync_id) == {"created": 2}
    kinds = panel_db.execute("SELECT source_file FROM asset_ai_run WHERE source_file LIKE 'K%'")
    assert [row["source_file"] for row in kinds] == ["Küste.json"]


@pytest.mark.parametrize("name", LOCALES)
def test_a_mount_whose_own_folder_has_such_a_name_is_found(
    panel_db, tmp_path, bundles, mount, locales, panel_conf, name
):
    sync_id = bundles.bundle("coast", bundles.assets("coast", 1))
    other = tmp_path / "Küste"
    shutil.copytree(mount.assets_dir, other)
    panel_conf.write_text(panel_conf.read_text().replace(f"{mount.assets_dir}/sync", f"{other}/sync"), encoding="utf-8")
    scanned = run("gpupanel", locales, name, "--config", panel_conf, "--json", "scan")
    assert scanned.returncode == 0 and sync_id in scanned.stdout, scanned.stderr + scanned.stdout
