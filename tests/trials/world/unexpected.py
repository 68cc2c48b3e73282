"""Find errors of the code under test that a retry, a queue, an `except` or a log line hid from the test.

A scenario checks the end state, and the system repairs many failures itself. A TypeError would go unnoticed if a retry
succeeds. Therefore each world fails its test if an error occurred whose type the test did not declare.
"""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Mapping
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError

from ir_router.errors import InvalidInputError, IrRouterError, UncertainError
from tests.trials.world.wire import FunctionDiedError

# Scenarios often cause these on purpose: wrong input, a dead sandbox and a service that does not answer.
ALWAYS_EXPECTED: tuple[type[BaseException], ...] = (InvalidInputError, FunctionDiedError, UncertainError)

# The code may catch and log these: rejections and services that do not answer. Any other error is a bug.
_HANDLED: tuple[type[BaseException], ...] = (IrRouterError, ClientError, BotoCoreError, OSError)
# Error codes for an invalid request. No state of the account causes them.
_MALFORMED = frozenset({"ValidationException", "ValidationError", "SerializationException"})
# Security Incident Response returns the same code for an unknown id, and the code under test expects it there.
_USES_CODE_FOR_UNKNOWN_IDS = "security-ir"

# Functions raise these if a service fails or a sandbox dies. For trials that cause this at every call.
RAISED_WHEN_SERVICES_FAIL: tuple[type[BaseException], ...] = (IrRouterError, ClientError, BotoCoreError)

_LOGGER = "ir-router"


class MalformedRequestError(AssertionError):
    """AWS rejected a request as malformed."""


class UnexpectedErrorsError(AssertionError):
    """Functions raised or logged errors that the test did not declare."""


class Unexpected:
    """The errors of one world. Each place and type is kept once, with the traceback of its first occurrence."""

    def __init__(self) -> None:
        """Start without errors. Only the types of ALWAYS_EXPECTED are allowed."""
        self._allowed: set[type[BaseException]] = set(ALWAYS_EXPECTED)
        self._required: set[type[BaseException]] = set()
        self._found: dict[tuple[str, type[BaseException], str], str] = {}

    def expect(self, *types: type[BaseException]) -> None:
        """Declare errors that must occur in this world. The test fails if one never occurs."""
        self._required |= set(types)
        self.allow(*types)

    def allow(self, *types: type[BaseException]) -> None:
        """Declare errors that may occur in this world."""
        self._allowed |= set(types)

    def note(self, where: str, error: BaseException) -> None:
        """Record an error that was caught outside the test."""
        frames = traceback.extract_tb(error.__traceback__, limit=-1)
        line = f"{frames[0].filename}:{frames[0].lineno}" if frames else ""
        key = (where, type(error), line or str(error))
        if key not in self._found:
            self._found[key] = "".join(traceback.format_exception(error))

    def filter(self, record: logging.LogRecord) -> bool:
        """Record the handled error if a log record has level ERROR and that error is a bug. Pass each record on."""
        error = sys.exc_info()[1]
        if record.levelno >= logging.ERROR and error is not None and _is_mistake(error):
            self.note(f"logged {record.getMessage()!r}", error)
        return True

    def answered(self, parsed: Any, model: Any, **_: Any) -> None:
        """Record an answer of AWS that reports a malformed request. A handler for botocore's `after-call`."""
        code = (parsed or {}).get("Error", {}).get("Code") if isinstance(parsed, Mapping) else None
        if code in _MALFORMED and model.service_model.service_name != _USES_CODE_FOR_UNKNOWN_IDS:
            message = f"{code}: {parsed['Error'].get('Message')}"
            self.note(f"{model.service_model.service_name} {model.name}", MalformedRequestError(message))

    def lines(self) -> list[str]:
        """Return each unexpected error with its place and traceback, and each declared error that never occurred."""
        allowed = tuple(self._allowed)
        lines = [
            f"{kind.__name__} in {where}\n{trace}"
            for (where, kind, _), trace in self._found.items()
            if not issubclass(kind, allowed)
        ]
        occurred = [kind for _, kind, _ in self._found]
        missing = [one for one in self._required if not any(issubclass(kind, one) for kind in occurred)]
        return lines + [f"{one.__name__} was declared and never raised" for one in missing]

    def check(self) -> None:
        """Raise UnexpectedErrorsError if an error was unexpected or a declared error is missing."""
        if lines := self.lines():
            raise UnexpectedErrorsError("\n".join(lines))

    def attach(self) -> None:
        """Add this object as a filter to the functions' logger, so that it sees each record."""
        logging.getLogger(_LOGGER).addFilter(self)

    def detach(self) -> None:
        """Remove the filter from the logger."""
        logging.getLogger(_LOGGER).removeFilter(self)


def _is_mistake(error: BaseException) -> bool:
    return not isinstance(error, _HANDLED) or isinstance(error, ParamValidationError)


def event_kind(event: Any) -> str:
    """Return the kind of an invocation's event in a few words, without its content."""
    if not isinstance(event, Mapping):
        return type(event).__name__
    for name in ("task", "detail-type", "path"):
        if isinstance(event.get(name), str):
            return f"{name} {event[name]}"
    if isinstance(event.get("Records"), list) and event["Records"]:
        return f"records of {event['Records'][0].get('eventSourceARN', 'unknown')}"
    return "keys " + ", ".join(sorted(map(str, event)))
