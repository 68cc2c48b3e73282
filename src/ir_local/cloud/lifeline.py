"""Runs a command that never outlives who started it: `python lifeline.py COMMAND...`, standard input as sign of life.

For programs that cannot watch their parent themselves (Terraform). When the standard input ends, the command and all
that it started are killed. Ends with the command's code. Only the standard library: it starts quickly.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading


def main(command: list[str]) -> int:
    """Run the command as the leader of a process group of its own; the caller gave us a session."""
    threading.Thread(target=die_with_parent, daemon=True).start()
    return subprocess.run(command, stdin=subprocess.DEVNULL, check=False).returncode


def die_with_parent() -> None:
    """Kill our process group, ourselves included, when the standard input ends."""
    while os.read(sys.stdin.fileno(), 1):
        pass
    os.killpg(os.getpgrp(), signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
