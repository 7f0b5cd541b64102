"""Where the files that come with the code are: beside lib/ when run in place, under share/ when installed."""

import sys
from pathlib import Path

TREE = Path(__file__).resolve().parents[2]


def shipped(name: str) -> Path:
    """The folder `name` (templates, static or etc) that came with this code."""
    in_place = TREE / name
    return in_place if in_place.is_dir() else Path(sys.prefix) / "share" / "gpupanel" / name
