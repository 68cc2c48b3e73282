"""Where things are in the project, and which Python the local cloud's functions run on."""

from __future__ import annotations

import functools
import shutil
import subprocess
import sys
from pathlib import Path

PROJECT_ROOT = Path(__file__).resolve().parents[3]
SOURCES = PROJECT_ROOT / "src" / "ir_router"
BUILD = PROJECT_ROOT / "build"
LOCAL = PROJECT_ROOT / ".local"

LAMBDA_PYTHON = "3.13"
"""The version of the Lambda runtime `python3.13`."""


@functools.cache
def local_interpreter() -> Path:
    """The interpreter that plays the Lambda runtime on this machine.

    Lambda's own version where `python3.13` really starts (a version manager may leave a launcher on the PATH that
    does not), else the interpreter that runs us.
    """
    candidate = shutil.which(f"python{LAMBDA_PYTHON}")
    if candidate is not None:
        answer = subprocess.run(
            [candidate, "-c", "import sys; print(sys.executable)"], capture_output=True, text=True, check=False
        )
        if answer.returncode == 0:
            return Path(answer.stdout.strip())
    return Path(sys.executable)


@functools.cache
def interpreter_version(interpreter: Path) -> str:
    """`major.minor` of an interpreter; raises CalledProcessError if it does not start."""
    return interpreter_release(interpreter).rpartition(".")[0]


@functools.cache
def interpreter_release(interpreter: Path) -> str:
    """`major.minor.micro` of an interpreter; raises CalledProcessError if it does not start."""
    question = "import sys; print('%d.%d.%d' % sys.version_info[:3])"
    answer = subprocess.run([interpreter, "-c", question], capture_output=True, text=True, check=True)
    return answer.stdout.strip()
