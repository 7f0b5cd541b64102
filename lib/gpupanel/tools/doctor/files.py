"""The mount, and the files that must be nobody else's."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from ...config import Settings
from ...errors import PanelError
from ...mount import Mount
from .finding import NOTE, WRONG, Finding, judge


def mount(settings: Settings) -> Iterator[Finding]:
    """Whether the sentinels can be listed, and how many there are."""
    sync_dir = settings.mount.sync_dir
    try:
        names = [sentinel.sync_id for sentinel in Mount(settings.mount).sentinels()]
    except PanelError as error:
        yield Finding("mount", WRONG, str(error), f"{sync_dir} is there and can be read", error.hint)
        return
    strays = names.count(None)
    yield judge(
        "mount", not strays, f"{len(names) - strays} sentinels and {strays} whose names are no sync_id",
        "each .ready file is called like a bundle", "`bin/gpupanel scan` names them; ask upstream.", otherwise=NOTE,
    )


def read_only(settings: Settings) -> Iterator[Finding]:
    """We never write there; that we could not is one more lock on the door."""
    sync_dir = settings.mount.sync_dir
    if not sync_dir.is_dir():
        return
    writable = os.access(sync_dir, os.W_OK) and not os.statvfs(sync_dir).f_flag & os.ST_RDONLY
    yield judge(
        "mount is read-only", not writable, "writable by us" if writable else "read-only", "read-only",
        "Mount it with the option ro, or take the write permission from our user.", otherwise=NOTE,
    )


def secrets(settings: Settings) -> Iterator[Finding]:
    """The secret that signs forms."""
    own = [settings.panel.secret_file] if settings.panel.secret_file else []
    yield from (_private(file) for file in own if file.exists())


def _private(file: Path) -> Finding:
    mode = stat.S_IMODE(file.stat().st_mode)
    return judge(
        f"permissions of {file.name}", not mode & 0o077, f"{mode:03o}", "nobody else may read or write it (600)",
        f"chmod 600 {file}",
    )
