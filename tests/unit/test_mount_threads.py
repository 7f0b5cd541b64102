"""A hanging mount: requests, signals and the end of the process do not wait for its threads."""

import subprocess
import sys
import threading
from concurrent.futures import Future

import pytest
from constants import TREE
from gpupanel.errors import MountTimeoutError
from gpupanel.mount import threads
from gpupanel.mount.threads import DaemonThreadPool, call_with_timeout, map_in_threads

HANGING = """
import sys, threading
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from gpupanel import bundle_inspection, config
from gpupanel.errors import MountTimeoutError
from gpupanel.manifest import Manifest
from gpupanel.mount import Mount, iterate_with_timeout
reading = threading.Event()

def hang(self, path, check_files):
    reading.set()
    threading.Event().wait()

Mount.check_item = hang
mount, sync_id = Mount(config.MountSettings(Path(sys.argv[2]), Path(sys.argv[2]).parent)), sys.argv[3]
try:
    list(iterate_with_timeout((bundle_inspection.inspect_bundle(mount, each) for each in [sync_id]), 1))
except MountTimeoutError:
    print("timed out", reading.is_set())
"""


def test_a_process_ends_though_its_preflight_hangs_in_the_mount(assets_dir, bundles):
    sync_id = bundles.bundle("coast", bundles.assets("coast", 2))
    command = [sys.executable, "-c", HANGING, TREE / "lib", assets_dir / "sync", sync_id]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (answer.returncode, answer.stdout, answer.stderr) == (0, "timed out True\n", "")


def test_a_mount_that_hangs_is_left_behind_after_a_while(monkeypatch):
    monkeypatch.setattr(threads, "POLL_SECONDS", 0.01)
    for_ever, attended = threading.Event(), []
    with pytest.raises(MountTimeoutError):
        call_with_timeout(for_ever.wait, lambda: attended.append(1), 0.05)
    assert attended
    for_ever.set()


def test_whoever_is_asked_to_stop_does_not_wait_for_a_mount_that_hangs(monkeypatch):
    monkeypatch.setattr(threads, "POLL_SECONDS", 0.01)
    for_ever = threading.Event()

    def stop():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        call_with_timeout(for_ever.wait, stop, 3600)
    for_ever.set()


def test_what_a_look_raises_is_raised_to_whoever_asked_even_a_timeout_of_its_own():
    def look():
        raise TimeoutError("its own")

    with pytest.raises(TimeoutError, match="its own"):
        call_with_timeout(look, lambda: None, 60)


def test_several_look_at_once_and_answer_in_order():
    together = threading.Barrier(4, timeout=60)
    assert list(map_in_threads(lambda n: together.wait() >= 0 and n, range(8), 4)) == list(range(8))


def test_what_is_not_long_waited_for_is_read_by_one_thread(monkeypatch):
    monkeypatch.setattr(threads, "SCALE_UP_AFTER_SECONDS", 3600)
    assert len(set(map_in_threads(lambda _: threading.get_ident(), range(50), 4))) == 1


def test_a_wait_is_broken_by_as_many_answers_in_a_row_as_there_are_threads():
    """Two threads that start together also end together: every second result is ready at once."""
    answered, readers = Future(), DaemonThreadPool(4)
    answered.set_result(None)
    readers._started, readers._waited = 2, 0.02
    readers.result_scaling_up(answered)
    assert readers._waited == 0.02
    readers.result_scaling_up(answered)
    assert readers._waited == 0


def test_what_has_not_begun_when_nobody_wants_it_any_more_is_not_begun():
    release, begun = threading.Event(), []
    with DaemonThreadPool(1) as readers:
        readers.submit(release.wait)
        late = readers.submit(begun.append, 1)
    release.set()
    assert not late.done() and begun == []
