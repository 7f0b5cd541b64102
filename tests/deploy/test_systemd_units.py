"""etc/systemd: verification of the installed units by systemd."""

import re
import shutil
import subprocess

import pytest

pytestmark = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")

SERVICES = (
    "gpu-admin-panel-import-worker", "gpu-admin-panel", "gpu-admin-panel-scan", "gpu-admin-panel-seal",
    "gpu-admin-panel-notify", "gpu-admin-panel-notify@",
)
TIMERS = ("gpu-admin-panel-scan", "gpu-admin-panel-seal", "gpu-admin-panel-notify")
EXPOSURE = 1.5


def analyze(*arguments):
    result = subprocess.run(["systemd-analyze", *arguments], capture_output=True, text=True)
    return result.returncode, result.stdout + result.stderr


def test_systemd_finds_nothing_wrong_with_any_unit(tree):
    units = sorted((tree / "etc" / "systemd").iterdir())
    assert {unit.name for unit in units} == {f"{name}.service" for name in SERVICES} | {
        f"{name}.timer" for name in TIMERS
    }
    assert analyze("verify", "--man=no", *units) == (0, "")


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_exposed_as_little_as_it_can_be(tree, name):
    unit = tree / "etc" / "systemd" / f"{name}.service"
    status, said = analyze("security", "--offline=true", f"--threshold={EXPOSURE * 10:.0f}", unit)
    assert status == 0, said
    assert float(re.search(r"Overall exposure level for \S+: ([0-9.]+)", said)[1]) <= EXPOSURE
