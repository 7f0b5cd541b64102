"""The expected state: etc/schema.sql and etc/grants.sql."""

from functools import cache

from ..resources import resource_dir
from .create_table import Table, parse_create_table
from .migrations import split_statements

ACCOUNTS = ("gpu_panel", "gpu_worker")
# The account of `seal`; an installation without receipts leaves it locked.
SEALER = "gpu_seal"
# The account of `archive`, the only one that may delete; an installation without archives leaves it locked.
ARCHIVER = "gpu_archive"


def read_statements(file: str) -> list[str]:
    """Return the statements of a file in etc/."""
    return split_statements((resource_dir("etc") / file).read_text(encoding="utf-8"))


@cache
def expected_tables() -> dict[str, Table]:
    """Return the tables of etc/schema.sql by name."""
    statements = read_statements("schema.sql")
    return dict(parse_create_table(text) for text in statements if text.startswith("CREATE TABLE"))
