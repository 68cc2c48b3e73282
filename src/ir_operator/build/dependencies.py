"""Install the locked dependencies for the platform that runs the zip."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from ir_operator import environment
from ir_operator.build.bytecode import compile_modules
from ir_operator.build.errors import DependencyError
from ir_operator.project import (
    LAMBDA_PYTHON,
    checkout,
    interpreter_release,
    interpreter_version,
    local_interpreter,
)

PLATFORMS = {"arm64": "aarch64-manylinux_2_28", "x86_64": "x86_64-manylinux_2_28"}
"""uv's platform for each of Lambda's architectures. The runtime python3.13 is Amazon Linux 2023 with glibc 2.34
(docs.aws.amazon.com/lambda/latest/dg/lambda-runtimes.html), which runs wheels for glibc 2.28 and older."""


@dataclass(frozen=True)
class Target:
    """The platform of a zip. If `architecture` is None, it is this machine with the local cloud's interpreter."""

    architecture: str | None

    def install_options(self) -> list[str]:
        """Return the options with which uv selects the wheels."""
        if self.architecture is None:
            return ["--python", str(local_interpreter())]
        return ["--python-version", LAMBDA_PYTHON, "--python-platform", PLATFORMS[self.architecture]]

    def python_version(self) -> str:
        """Return `major.minor` of the Python that runs the zip."""
        return LAMBDA_PYTHON if self.architecture else interpreter_version(local_interpreter())

    def compiler(self) -> Path | None:
        """Return an interpreter of that Python version, or None if this machine has none."""
        candidate = local_interpreter()
        return candidate if interpreter_version(candidate) == self.python_version() else None

    def compiled_by(self) -> str | None:
        """Return the release of Python that compiles the modules, or None if they are not compiled."""
        compiler = self.compiler()
        return interpreter_release(compiler) if compiler else None


def locked_requirements() -> str:
    """Return the lock as requirements with hashes, without development tools. Raises DependencyError."""
    return _uv(
        "export", "--frozen", "--no-dev", "--no-emit-project", "--no-header", "--no-annotate", directory=checkout().root
    )


def installed(target: Target) -> Path:
    """Return a folder with the installed dependencies. It is made once for each state of the lock.

    The folder contains the files of the wheels, with RECORD and WHEEL of each distribution. If there is an interpreter
    for the target, it also contains the compiled modules.

    Raises:
        DependencyError: A wheel does not match the lock's hash, or there is none for the target.
        BytecodeError: A module cannot be compiled.
    """
    requirements = locked_requirements()
    options = target.install_options()
    parts = [requirements, target.python_version(), f"bytecode of {target.compiled_by()}", *options]
    key = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
    cache = checkout().local / "dependencies"
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
    command, given = [_uv_program(), "--quiet", *arguments], environment.for_build()
    answer = subprocess.run(command, cwd=directory, env=given, capture_output=True, text=True, check=False)
    if answer.returncode:
        raise DependencyError(f"Nothing was built, because uv {arguments[0]} failed:\n{answer.stderr.strip()}")
    return answer.stdout


def _uv_program() -> str:
    """Return the clone's locked uv, or else the machine's."""
    try:
        # uv is a development tool and no dependency of an installed ir-router.
        from uv import find_uv_bin
    except ImportError:
        found = shutil.which("uv", path=f"{checkout().root / '.venv' / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}")
        if found is None:
            raise DependencyError("uv is missing, so nothing was built. Run `make setup` in the clone.") from None
        return found
    return find_uv_bin()
