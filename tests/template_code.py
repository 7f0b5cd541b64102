"""Compile each template once in a process.

Most tests of pages make a panel of their own, and a panel compiles the templates that it renders: more than half of
the processor time of tests/web. An installed panel has compiled templates. Decision: docs/decisions/0201.
"""

from functools import cached_property
from pathlib import Path

from gpupanel.web.templating import TEMPLATES, Renderer
from jinja2 import BytecodeCache
from jinja2.bccache import Bucket


class CodeOfProcess(BytecodeCache):
    """The code of templates by their name, file and text."""

    def __init__(self):
        self._code = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        bucket.code = self._code.get((bucket.key, bucket.checksum))

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._code[bucket.key, bucket.checksum] = bucket.code


def share() -> None:
    """Let all panels of this process, and of its forks, share the code of their templates."""
    code, make = CodeOfProcess(), Renderer._templates.func

    def templates(renderer: Renderer):
        made = make(renderer)
        made.bytecode_cache = code
        return made

    Renderer._templates = cached_property(templates)
    Renderer._templates.__set_name__(Renderer, "_templates")


def compile_all() -> None:
    """Compile all templates of the panel."""
    templates = Renderer(None, Path())._templates
    for file in TEMPLATES.glob("*.html"):
        templates.get_template(file.name)
