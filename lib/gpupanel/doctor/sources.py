"""What an installation is compared with: etc/schema.sql and etc/grants.sql."""

from ..paths import shipped

ACCOUNTS = ("gpu_panel", "gpu_worker")


def statements(file: str) -> list[str]:
    """The statements of a file in etc/ whose comments are lines of their own and whose strings hold no semicolon."""
    text = (shipped("etc") / file).read_text(encoding="utf-8")
    code = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("--"))
    return [statement.strip() for statement in code.split(";") if statement.strip()]
