"""The leak check: search logs and all visible output for text that must not be there.

    with leaks.watching() as leaks:
        with running_world() as world:
            ...  # texts carry CANARY
            leaks.scan(world)
    leaks.search  # `found` must be empty; for Run.searches

A secret (token, signing secret, task token, `response_url`, presigned address) must appear nowhere. User text, marked
with `CANARY`, may appear in Slack and on cases, but in no log, metric, audit record or error answer.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import IO, Any

import boto3

from ir_sandbox.slack.snapshot import snapshot
from tests.trials.proof.part import Search
from tests.trials.world import World
from tests.trials.world.scenarios.canary import CANARY

# The part of a presigned address that grants access, independent of the signer.
_PRESIGNED = re.compile(r"X-Amz-Signature=[0-9a-f]{16,}")
_EXCERPT = 60


__all__ = ["CANARY", "Leaks", "watching"]


@dataclass
class Leaks:
    """The leaks that were found, a line each, and the number of characters searched (`logged`), to detect an empty
    search.
    """

    found: list[str] = field(default_factory=list)
    logged: int = 0
    _secrets: dict[str, str] = field(default_factory=dict)

    @property
    def search(self) -> Search:
        """Return the result for `Run.searches`."""
        return Search(tuple(self.found), self.logged)

    def scan(self, world: World) -> None:
        """Collect a simulator's secrets and search everything that it shows and stores. Call it before the simulator
        ends.
        """
        self._secrets |= _secrets(world)
        pages = boto3.client("dynamodb").get_paginator("scan").paginate(TableName="ledger")
        ledger = [
            {name: next(iter(value.values())) for name, value in row.items()} for page in pages for row in page["Items"]
        ]
        tokens = [row["token"] for row in ledger if str(row["PK"]).startswith("TOKEN#") and "token" in row]
        self._secrets |= {str(token): "a task token" for token in tokens}
        audit = json.dumps([row for row in ledger if str(row["PK"]).startswith("AUDIT#")], default=str)
        errors = json.dumps(_error_answers(world))
        slack = snapshot(world.workspace)
        # The target address of a post is a note of the local workspace; users see the body only.
        slack["response_posts"] = [post["body"] for post in slack["response_posts"]]
        for view in slack["views"]:
            view.pop("private_metadata", None)  # the app's own state, which Slack shows to no user
        shown = json.dumps([slack, world.security_ir.snapshot()], default=str)
        self._search("the audit", audit, CANARY)
        self._search("an error answer", errors, CANARY)
        self._search("Slack or a case", shown)

    def add(self, other: Leaks) -> None:
        """Take over the leaks that another process found, and the secrets of its part of the log."""
        self.found += [line for line in other.found if line not in self.found]
        self._secrets |= other._secrets

    def _search(self, where: str, text: str, *texts_of_people: str) -> None:
        for secret, what in (self._secrets | dict.fromkeys(texts_of_people, "user text")).items():
            if (at := text.find(secret)) >= 0:
                before = text[max(0, at - _EXCERPT) : at]
                self.found.append(f"{what} is in {where}, after: {before!r}")
        if presigned := _PRESIGNED.search(text):
            self.found.append(f"a presigned address is in {where}, after: {text[: presigned.start()][-_EXCERPT:]!r}")


@contextlib.contextmanager
def watching() -> Iterator[Leaks]:
    """Capture everything that this process writes, at every log level, and search it at the end."""
    leaks = Leaks()
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="surrogateescape") as taken:
        with _all_output_to(taken):
            yield leaks
        taken.seek(0)
        logged = taken.read()
    leaks.logged += len(logged)
    leaks._search("the log", logged, CANARY)


@contextlib.contextmanager
def _all_output_to(taken: IO[str]) -> Iterator[None]:
    """Redirect the file descriptors, Python's streams and the log handlers that hold an earlier stream."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    with contextlib.ExitStack() as put_back:
        for descriptor in (1, 2):
            before = os.dup(descriptor)
            put_back.callback(os.close, before)
            put_back.callback(os.dup2, before, descriptor)
            os.dup2(taken.fileno(), descriptor)
        put_back.callback(taken.flush)
        usual = sys.stdout
        put_back.enter_context(contextlib.redirect_stdout(taken))
        put_back.enter_context(contextlib.redirect_stderr(taken))
        before_streams = {handler: handler.stream for handler in _stream_handlers()}
        put_back.callback(_put_streams_back, before_streams, usual)
        for handler in before_streams:
            handler.setStream(taken)
        # Lambda's runtime logs the warnings of all libraries.
        root, of_lambda = logging.getLogger(), logging.StreamHandler(taken)
        of_lambda.setLevel(logging.WARNING)
        root.addHandler(of_lambda)
        put_back.callback(root.removeHandler, of_lambda)
        ours = logging.getLogger("ir-router")
        put_back.callback(ours.setLevel, ours.level)
        ours.setLevel(logging.DEBUG)
        yield


def _put_streams_back(before: Mapping[logging.StreamHandler[Any], Any], otherwise: IO[str]) -> None:
    """Restore the streams, including those of handlers that were added during the capture."""
    for handler in _stream_handlers():
        handler.setStream(before.get(handler, otherwise))


def _stream_handlers() -> list[logging.StreamHandler[Any]]:
    loggers = [logging.getLogger(name) for name in list(logging.Logger.manager.loggerDict)]
    handlers = [handler for logger in loggers for handler in logger.handlers]
    return [handler for handler in handlers if type(handler) is logging.StreamHandler]


def _secrets(world: World) -> dict[str, str]:
    store = world.workspace.store
    secrets = dict.fromkeys(store.tokens, "a bot token")
    for app in store.apps.values():
        secrets |= {app.token: "a bot token", app.signing_secret: "a signing secret"}
    # The last part of the path is the secret.
    return secrets | {path.rsplit("/", 1)[1]: "a response_url" for path in store.response_urls}


def _error_answers(world: World) -> list[Any]:
    """Return the errors that callers see, and the webhook's responses with an error status."""
    answers: list[Any] = []
    for invocation in world.invocations:
        if invocation.error is not None:
            answers.append(f"{type(invocation.error).__name__}: {invocation.error}")
        elif invocation.deployment == "webhook" and invocation.value["statusCode"] >= 400:
            answers.append(invocation.value)
    return answers
