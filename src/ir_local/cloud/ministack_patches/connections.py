"""The emulator's HTTP server: connections stay open until the client closes them.

The emulator closes a connection that was idle for 75 s; Terraform's HTTP client keeps idle ones for 90 s. A call that
is sent at the moment of closing may be carried out while its answer is lost, and Terraform's second try then finds that
the resource "already exists".
"""

from __future__ import annotations

from ir_local.cloud.ministack_patches.originals import module, rewrite

A_DAY = 24 * 60 * 60


def apply() -> None:
    """Change the server's patience with idle connections; raises EmulatorChangedError."""
    rewrite(module("app"), "main", ("config.keep_alive_timeout = 75", f"config.keep_alive_timeout = {A_DAY}"))
