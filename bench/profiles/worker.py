"""Flame graphs of the worker during the import of a large bundle."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

from gpupanel import config, services
from gpupanel.mount import Mount

from .. import environment, install_peers

ITEMS = 5000


def write(folder: Path) -> Iterator[Path]:
    """Write worker.svg, all time, and worker-python.svg, the time with the interpreter lock."""
    spy = install_peers.python("py-spy").with_name("py-spy")
    with environment.prepare_environment() as place:
        mount = Mount(config.load(place.conf).mount)
        for name, options in (("worker", ()), ("worker-python", ("--gil",))):
            sync_id = environment.bundle(place.assets_dir, name, ITEMS)
            services.scan_mount(place.admin, mount, "bench")
            services.queue_batch(place.admin, mount, sync_id, "bench")
            command = [
                spy, "record", "--nonblocking", "--rate", "200", *options, "--output", folder / f"{name}.svg", "--",
            ]
            subprocess.run(
                [*command, *place.command()], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            yield folder / f"{name}.svg"
