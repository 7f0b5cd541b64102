"""Who can read which secret, set up as docs/install.md says: checked by the kernel, as the user in question."""

import os
import subprocess

import pytest
from webservers import PATH, WEB_USER, identity

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")

PANELS = ("panel.password", "panel.secret", "panel.users")


def can_read(user, path):
    return subprocess.run(["cat", path], env={"PATH": PATH}, capture_output=True, **identity(user)).returncode == 0


@pytest.mark.parametrize("name", PANELS)
def test_the_web_server_reads_its_own_secrets_and_nobody_else_does(site, name):
    assert can_read(WEB_USER, site.tree / "etc" / name)
    assert not can_read("nobody", site.tree / "etc" / name)


def test_the_web_server_cannot_read_the_workers_password(site, world):
    assert can_read("root", world / "worker.password")
    assert not can_read(WEB_USER, world / "worker.password")


def test_the_web_server_can_change_nothing_of_the_tree_but_its_own_secrets(site):
    command = ["find", site.tree, "-writable", "-not", "-type", "l"]
    found = subprocess.run(command, capture_output=True, text=True, **identity(WEB_USER)).stdout.split()
    assert sorted(found) == sorted(str(site.tree / "etc" / name) for name in PANELS)
