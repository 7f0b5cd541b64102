"""Tell people what failed: by mail, by a web hook (docs/decisions/0132-notices.md)."""

from .transports import Channel, channels, deliver
from .message import Message, compose_unit_failed
from .due_notices import Report, Sender, send_due

__all__ = [
    "Channel", "Message", "Report", "Sender", "channels", "compose_unit_failed", "deliver", "send_due",
]
