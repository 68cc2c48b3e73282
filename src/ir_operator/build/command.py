"""The sub-command build: build the zip and print its size."""

from __future__ import annotations

import argparse
import time

from ir_operator.build.dependencies import Target
from ir_operator.build.package import build_package
from ir_operator.project import checkout


def execute_command(options: argparse.Namespace) -> int:
    """Build the zip and return 0.

    Raises:
        BuildError: The zip cannot be built.
        NoCheckoutError: There is no clone.
    """
    local = options.variant == "local"
    output = options.output or checkout().build / ("ir_router-local.zip" if local else "ir_router.zip")
    target = Target(None if local else options.architecture)
    start = time.monotonic()
    package = build_package(target, output)
    state = f"built in {time.monotonic() - start:.1f} s" if package.built else "unchanged"
    print(f"ok       {output}  {package.size / 1024 / 1024:.1f} MB  {state}")
    if target.compiler() is None:
        version = target.python_version()
        print(
            f"note     python{version} does not start here, so the zip has no compiled modules. Functions start slowly."
        )
        print(f"         Install it (`uv python install {version}`, or a package of your system), then build again.")
    return 0
