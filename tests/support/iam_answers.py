"""Errors of IAM for one operation, as the workflow meets them."""

from __future__ import annotations

from typing import Any

import boto3
from botocore.exceptions import ClientError

from tests.support.world import World


class Answers:
    """IAM's errors for one operation, each for one call; `until` (world's clock) for every call before it."""

    def __init__(self, world: World, call: str, *codes: tuple[str, int, str], until: float | None = None) -> None:
        """Answer with (code, HTTP status, message)."""
        self._world, self._call, self._codes, self._until = world, call, list(codes), until
        boto3.DEFAULT_SESSION.events.register(f"before-call.iam.{call}", self._answer)  # type: ignore[union-attr]

    def end(self) -> None:
        """Let IAM answer as usual from now on."""
        self._codes.clear()

    def _answer(self, **_: Any) -> None:
        if not self._codes or (self._until is not None and self._world.now() >= self._until):
            return
        code, status, message = self._codes[0] if self._until is not None else self._codes.pop(0)
        error = {"Code": code, "Message": message.format(call=self._call)}
        answer: Any = {"Error": error, "ResponseMetadata": {"HTTPStatusCode": status}}
        raise ClientError(answer, self._call)
