"""The mount: whether it can be read, what is on it, and whether it could be written."""

import os
from collections.abc import Iterator

from ..config import MountSettings
from ..mount import Mount
from .finding import NOTE, OK, Finding, judge


def sentinels(settings: MountSettings) -> Iterator[Finding]:
    """Whether the sentinels can be listed, and how many there are. Raises MountUnavailable."""
    ours = [sentinel.sync_id is not None for sentinel in Mount(settings).sentinels()]
    yield Finding("mount", OK, f"{settings.sync_dir} can be read", "sync_dir is there and can be read")
    yield judge(
        "sentinels", bool(ours) and all(ours), f"{ours.count(True)}, and {ours.count(False)} whose names are no sync_id",
        "at least one, and each called like a bundle",
        "Without any, see that the mount is mounted; `bin/gpupanel scan` names the others: ask upstream.", otherwise=NOTE,
    )


def assets(settings: MountSettings) -> Iterator[Finding]:
    """Where the paths of items start."""
    folder = settings.assets_dir
    fine = folder.is_dir() and os.access(folder, os.R_OK | os.X_OK)
    yield judge(
        "assets", fine, f"{folder} can{'' if fine else 'not'} be read", "assets_dir is a folder that we can read",
        "Set [mount] assets_dir, or let our user read it.",
    )


def read_only(settings: MountSettings) -> Iterator[Finding]:
    """We never write there; that we could not is one more lock on the door."""
    folders = [folder for folder in (settings.sync_dir, settings.assets_dir) if folder.is_dir()]
    writable = [str(folder) for folder in folders if _could_write(folder)]
    yield judge(
        "mount is read-only", not writable, f"we could write {', '.join(writable)}" if writable else "read-only",
        "read-only", "Mount it with the option ro, or take the write permission from our user.", otherwise=NOTE,
    )


def _could_write(folder) -> bool:
    return os.access(folder, os.W_OK) and not os.statvfs(folder).f_flag & os.ST_RDONLY
