"""Checks of an installation; they change nothing."""

from . import grants
from .checks import MOUNT_CHECKS, run_checks
from .findings import Finding, NOTE, OK, WRONG

__all__ = ["MOUNT_CHECKS", "NOTE", "OK", "WRONG", "Finding", "grants", "run_checks"]
