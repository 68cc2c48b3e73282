"""The leak check: what the functions log and what they show people, searched for what belongs in neither.

    with leaks.watching() as leaks:
        with own_world() as world:
            ...  # texts carry CANARY
            leaks.look(world)
    leaks.search  # `found` must be empty; for Run.searches

A secret (token, signing secret, task token, `response_url`, presigned address) belongs nowhere. A text of people, which
carries `CANARY`, belongs in Slack and on cases, but in no log, no metric, no audit record and no error answer.
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

from ir_local.proof.part import Search
from ir_local.slack.snapshot import snapshot
from ir_local.world import World
from ir_local.world.scenarios.canary import CANARY

# The part of a presigned address that opens it, whoever signed.
_PRESIGNED = re.compile(r"X-Amz-Signature=[0-9a-f]{16,}")
_EXCERPT = 60


__all__ = ["CANARY", "Leaks", "watching"]


@dataclass
class Leaks:
    """`found`: a line for each leak. `logged`: how many characters were searched, so that silence can be told."""

    found: list[str] = field(default_factory=list)
    logged: int = 0
    _secrets: dict[str, str] = field(default_factory=dict)

    @property
    def search(self) -> Search:
        """What came of it, for `Run.searches`."""
        return Search(tuple(self.found), self.logged)

    def look(self, world: World) -> None:
        """Learn a world's secrets and search what it shows and keeps; call it before the world ends."""
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
        # Where each was posted to is the workspace's own note; what was posted is what people see.
        slack["response_posts"] = [post["body"] for post in slack["response_posts"]]
        for view in slack["views"]:
            view.pop("private_metadata", None)  # the app's own memory, which nobody is shown
        shown = json.dumps([slack, world.security_ir.snapshot()], default=str)
        self._search("the audit", audit, CANARY)
        self._search("an error answer", errors, CANARY)
        self._search("Slack or a case", shown)

    def _search(self, where: str, text: str, *texts_of_people: str) -> None:
        for secret, what in (self._secrets | dict.fromkeys(texts_of_people, "a text of people")).items():
            if (at := text.find(secret)) >= 0:
                before = text[max(0, at - _EXCERPT) : at]
                self.found.append(f"{what} is in {where}, after: {before!r}")
        if presigned := _PRESIGNED.search(text):
            self.found.append(f"a presigned address is in {where}, after: {text[: presigned.start()][-_EXCERPT:]!r}")


@contextlib.contextmanager
def watching() -> Iterator[Leaks]:
    """Take everything that this process writes, at every level of the log, and search it in the end."""
    leaks = Leaks()
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="surrogateescape") as taken:
        with _all_output_to(taken):
            yield leaks
        taken.seek(0)
        logged = taken.read()
    leaks.logged += len(logged)
    leaks._search("the log", logged, CANARY)  # noqa: SLF001 - its own module


@contextlib.contextmanager
def _all_output_to(taken: IO[str]) -> Iterator[None]:
    """File descriptors, Python's streams and the handlers that kept an earlier stream."""
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
        # Lambda's runtime logs warnings of all libraries.
        root, of_lambda = logging.getLogger(), logging.StreamHandler(taken)
        of_lambda.setLevel(logging.WARNING)
        root.addHandler(of_lambda)
        put_back.callback(root.removeHandler, of_lambda)
        ours = logging.getLogger("ir-router")
        put_back.callback(ours.setLevel, ours.level)
        ours.setLevel(logging.DEBUG)
        yield


def _put_streams_back(before: Mapping[logging.StreamHandler[Any], Any], otherwise: IO[str]) -> None:
    """Also of handlers that came while the output was taken."""
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
    # The last piece of the path is what nobody can guess.
    return secrets | {path.rsplit("/", 1)[1]: "a response_url" for path in store.response_urls}


def _error_answers(world: World) -> list[Any]:
    """What callers see of failed invocations, and the door's answers that are no success."""
    answers: list[Any] = []
    for invocation in world.invocations:
        if invocation.error is not None:
            answers.append(f"{type(invocation.error).__name__}: {invocation.error}")
        elif invocation.deployment == "webhook" and invocation.value["statusCode"] >= 400:
            answers.append(invocation.value)
    return answers
