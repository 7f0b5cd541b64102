"""gpupanel run: the demo panel on this machine."""

from ..cli.context import CommandContext
from . import demo_panel
from .private_installation import private_folder, refuse_other_config


def run(context: CommandContext) -> int:
    """Run until Ctrl-C.

    JSON, once the panel responds: {address, panel_conf, worker_conf, logs}.
    """
    if context.args.config:
        refuse_other_config(context, "--config", context.args.config, "Omit --config; --var names another folder.")
    folder = private_folder(context, "Unset GPUPANEL_CONF, or give --var DIR.")
    demo_panel.run(folder, context.args.port, info=context.info, ready=context.emit)
    return 0
