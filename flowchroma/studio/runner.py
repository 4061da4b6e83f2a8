"""Run a command of the studio as long as the studio lives: python -m flowchroma.studio.runner LOCK COMMAND...

What the studio writes into this process's input is done to the command: a line "pause" or "continue". Where the input
ends, because the studio has ended, however that was, so does the command.
"""

import signal
import subprocess
import sys
import threading

from filelock import FileLock

PAUSE, CONTINUE = "pause", "continue"


def main() -> int:
    """Run it, and exit as it does. Two commands under one lock follow one another."""
    lock, *command = sys.argv[1:]
    with FileLock(lock):
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL)
        threading.Thread(target=_obey, args=(child,), daemon=True).start()
        return child.wait()


def can_pause() -> bool:
    """Whether this system can hold a process where it is."""
    return hasattr(signal, "SIGSTOP")


def _obey(child: subprocess.Popen) -> None:
    for line in sys.stdin:
        if can_pause():
            child.send_signal(signal.SIGSTOP if line.strip() == PAUSE else signal.SIGCONT)
    child.terminate()
    if can_pause():
        child.send_signal(signal.SIGCONT)  # one that is held does not end


if __name__ == "__main__":
    sys.exit(main())
