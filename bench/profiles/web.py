"""Profile the pages: imports of a CGI program, statements with their plans."""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

from gpupanel import config
from gpupanel.db import Database
from gpupanel.web.application import PanelApplication

from .. import page_queries, panel
from ..benchmarks.cgi import REQUEST

LEDGER = 100_000
IMPORT = re.compile(r"^import time: +(\d+) \| +(\d+) \|( +)(\S+)$")
LEAST = 300  # microseconds; what takes less is left out of the tree
RUNS = 7
PAGES = {
    "the list": "import-media.cgi", "a rare status": "import-media.cgi?status=failed",
    "the last page": "import-media.cgi?after=0", "two filters": "import-media.cgi?status=completed&action=create",
    "a sync_id's start": "import-media.cgi?q=a", "a batch": "import-media.cgi?action=detail&sync_id={}",
    "the tasks": "import-tasks.cgi", "the metrics": "metrics",
}


def write(folder: Path) -> Iterator[Path]:
    with panel.kept_ledger(LEDGER) as conf:
        yield _imports(folder / "cgi-imports.txt", conf)
        yield _statements(folder / "web-statements.txt", conf)


def _imports(file: Path, conf: Path) -> Path:
    """Return the imports of one request: cumulative and own time of each module."""
    script = panel.installed() / "cgi-bin" / "import-media.cgi"
    command = [panel.PYTHON, "-IS", "-X", "importtime", script]
    runs = [_told(command, conf) for _ in range(RUNS)]
    quickest = min(runs, key=lambda lines: sum(own for own, *_ in lines))
    total = sum(own for own, *_ in quickest) / 1000
    head = f"One CGI hit of the list of batches, answered alone: {len(quickest)} modules, {total:.1f} ms."
    rows = [
        f"{whole / 1000:8.1f} {own / 1000:7.1f}  {'   ' * depth}{name}" for own, whole, depth, name in _tree(quickest)
    ]
    file.write_text("\n".join([head, f"The quickest of {RUNS} runs; modules under {LEAST} us are left out.", "",
                               "   ms all     own  module", *rows]) + "\n")
    return file


def _told(command: list, conf: Path) -> list[tuple[int, int, int, str]]:
    environ = REQUEST | {"GPUPANEL_CONF": os.fspath(conf)}
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=True)
    found = (IMPORT.match(line) for line in done.stderr.splitlines())
    return [(int(each[1]), int(each[2]), (len(each[3]) - 1) // 2, each[4]) for each in found if each]


def _tree(lines: list[tuple[int, int, int, str]]) -> list[tuple[int, int, int, str]]:
    """Reverse the order of Python, which prints a module after its imports."""
    placed: list[list] = []
    for line in lines:
        inner = []
        while placed and placed[-1][0][2] > line[2]:
            inner.insert(0, placed.pop())
        placed.append([line, *(each for group in inner for each in group)])
    return [line for group in placed for line in group if line[1] >= LEAST]


def _statements(file: Path, conf: Path) -> Path:
    """Return the statements of each page with their best times, and the slowest plans."""
    settings = config.load(conf)
    web, db = PanelApplication(settings), Database(settings.database)
    [batch] = db.execute("SELECT sync_id FROM ingest_batch ORDER BY id DESC LIMIT 1")
    times: dict[str, float] = {}
    lines = [f"Pages over {LEDGER:,} batches; times in ms, the quickest of {RUNS} runs.", ""]
    for name, address in PAGES.items():
        runs = [page_queries.record_queries(web, address.format(batch["sync_id"])) for _ in range(RUNS)]
        quickest = [(texts[0].text, min(each.seconds for each in texts)) for texts in zip(*runs, strict=False)]
        lines += [f"{name} ({address}): {len(quickest)} statements, {sum(took for _, took in quickest) * 1000:.2f}"]
        lines += [f"{took * 1000:10.2f}  {_one_line(text)}" for text, took in quickest] + [""]
        times |= {text: max(took, times.get(text, 0)) for text, took in quickest}
    slowest = sorted((text for text in times if text.startswith("SELECT")), key=times.__getitem__, reverse=True)[:12]
    for text in slowest:
        lines += [f"{times[text] * 1000:10.2f}  {_one_line(text, None)}", *_plan(db, text), ""]
    file.write_text("\n".join(lines))
    return file


def _plan(db: Database, text: str) -> list[str]:
    """Run ANALYZE; `r_rows` are the rows that the statement really read."""
    keys = ("table", "type", "key", "rows", "r_rows", "Extra")
    rows = db.execute(f"ANALYZE {text}")
    return [
        "            " + "  ".join(f"{key} {row[key]}" for key in keys if row.get(key) not in (None, ""))
        for row in rows
    ]


def _one_line(text: str, limit: int | None = 150) -> str:
    flat = " ".join(text.split())
    return flat if limit is None or len(flat) <= limit else f"{flat[:limit]}..."
