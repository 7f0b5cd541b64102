"""The expected state: etc/schema.sql and etc/grants.sql."""

from ..database.versions import split_statements
from ..paths import shipped

ACCOUNTS = ("gpu_panel", "gpu_worker")
# The account of `seal`; an installation without receipts leaves it locked.
SEALER = "gpu_seal"


def statements(file: str) -> list[str]:
    """Return the statements of a file in etc/."""
    return split_statements((shipped("etc") / file).read_text(encoding="utf-8"))
