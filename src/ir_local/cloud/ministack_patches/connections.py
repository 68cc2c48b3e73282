"""Answers that get lost on the way to Terraform, and what the emulator makes of the call that is then repeated.

The emulator closes a connection that was idle for 75 s; Terraform's HTTP client keeps idle ones for 90 s. A call that
is sent at the moment of closing may be carried out while its answer is lost. On a loaded machine this was also seen
without an idle connection, at the last call of a deployment. Terraform's provider repeats the call, and takes "already
exists" of AddPermission for something that passes, for five minutes; on AWS the first answer would have arrived.
"""

from __future__ import annotations

from typing import Any

from ir_local.cloud.ministack_patches.originals import module, replace, rewrite

A_DAY = 24 * 60 * 60
CONFLICT = 409

_originals: dict[str, Any] = {}
_given: dict[tuple[str, str], tuple[dict[str, Any], Any]] = {}


def apply() -> None:
    """Change the server's patience, and AddPermission; raises EmulatorChangedError."""
    rewrite(module("app"), "main", ("config.keep_alive_timeout = 75", f"config.keep_alive_timeout = {A_DAY}"))
    _originals["add"] = replace(module("services.lambda_svc"), "_add_permission", "d0f846365868", add_permission)


def add_permission(function: str, data: dict[str, Any], *further: Any) -> Any:
    """Add a statement; the very same request again gets the first answer again."""
    key = (function, str(data.get("StatementId")))
    answer = _originals["add"](function, data, *further)
    if answer[0] == CONFLICT and _given.get(key, ({}, None))[0] == data:
        return _given[key][1]
    if answer[0] != CONFLICT:
        _given[key] = (dict(data), answer)
    return answer
