"""Checks of an installation; they change nothing."""

from . import accounts
from .checks import OF_THE_MOUNT, examine
from .finding import NOTE, OK, WRONG, Finding

__all__ = ["NOTE", "OF_THE_MOUNT", "OK", "WRONG", "Finding", "accounts", "examine"]
