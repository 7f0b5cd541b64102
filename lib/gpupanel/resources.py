"""Find the files that ship with the code.

They are beside lib/ in a checkout, under share/ in an installation.
"""

import sys
from pathlib import Path

TREE = Path(__file__).resolve().parents[2]


def resource_dir(name: str) -> Path:
    """The folder `name` (templates, static or etc) of this version."""
    in_checkout = TREE / name
    return in_checkout if in_checkout.is_dir() else Path(sys.prefix) / "share" / "gpupanel" / name


def version() -> str:
    """The version of this code: of the checkout, else of the installed package; empty if neither says it."""
    from configparser import ConfigParser  # imported here, since no page needs them
    from importlib import metadata

    setup = ConfigParser()
    if setup.read(TREE / "setup.cfg"):
        return setup.get("metadata", "version", fallback="")
    try:
        return metadata.version("gpu-admin-panel")
    except metadata.PackageNotFoundError:
        return ""
