"""`make busy`: run `make test` while twice as many busy loops as processors run, and show the result.

No test's verdict may depend on the machine's speed. `PYTEST_ARGS` selects tests, as in `make test`.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from ir_operator.signals import StopRequested, graceful_stop

ROOT = Path(__file__).parents[2]

# A loop also ends when its parent is gone, even if nothing could end it.
_LOOP = "import os\nparent = os.getppid()\nwhile os.getppid() == parent:\n    sum(range(100_000))\n"


@contextmanager
def busy_loops(count: int) -> Iterator[list[int]]:
    """Keep processors busy for the length of a `with` block.

    Args:
        count: How many loops run.

    Yields:
        The loops' process ids.
    """
    with ExitStack() as running:
        loops = []
        for _ in range(count):
            loop = subprocess.Popen([sys.executable, "-I", "-c", _LOOP], stdin=subprocess.DEVNULL)
            loops.append(running.enter_context(loop))
            running.callback(loop.kill)  # called before the process is waited for
        yield [loop.pid for loop in loops]


def main() -> int:
    """Run the tests and return their exit code."""
    count = 2 * (os.cpu_count() or 1)
    began = time.monotonic()
    try:
        with graceful_stop(), busy_loops(count):
            print(f"busy     {count} loops run beside the tests", flush=True)
            code = subprocess.run(["make", "--no-print-directory", "test"], cwd=ROOT, check=False).returncode
    except (KeyboardInterrupt, StopRequested):
        print("failed   interrupted", file=sys.stderr)
        return 130
    state = "ok       passed" if code == 0 else f"failed   ended with {code}"
    print(f"{state} beside {count} busy loops in {time.monotonic() - began:.0f} s")
    return code


if __name__ == "__main__":
    sys.exit(main())
