"""Configuration: the options, their limits, and the INI file that sets them."""

from .loading import load, locate, read_small_text
from .option_kinds import Url
from .settings import (
    OPTIONS, SECTIONS, DatabaseSettings, MountSettings, NotifySettings, PanelSettings, Settings, WorkerSettings,
)

__all__ = [
    "OPTIONS", "SECTIONS", "DatabaseSettings", "MountSettings", "NotifySettings", "PanelSettings", "Settings",
    "Url", "WorkerSettings", "load", "locate", "read_small_text",
]
