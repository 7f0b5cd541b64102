"""The expected state: etc/schema.sql and etc/grants.sql."""

from ..paths import shipped

ACCOUNTS = ("gpu_panel", "gpu_worker")


def statements(file: str) -> list[str]:
    """Split a file of etc/ into statements, without comments."""
    text = (shipped("etc") / file).read_text(encoding="utf-8")
    code = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("--"))
    return [statement.strip() for statement in code.split(";") if statement.strip()]
