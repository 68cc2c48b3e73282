"""`python -m ir_local.build`: build a zip and say how large it is."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from ir_local.build.dependencies import PLATFORMS, Target
from ir_local.build.errors import BuildError
from ir_local.build.package import build_package
from ir_local.build.project import BUILD


def main(arguments: list[str] | None = None) -> int:
    """Build what the command line asks for; 0 when the zip is there."""
    parser = argparse.ArgumentParser(prog="python -m ir_local.build", description="Build the functions' zip.")
    parser.add_argument("--variant", choices=["lambda", "local"], default="lambda", help="for AWS, or for this machine")
    parser.add_argument(
        "--architecture", choices=sorted(PLATFORMS), default="arm64", help="of the Lambda functions (variant lambda)"
    )
    parser.add_argument("--output", type=Path, help="the zip to write (default: build/ir_router[-local].zip)")
    options = parser.parse_args(arguments)

    local = options.variant == "local"
    output = options.output or BUILD / ("ir_router-local.zip" if local else "ir_router.zip")
    target = Target(None if local else options.architecture)
    start = time.monotonic()
    try:
        package = build_package(target, output)
    except BuildError as error:
        print(f"failed   {error}", file=sys.stderr)
        return 1
    state = f"built in {time.monotonic() - start:.1f} s" if package.built else "unchanged"
    print(f"ok       {output}  {package.size / 1024 / 1024:.1f} MB  {state}")
    if target.compiler() is None:
        version = target.python_version()
        print(f"note     python{version} does not start here, so no compiled modules: functions start more slowly.")
        print(f"         `uv python install {version}`, or a package of your system, brings it; then build again.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
