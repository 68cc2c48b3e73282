"""Compile the modules in the zip, so that Lambda does not compile them at each cold start.

A function's folder is read-only on Lambda, so Python cannot keep compiled modules there. The zip contains modules
compiled for the Python that runs it. They are marked "unchecked-hash" (PEP 552), because file times mean nothing in a
zip. The same source and the same release of Python give the same bytes on any processor.
"""

from __future__ import annotations

import subprocess
from pathlib import Path, PurePosixPath

from ir_operator import environment
from ir_operator.build.errors import BytecodeError


def compile_modules(folder: Path, interpreter: Path) -> None:
    """Compile every module below `folder` into its `__pycache__`. Raises BytecodeError."""
    answer = subprocess.run(
        [interpreter, "-I", "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", "-s", folder, folder],
        env=environment.for_build(),
        capture_output=True,
        text=True,
        check=False,
    )
    if answer.returncode:
        raise BytecodeError(
            f"The zip was not built, because a module cannot be compiled:\n{(answer.stdout + answer.stderr).strip()}"
        )


def source_of(compiled: PurePosixPath) -> PurePosixPath:
    """Return the path of the module from which a file in `__pycache__` was compiled."""
    return compiled.parent.parent / f"{compiled.name.partition('.')[0]}.py"
