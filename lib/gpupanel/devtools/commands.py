"""The table entries and the options of `gpupanel run` and `gpupanel demo`."""

import argparse

from ..cli.commands import Command, whole_number


def _var_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--var", metavar="DIR", help="the folder of the private installation (var/)")


def _run_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--port", type=whole_number(1, 65535), metavar="N",
                        help="the port of the panel (8080, or any free one if 8080 is taken)")
    _var_option(parser)


def _demo_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--once", action="store_true", help="scan, preflight, queue, import, and print each result")
    parser.add_argument("--bundles", type=whole_number(0), default=0, metavar="N", help="additional bundles (0)")
    parser.add_argument("--items", type=whole_number(1, 100_000), default=100, metavar="N",
                        help="items in each additional bundle (100)")
    parser.add_argument("--seed", default="1", help="another seed gives other bundles (1)")
    _var_option(parser)


COMMANDS = (
    Command(
        "run", "gpupanel.devtools.run_command", "Run the demo panel: private MariaDB, demo bundles, worker and panel.",
        _run_options, "refused except for DIR/panel.conf; GPUPANEL_CONF is refused too, unless --var is given",
    ),
    Command(
        "demo", "gpupanel.devtools.demo_command", "Write the demo bundles; with --once import them and compare.",
        _demo_options, "use this installation and no private one; GPUPANEL_CONF is refused, unless --var is given",
    ),
)
