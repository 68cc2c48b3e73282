"""Lost responses to Terraform, and the emulator's handling of the repeated calls.

The emulator closes a connection after 75 idle seconds; Terraform's HTTP client keeps it for 90 s. If a call arrives
at the moment of closing, the emulator may execute it but the response is lost. On a busy machine this also happened
without an idle connection. Terraform's SDK then sends the call again. A second AddPermission gets "already exists",
which the provider treats as transient for five minutes, and a second conditional PutItem gets
"ConditionalCheckFailed", which ends the deployment. On AWS the first response would have arrived.

All attempts of a call have the same `amz-sdk-invocation-id`
(docs.aws.amazon.com/sdkref/latest/guide/feature-retry-behavior.html), so the emulator can send the first response
again. It does so for Terraform only: a function that repeats a call must meet its first effect, as on AWS.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from ir_sandbox.cloud.ministack_patches.originals import module, replace, rewrite

A_DAY = 24 * 60 * 60
CALLS_KEPT = 2000
"""The number of calls whose response is kept; a deployment makes a few hundred."""

REDIRECT = 300

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_originals: dict[str, Any] = {}
_attempts: dict[bytes, asyncio.Future[list[Message]]] = {}
"""By invocation id, in the order of the first attempts. An empty response means that the call may be repeated."""


def apply() -> None:
    """Patch the server's keep-alive timeout and repeated attempts; raises EmulatorChangedError."""
    rewrite(module("app"), "main", ("config.keep_alive_timeout = 75", f"config.keep_alive_timeout = {A_DAY}"))
    _originals["app"] = replace(module("app"), "app", "ab1297bd6cd5", app)


async def app(scope: Message, receive: Receive, send: Send) -> None:
    """Execute a call, or send the response of its earlier attempt if Terraform repeats it."""
    attempt = invocation_of_terraform(scope)
    if not attempt:
        await _originals["app"](scope, receive, send)
        return
    earlier = _attempts.get(attempt)
    if earlier is not None and (response := await asyncio.shield(earlier)):
        while (await receive()).get("more_body"):
            pass
        for message in response:
            await send(message)
        return
    await _execute(attempt, scope, receive, send)


async def _execute(attempt: bytes, scope: Message, receive: Receive, send: Send) -> None:
    result = _attempts[attempt] = asyncio.get_running_loop().create_future()
    while len(_attempts) > CALLS_KEPT:
        del _attempts[next(iter(_attempts))]
    sent: list[Message] = []

    async def record(message: Message) -> None:
        sent.append(message)
        await send(message)

    try:
        await _originals["app"](scope, receive, record)
    finally:
        result.set_result(sent if succeeded(sent) else [])


def invocation_of_terraform(scope: Message) -> bytes:
    """Return the invocation id of a call that Terraform makes, else nothing."""
    headers = {name.lower(): value for name, value in scope.get("headers", ())}
    return headers.get(b"amz-sdk-invocation-id", b"") if b"Terraform" in headers.get(b"user-agent", b"") else b""


def succeeded(response: list[Message]) -> bool:
    """Return whether a response is complete and a success. An SDK repeats other calls on purpose."""
    complete = bool(response) and response[-1]["type"] == "http.response.body" and not response[-1].get("more_body")
    return complete and int(response[0]["status"]) < REDIRECT
