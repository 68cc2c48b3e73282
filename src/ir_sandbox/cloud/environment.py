"""The emulator's virtual environment, created once from its locked requirements."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from pathlib import Path

from uv import find_uv_bin

from ir_operator.project import LOCAL, interpreter_version, local_interpreter
from ir_sandbox.cloud.run_folder import only_one

REQUIREMENTS = Path(__file__).with_name("emulator-requirements.txt")


class EnvironmentFailedError(Exception):
    """The emulator cannot be installed; the message contains the installer's output."""


def emulator_python() -> Path:
    """Return the interpreter of the emulator's environment; install the environment if it is missing.

    The interpreter also runs the functions, so it has the version that the local zip is built for. Raises
    EnvironmentFailedError.
    """
    interpreter = local_interpreter()
    lock_hash = hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()[:12]
    folder = LOCAL / f"emulator-{interpreter_version(interpreter)}-{lock_hash}"
    python = folder / "bin" / "python"
    finished = folder / "finished"
    with only_one("emulator"):
        if not finished.exists():
            shutil.rmtree(folder, ignore_errors=True)
            _uv("venv", "--python", str(interpreter), str(folder))
            _uv("pip", "install", "--python", str(python), "--require-hashes", "--requirement", str(REQUIREMENTS))
            finished.touch()
    return python


def aws_command() -> Path:
    """Return the AWS CLI (version 1) of the emulator's environment; raises EnvironmentFailedError."""
    return emulator_python().with_name("aws")


def _uv(*arguments: str) -> None:
    answer = subprocess.run([find_uv_bin(), "--quiet", *arguments], capture_output=True, text=True, check=False)
    if answer.returncode:
        raise EnvironmentFailedError(f"uv {arguments[0]} failed:\n{answer.stderr.strip()}")
