"""Checks of the mount: readable, not empty, read-only."""

import os
from collections.abc import Iterator
from pathlib import Path

from ..config import MountSettings
from ..mount import Mount
from .findings import Finding, OK, judge, suggest


def check_sentinels(settings: MountSettings) -> Iterator[Finding]:
    """List and count the sentinels. Raises MountUnavailableError."""
    is_named = [sentinel.sync_id is not None for sentinel in Mount(settings).list_sentinels()]
    yield Finding("mount", OK, f"{settings.sync_dir} is readable", "sync_dir is mounted and readable")
    yield suggest(
        "sentinels", bool(is_named) and all(is_named),
        f"{is_named.count(True)}, and {is_named.count(False)} whose names are no sync_id",
        "at least one, each named after its bundle",
        "If there is none, check that the mount is mounted. `bin/gpupanel scan` lists other names; ask upstream.",
    )


def check_assets(settings: MountSettings) -> Iterator[Finding]:
    """Check the folder that the paths of items are relative to."""
    folder = settings.assets_dir
    fine = folder.is_dir() and os.access(folder, os.R_OK | os.X_OK)
    yield judge(
        "assets", fine, f"{folder} is {'' if fine else 'not '}readable",
        "assets_dir is a folder that this user can read",
        "Set [mount] assets_dir, or give this user read access to it.",
    )


def check_read_only(settings: MountSettings) -> Iterator[Finding]:
    """The mount should be read-only for this user (defence in depth)."""
    folders = [folder for folder in (settings.sync_dir, settings.assets_dir) if folder.is_dir()]
    writable = [str(folder) for folder in folders if _could_write(folder)]
    yield suggest(
        "mount is read-only", not writable, f"this user can write {', '.join(writable)}" if writable else "read-only",
        "read-only", "Mount it with the option ro, or remove the write permission of this user.",
    )


def _could_write(folder: Path) -> bool:
    return os.access(folder, os.W_OK) and not os.statvfs(folder).f_flag & os.ST_RDONLY
