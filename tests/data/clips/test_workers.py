import multiprocessing
import os
import signal
import sys
import time

import pytest

from flowchroma.data.clips.batches import start_worker


def _sleep_as_worker(pid) -> None:
    start_worker(0)
    pid.value = os.getpid()
    time.sleep(60)


def _start_a_worker(pid) -> None:
    multiprocessing.get_context("fork").Process(target=_sleep_as_worker, args=(pid,)).start()
    time.sleep(60)


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel ties a process to its parent on Linux")
def test_a_worker_dies_with_its_parent() -> None:
    context = multiprocessing.get_context("fork")
    pid = context.Value("i", 0)
    parent = context.Process(target=_start_a_worker, args=(pid,))
    parent.start()
    until = time.monotonic() + 20
    while not pid.value and time.monotonic() < until:
        time.sleep(0.05)
    os.kill(parent.pid, signal.SIGKILL)
    parent.join()
    while os.path.exists(f"/proc/{pid.value}/stat") and time.monotonic() < until:  # noqa: PTH110
        with open(f"/proc/{pid.value}/stat") as file:  # noqa: PTH123
            if file.read().rpartition(")")[2].split()[0] == "Z":
                return
        time.sleep(0.05)
    assert time.monotonic() < until
