"""Compiled modules: without them Lambda compiles every module that it imports at each cold start.

A function's folder cannot be written on Lambda, so what Python compiles there is never kept. The modules are compiled
for the Python that will run the zip, marked to be taken as they are (PEP 552, "unchecked-hash"): times of files mean
nothing in a zip. The same source and the same release of Python give the same bytes, on any processor.
"""

from __future__ import annotations

import subprocess
from pathlib import Path, PurePosixPath

from ir_local.build.errors import BytecodeError


def compile_modules(folder: Path, interpreter: Path) -> None:
    """Compile every module below `folder` into its `__pycache__`; raises BytecodeError."""
    answer = subprocess.run(
        [interpreter, "-I", "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", "-s", folder, folder],
        capture_output=True,
        text=True,
        check=False,
    )
    if answer.returncode:
        raise BytecodeError(f"modules cannot be compiled:\n{(answer.stdout + answer.stderr).strip()}")


def source_of(compiled: PurePosixPath) -> PurePosixPath:
    """The module that a file of a `__pycache__` was compiled from."""
    return compiled.parent.parent / f"{compiled.name.partition('.')[0]}.py"
