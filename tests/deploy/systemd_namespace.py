"""A systemd of the tests' own: the real one, as process 1 of namespaces in which docs/install.md has been followed.

What it does to files, mounts, network, host name and control groups stays inside and ends with it.
"""

import os
import shutil
import subprocess
from pathlib import Path

from worker_helpers import wait_until

SYSTEMD = Path("/lib/systemd/systemd")
NAMESPACES = ("--mount", "--pid", "--cgroup", "--uts", "--ipc", "--net")
WORKER, PANEL = "gpu-admin-panel-import-worker.service", "gpu-admin-panel.service"
SECOND_WORKER = "gpu-admin-panel-import-worker@2.service"  # from the same file, installed as a template
NOTIFY, NOTIFY_TIMER = "gpu-admin-panel-notify.service", "gpu-admin-panel-notify.timer"
SCAN, TIMER = "gpu-admin-panel-scan.service", "gpu-admin-panel-scan.timer"
TARGETS = ("sysinit", "basic", "shutdown", "network", "network-online", "remote-fs", "multi-user", "timers", "default")
WORKER_UID = 64901  # of gpu-worker inside the namespace, whether the machine has one or not

BOOT = """
set -eu
cd "$1"
mount --make-rprivate /
for folder in etc opt mnt; do
    mkdir -p "$folder" "work-$folder"
    mount -t overlay overlay -o "lowerdir=/$folder,upperdir=$PWD/$folder,workdir=$PWD/work-$folder" "/$folder"
done
mkdir -p work-panel /opt/gpu-admin-panel /mnt/s3-sync/assets
mount --bind "$2" /opt/gpu-admin-panel
mount -t overlay overlay -o "lowerdir=$2/etc,upperdir=$PWD/panel,workdir=$PWD/work-panel" /opt/gpu-admin-panel/etc
mount --bind "$3" /mnt/s3-sync/assets
mount -t proc proc /proc
mkdir -p sockets
mount --bind "$4" sockets
mount -t tmpfs tmpfs /run
mkdir /run/mysqld
mount --move sockets /run/mysqld
umount -R /sys/fs/cgroup
mount -t cgroup2 cgroup2 /sys/fs/cgroup
exec env -i "PATH=$PATH" container=tests "SYSTEMD_UNIT_PATH=$PWD/units" \\
    "$5" --system --unit=default.target --show-status=no --log-target=console
"""


class Machine:
    """A systemd in its own namespaces, configured by `folder`.

    `etc` and `panel` in it replace /etc and the tree's etc/; `units` has all units.
    """

    def __init__(self, folder: Path, tree: Path, assets: Path, sockets: Path):
        self.folder, self._places = folder, (tree, assets, sockets)
        self._cgroup = cgroup2() / f"import-media-tests-{os.getpid()}"
        self._process: subprocess.Popen | None = None
        self.pid = 0

    def __enter__(self) -> "Machine":
        self._cgroup.mkdir()
        for target in TARGETS:
            (self.folder / "units" / f"{target}.target").write_text(f"[Unit]\nDescription={target}\n")
        with open(self.folder / "systemd.log", "wb") as log:
            self._process = subprocess.Popen(
                ["unshare", *NAMESPACES, "--fork", "--kill-child", "sh", "-c", BOOT, "boot", self.folder, *self._places,
                 SYSTEMD],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                preexec_fn=lambda: (self._cgroup / "cgroup.procs").write_text("0"),
            )
        try:
            wait_until(self._is_up, "a systemd of our own")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exc) -> None:
        """Process 1 is killed, and the kernel ends all others with it."""
        self._process.kill()
        self._process.wait()
        events = self._cgroup / "cgroup.events"
        wait_until(lambda: "populated 0" in events.read_text(), "the end of all its processes")
        for folder, _, _ in os.walk(self._cgroup, topdown=False):
            os.rmdir(folder)

    def run(self, *command, check=True) -> str:
        """Run a command in there, as root; returns what it prints."""
        entered = ["nsenter", f"--target={self.pid}", *NAMESPACES, "--", *map(str, command)]
        result = subprocess.run(entered, capture_output=True, text=True)
        assert not check or result.returncode == 0, f"{command}: {result.stderr}\n{self._log()}"
        return result.stdout

    def systemctl(self, *arguments: str, check=True) -> str:
        return self.run("systemctl", *arguments, check=check)

    def show(self, unit: str, name: str) -> str:
        """A property of a unit, as systemd has it now."""
        return self.systemctl("show", unit, f"--property={name}", "--value").strip()

    def main_pid(self, unit: str) -> int:
        """The unit's main process, by its number out here; 0 when it has none."""
        inside = self.show(unit, "MainPID")
        return next((pid for pid in self.processes() if numbers(pid)[-1:] == [inside]), 0)

    def processes(self) -> list[int]:
        """All processes of the machine, by their numbers out here."""
        files = self._cgroup.rglob("cgroup.procs")
        return [int(pid) for file in files for pid in file.read_text().split()]

    def configure(self, unit: str, **options: str) -> None:
        """What `systemctl edit` does: these options of the unit's [Service] differ from now on."""
        folder = self.folder / "units" / f"{unit}.d"
        folder.mkdir(exist_ok=True)
        (folder / "edited.conf").write_text(
            "[Service]\n" + "".join(f"{name}={text}\n" for name, text in options.items())
        )
        self.systemctl("daemon-reload")

    def forget(self, unit: str) -> None:
        """Stop the unit and the repeated message about its failure, and take back what `configure` did."""
        self.systemctl("stop", unit, f"gpu-admin-panel-notify@{unit}.service")
        self.systemctl("reset-failed", unit, check=False)
        shutil.rmtree(self.folder / "units" / f"{unit}.d", ignore_errors=True)
        self.systemctl("daemon-reload")

    def _is_up(self) -> bool:
        assert self._process.poll() is None, self._log()
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        self.pid = int(children[0]) if children else 0
        return bool(self.pid) and "active" in self.run("systemctl", "is-active", "default.target", check=False).split()

    def _log(self) -> str:
        return "\n".join(log.read_text(errors="replace") for log in sorted(self.folder.glob("*.log")))


def numbers(pid: int) -> list[str]:
    """A process's numbers, from the outermost namespace's inwards."""
    return fields(pid).get("NSpid", "").split()


def fields(pid: int) -> dict[str, str]:
    """What the kernel says of a process in /proc/<pid>/status."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return {}
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def cgroup2() -> Path | None:
    """Our own place among the control groups of version 2, if there is one."""
    mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    roots = [Path(mount[1]) for mount in mounts if mount[2] == "cgroup2"]
    own = [line[3:] for line in Path("/proc/self/cgroup").read_text().splitlines() if line.startswith("0::")]
    return roots[0] / own[0].lstrip("/") if roots and own else None


def why_not() -> str:
    """Why no machine can be started here; empty when one can."""
    if os.geteuid() != 0:
        return "only root can start a systemd of its own"
    if not SYSTEMD.exists() or shutil.which("nsenter") is None:
        return "systemd or util-linux is not installed"
    if cgroup2() is None or not os.access(cgroup2(), os.W_OK):
        return "there is no control group of version 2 to give to it"
    tried = subprocess.run(["unshare", *NAMESPACES, "--fork", "true"], capture_output=True, text=True)
    return tried.stderr.strip()
