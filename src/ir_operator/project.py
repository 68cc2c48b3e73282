"""Find the files of a clone, and the Python that runs the functions of the local cloud."""

from __future__ import annotations

import functools
import shutil
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

from ir_operator import environment
from ir_operator.errors import CommandError

PROJECT_ROOT = Path(__file__).resolve().parents[2]
SOURCES = PROJECT_ROOT / "src" / "ir_router"
BUILD = PROJECT_ROOT / "build"
LOCAL = PROJECT_ROOT / ".local"
"""The folders of the clone that contains this code, for the sandbox and the tests. An installed package is in no clone,
so the operator's commands call `checkout` instead."""

LAMBDA_PYTHON = "3.13"
"""The version of the Lambda runtime `python3.13`."""


class NoCheckoutError(CommandError):
    """The command needs the files of a clone, and there is no clone."""


@dataclass(frozen=True)
class Checkout:
    """A clone of the project."""

    root: Path

    @property
    def sources(self) -> Path:
        """The package that Lambda runs."""
        return self.root / "src" / "ir_router"

    @property
    def version(self) -> str:
        """The version of the clone's sources. The running code may have another version."""
        text = (self.sources / "__init__.py").read_text("utf-8")
        return text.partition('__version__ = "')[2].partition('"')[0]

    @property
    def build(self) -> Path:
        """The folder for build results."""
        return self.root / "build"

    @property
    def local(self) -> Path:
        """The folder for caches and local state."""
        return self.root / ".local"

    @property
    def terraform(self) -> Path:
        """The Terraform root."""
        return self.root / "terraform"


def checkout() -> Checkout:
    """Return the clone that contains this code, or else the one that contains the current directory.

    Raises:
        NoCheckoutError: This code is installed, and the current directory is in no clone.
    """
    current = Path.cwd()
    for folder in (PROJECT_ROOT, current, *current.parents):
        if _is_checkout(folder):
            return Checkout(folder)
    raise NoCheckoutError(
        f"{current} is not in a clone of ir-router, so nothing was done. Change to a clone and run the command again."
    )


def _is_checkout(folder: Path) -> bool:
    project = folder / "pyproject.toml"
    if not project.is_file() or not (folder / "terraform").is_dir():
        return False
    try:
        name: object = tomllib.loads(project.read_text("utf-8")).get("project", {}).get("name")
    except (tomllib.TOMLDecodeError, UnicodeDecodeError):
        return False  # the file belongs to another project
    return name == "ir-router"


@functools.cache
def local_interpreter() -> Path:
    """Return the interpreter that runs the functions on this machine.

    This is `python3.13`, the version of Lambda, if it starts. A version manager may leave a launcher on the PATH that
    does not start. Then it is the interpreter that runs this code.
    """
    candidate = shutil.which(f"python{LAMBDA_PYTHON}")
    if candidate is not None:
        command, given = [candidate, "-c", "import sys; print(sys.executable)"], environment.for_build()
        answer = subprocess.run(command, env=given, capture_output=True, text=True, check=False)
        if answer.returncode == 0:
            return Path(answer.stdout.strip())
    return Path(sys.executable)


@functools.cache
def interpreter_version(interpreter: Path) -> str:
    """Return `major.minor` of an interpreter. Raises CalledProcessError if it does not start."""
    return interpreter_release(interpreter).rpartition(".")[0]


@functools.cache
def interpreter_release(interpreter: Path) -> str:
    """Return `major.minor.micro` of an interpreter. Raises CalledProcessError if it does not start."""
    program = "import sys; print('%d.%d.%d' % sys.version_info[:3])"
    command, given = [str(interpreter), "-c", program], environment.for_build()
    answer = subprocess.run(command, env=given, capture_output=True, text=True, check=True)
    return answer.stdout.strip()
