"""The private installation of `gpupanel run` and `gpupanel demo`."""

import os
from pathlib import Path

from ..cli.context import CommandContext
from ..errors import InvalidInputError
from ..resources import TREE
from .sandbox import Sandbox


def private_folder(context: CommandContext, hint: str) -> Path:
    """Return the folder.

    Raises InvalidInputError if GPUPANEL_CONF names another installation and --var is not given.
    """
    if not context.args.var and (named := os.environ.get("GPUPANEL_CONF")):
        refuse_other_config(context, "GPUPANEL_CONF", named, hint)
    return _folder(context)


def _folder(context: CommandContext) -> Path:
    """Return --var, else var/ in the checkout, else var/ in this folder."""
    return Path(context.args.var or (TREE if (TREE / "bin").is_dir() else Path()) / "var")


def refuse_other_config(context: CommandContext, source: str, named: str, hint: str) -> None:
    """Raises InvalidInputError if the named configuration is not the private one."""
    own = Sandbox(_folder(context)).panel_conf
    if Path(named).resolve() != own.resolve():
        raise InvalidInputError(
            f"{context.args.command} has its own configuration, {own}; {source} names {named}.", hint
        )
