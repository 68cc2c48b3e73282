"""Run a command that ends with its parent process: `python lifeline.py COMMAND...`.

For programs that do not watch their parent (Terraform). When the standard input closes, the command and all its
child processes are killed. The exit code is the command's. It uses only the standard library, so it starts quickly.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading


def main(command: list[str]) -> int:
    """Run the command and return its exit code; the caller must have started this process in its own session."""
    threading.Thread(target=die_with_parent, daemon=True).start()
    return subprocess.run(command, stdin=subprocess.DEVNULL, check=False).returncode


def die_with_parent() -> None:
    """Kill this process group, including this process, when the standard input closes."""
    while os.read(sys.stdin.fileno(), 1):
        pass
    os.killpg(os.getpgrp(), signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
