"""Values -> a page or JSON. The only module that knows the template engine."""

import json
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

from ..model import HIGHEST
from ..paths import shipped
from ..queue import SERVICE, STOP
from . import formats
from .visit import Visit

STATIC = shipped("static")
TEMPLATES = shipped("templates")
COMPILED = TEMPLATES / "compiled"


class Renderer:
    """Templates of the shipped folder; those of `overrides`, when there, come first.

    An override reaches what it replaces as `panel/<name>`: `{% extends "panel/layout.html" %}`.
    """

    def __init__(self, overrides: Path | None, sync_dir: Path):
        self._overrides = overrides
        self._known = {"sync_dir": sync_dir, "stop_command": STOP, "service": SERVICE, "highest_id": HIGHEST}

    @cached_property
    def _templates(self):
        from jinja2 import ChoiceLoader, Environment, FileSystemLoader, ModuleLoader, PrefixLoader, StrictUndefined

        own = ModuleLoader(COMPILED) if _is_compiled() else FileSystemLoader(TEMPLATES)
        first = [FileSystemLoader(self._overrides)] if self._overrides else []
        templates = Environment(
            loader=ChoiceLoader([*first, own, PrefixLoader({"panel": own})]),
            autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
        )
        templates.filters.update(formats.FILTERS)
        templates.globals.update(self._known)
        return templates

    def page(self, name: str, visit: Visit, **values: Any) -> bytes:
        """The template `<name>.html` for one request."""
        known = {"visit": visit, "links": visit.links, "user": visit.user, "static": lambda file: _static(visit, file)}
        return self._templates.get_template(f"{name}.html").render(known | values).encode()

    def compile(self) -> None:
        """Write the shipped templates as Python modules, so that no process has to parse them."""
        own = [template.name for template in TEMPLATES.glob("*.html")]
        self._templates.compile_templates(COMPILED, zip=None, ignore_errors=False, filter_func=own.__contains__)


def as_json(values: Any) -> bytes:
    """Stable JSON: keys in the order given, times as RFC 3339 with `Z`, spans in seconds."""
    return json.dumps(values, default=_plain, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return formats.iso(value)
    if isinstance(value, timedelta):
        return value.total_seconds()
    return str(value)


def _is_compiled() -> bool:
    """Whether the compiled templates are there, and no template is newer."""
    try:
        made = COMPILED.stat().st_mtime
    except FileNotFoundError:
        return False
    return all(template.stat().st_mtime <= made for template in TEMPLATES.glob("*.html"))


def _static(visit: Visit, name: str) -> str:
    """The address changes with the file, so that browsers may keep it for long."""
    return f"{visit.links.static(name)}?v={int((STATIC / name).stat().st_mtime):x}"
