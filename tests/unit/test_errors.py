"""Errors say what happened without docstrings, which Python drops under -OO."""

import importlib
import pkgutil
import subprocess
import sys

import gpupanel
from gpupanel import errors
from gpupanel.resources import TREE


def tree(kind=errors.PanelError):
    yield kind
    for child in kind.__subclasses__():
        yield from tree(child)


def import_all():
    """Import every module, since a class is known to its base only once it is defined."""
    for module in pkgutil.walk_packages(gpupanel.__path__, "gpupanel."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)


def test_every_error_has_a_message():
    import_all()
    for kind in tree():
        assert kind.message.endswith("."), kind


def test_messages_survive_python_without_docstrings():
    code = "from gpupanel import errors; print(errors.NotFoundError(), errors.DatabaseUnavailableError().hint)"
    path = str(TREE / "lib")
    out = subprocess.run([sys.executable, "-OO", "-c", code], env={"PYTHONPATH": path}, capture_output=True, text=True)
    assert out.stdout == f"Not found. {errors.DatabaseUnavailableError.hint}\n", out.stderr
