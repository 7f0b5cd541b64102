"""Templates and JSON; no other module imports the template engine."""

import json
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..models import BIGINT_MAX, COUNT_LIMIT
from ..resources import resource_dir
from ..workers import LATE_SECONDS
from . import template_filters
from .request import Request

if TYPE_CHECKING:
    from jinja2 import Environment

STATIC = resource_dir("static")
TEMPLATES = resource_dir("templates")
COMPILED = TEMPLATES / "compiled"


class Renderer:
    """Renders packaged templates, or those of the same name in `overrides`.

    An override extends what it replaces as `panel/<name>`: `{% extends "panel/layout.html" %}`.
    """

    def __init__(self, overrides: Path | None, sync_dir: Path, service: str = ""):
        self._overrides = overrides
        self._globals = {
            "sync_dir": sync_dir, "stop_command": f"systemctl stop {service}", "service": service,
            "highest_id": BIGINT_MAX, "late_seconds": LATE_SECONDS, "count_limit": COUNT_LIMIT,
        }

    @cached_property
    def _templates(self) -> "Environment":
        from jinja2 import ChoiceLoader, Environment, FileSystemLoader, ModuleLoader, PrefixLoader, StrictUndefined

        packaged = ModuleLoader(COMPILED) if _is_compiled() else FileSystemLoader(TEMPLATES)
        overrides = [FileSystemLoader(self._overrides)] if self._overrides else []
        templates = Environment(
            loader=ChoiceLoader([*overrides, packaged, PrefixLoader({"panel": packaged})]),
            autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
        )
        templates.filters.update(template_filters.FILTERS)
        templates.globals.update(self._globals)
        return templates

    def page(self, name: str, request: Request, **values: Any) -> bytes:
        """Render the template `<name>.html` for a request."""
        context = {
            "request": request, "links": request.links, "user": request.user,
            "static": lambda file: _static_url(request, file),
        }
        return self._templates.get_template(f"{name}.html").render(context | values).encode()

    def compile(self) -> None:
        """Compile the packaged templates, so that no process has to parse them."""
        packaged = [template.name for template in TEMPLATES.glob("*.html")]
        self._templates.compile_templates(
            COMPILED, zip=None, ignore_errors=False, filter_func=packaged.__contains__
        )


def as_json(values: Any) -> bytes:
    """Serialise values: times as RFC 3339 with `Z`, spans in seconds."""
    return json.dumps(values, default=_json_value, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _json_value(value: Any) -> str | float | None:
    if isinstance(value, datetime):
        return template_filters.iso(value)
    if isinstance(value, timedelta):
        return value.total_seconds()
    return str(value)


def _is_compiled() -> bool:
    """Return whether compiled templates exist and no template is newer."""
    try:
        compiled_at = COMPILED.stat().st_mtime
    except FileNotFoundError:
        return False
    return all(template.stat().st_mtime <= compiled_at for template in TEMPLATES.glob("*.html"))


def _static_url(request: Request, name: str) -> str:
    """Return a static file's URL; it changes with the file, for caching."""
    return f"{request.links.static(name)}?v={int((STATIC / name).stat().st_mtime):x}"
