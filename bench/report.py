"""Format a comparison as text and as a section of RESULTS.md."""

import os
import platform
import subprocess
from collections.abc import Iterable
from datetime import datetime, UTC
from importlib import metadata
from pathlib import Path

from .runner import Comparison, spread

RESULTS = Path(__file__).with_name("RESULTS.md")
HEAD = """# Results

Written by `make bench` and `make soak`; the newest run of each row. Figures of `make bench` are medians with the least
and the most of all rounds; ratios are taken round by round. What counts are the ratios: the figures are of one machine
on one day.
"""
PACKAGES = ("bottle", "jinja2", "pymysql", "waitress", "msgspec")


def lines(comparison: Comparison) -> list[str]:
    """Return a comparison as a Markdown table."""
    rows = [
        f"**{comparison.work}**", "", f"| contender | {comparison.unit} | to {comparison.standard} |", "|---|---|---|",
    ]
    for name, values in comparison.rounds.items():
        rows.append(f"| {name} | {_spread(values)} | {_spread(comparison.ratios(name), 2)} |")
    rows += ["", *([f"Target: {comparison.target}."] if comparison.target else []), *comparison.notes]
    return [*rows, ""]


def record(row: str, title: str, size: str, text_lines: Iterable[str]) -> None:
    """Replace the section of a benchmark."""
    section = [f"## {row}: {title}", "", f"{_today()}, {size}. {_machine()}", "", *text_lines]
    text = RESULTS.read_text(encoding="utf-8") if RESULTS.exists() else HEAD
    head, *others = text.split("\n## ")
    kept = {part.partition(":")[0]: part.rstrip("\n") for part in others}
    kept[row] = "\n".join(section).removeprefix("## ").rstrip("\n")
    RESULTS.write_text(
        "\n\n## ".join([head.rstrip("\n"), *(kept[name] for name in sorted(kept))]) + "\n", encoding="utf-8"
    )


def _spread(values: list[float], digits: int | None = None) -> str:
    return "{} ({} to {})".format(*(_number(each, digits) for each in spread(values)))


def _number(value: float, digits: int | None) -> str:
    if digits is None:
        digits = 0 if value >= 1000 else 1 if value >= 10 else 2
    return f"{value:,.{digits}f}"


def _today() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%d")


def _proc_value(file: str, key: str) -> str:
    lines = Path("/proc", file).read_text().splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(key)), "")


def _machine() -> str:
    """Return cores, memory and versions, which explain different figures."""
    memory = int(_proc_value("meminfo", "MemTotal").split()[0]) / 1024**2
    model = _proc_value("cpuinfo", "model name") or platform.machine()
    version = subprocess.run(["mariadbd", "--version"], capture_output=True, text=True).stdout
    server = version.split("Ver ")[-1].split(" ")[0]
    known = ", ".join(f"{name} {metadata.version(name)}" for name in PACKAGES)
    cores = len(os.sched_getaffinity(0))
    return f"{cores} cores ({model}), {memory:.0f} GiB; Python {platform.python_version()}, MariaDB {server}, {known}."
