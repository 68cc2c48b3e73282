"""Compile the test modules as pytest does, before workers start: `python -m tests.support.compiled`.

pytest rewrites the `assert` statements of a module and keeps the result in `__pycache__`. In a new checkout each worker
would do so for all modules at the same time, which took more than a minute. A checkout with results needs no time.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from ir_operator.project import PROJECT_ROOT


def modules_without_result(tests: Path) -> list[Path]:
    """Return the test modules that changed since pytest last compiled them, or that it never did."""
    return [module for module in sorted(tests.rglob("test_*.py")) if not _has_result(module)]


def _has_result(module: Path) -> bool:
    results = (module.parent / "__pycache__").glob(f"{module.stem}.*-pytest-*.pyc")
    return any(result.stat().st_mtime >= module.stat().st_mtime for result in results)


def main() -> int:
    """Let pytest collect the modules, one process for each processor. Its errors appear when the tests run."""
    left = modules_without_result(PROJECT_ROOT / "tests")
    parts = [left[first :: os.cpu_count() or 1] for first in range(os.cpu_count() or 1)]
    command = [sys.executable, "-m", "pytest", "--collect-only", "-qq", "-p", "no:cacheprovider"]
    running = [
        subprocess.Popen([*command, *map(str, part)], cwd=PROJECT_ROOT, stdout=subprocess.DEVNULL)
        for part in parts
        if part
    ]
    for process in running:
        process.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
