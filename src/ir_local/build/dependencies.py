"""The locked dependencies, installed for the machine that the zip is for."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from uv import find_uv_bin

from ir_local.build.bytecode import compile_modules
from ir_local.build.errors import DependencyError
from ir_local.build.project import (
    LAMBDA_PYTHON,
    LOCAL,
    PROJECT_ROOT,
    interpreter_release,
    interpreter_version,
    local_interpreter,
)

PLATFORMS = {"arm64": "aarch64-manylinux_2_28", "x86_64": "x86_64-manylinux_2_28"}
"""Lambda's architectures as uv's platforms. The runtime python3.13 is Amazon Linux 2023 with glibc 2.34
(docs.aws.amazon.com/lambda/latest/dg/lambda-runtimes.html): wheels for 2.28 and older run on it."""


@dataclass(frozen=True)
class Target:
    """What a zip is for. `architecture` None: this machine and the interpreter of the local cloud."""

    architecture: str | None

    def install_options(self) -> list[str]:
        """uv's options that choose the wheels."""
        if self.architecture is None:
            return ["--python", str(local_interpreter())]
        return ["--python-version", LAMBDA_PYTHON, "--python-platform", PLATFORMS[self.architecture]]

    def python_version(self) -> str:
        """`major.minor` of the Python that will run the zip."""
        return LAMBDA_PYTHON if self.architecture else interpreter_version(local_interpreter())

    def compiler(self) -> Path | None:
        """An interpreter of that Python, which compiles the modules; None if this machine has none."""
        candidate = local_interpreter()
        return candidate if interpreter_version(candidate) == self.python_version() else None

    def compiled_by(self) -> str | None:
        """The release of Python whose bytecode is packed; None if none is."""
        compiler = self.compiler()
        return interpreter_release(compiler) if compiler else None


def locked_requirements() -> str:
    """The lock as requirements with hashes, without development tools; raises DependencyError."""
    return _uv(
        "export", "--frozen", "--no-dev", "--no-emit-project", "--no-header", "--no-annotate", directory=PROJECT_ROOT
    )


def installed(target: Target) -> Path:
    """A folder with the locked dependencies for `target`; made once for each state of the lock.

    The folder holds what the wheels hold, with each distribution's RECORD and WHEEL, and the compiled modules if there
    is an interpreter for them. uv refuses what does not match the lock's hashes and what has no wheel for the target.
    Raises DependencyError or BytecodeError.
    """
    requirements = locked_requirements()
    options = target.install_options()
    parts = [requirements, target.python_version(), f"bytecode of {target.compiled_by()}", *options]
    key = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
    cache = LOCAL / "dependencies"
    folder = cache / key
    if not folder.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache, prefix="new-") as scratch:
            listing = Path(scratch, "requirements.txt")
            listing.write_text(requirements, "utf-8")
            site = Path(scratch, "site")
            _uv(
                *("pip", "install", "--target", str(site), "--requirement", str(listing), *options),
                *("--require-hashes", "--only-binary", ":all:", "--no-deps", "--link-mode", "copy"),
                directory=cache,
            )
            (site / ".lock").unlink(missing_ok=True)
            if compiler := target.compiler():
                compile_modules(site, compiler)
            if not folder.exists():
                shutil.move(site, folder)
    return folder


def _uv(*arguments: str, directory: Path) -> str:
    answer = subprocess.run(
        [find_uv_bin(), "--quiet", *arguments], cwd=directory, capture_output=True, text=True, check=False
    )
    if answer.returncode:
        raise DependencyError(f"uv {arguments[0]} failed:\n{answer.stderr.strip()}")
    return answer.stdout
