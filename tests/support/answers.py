"""Fakes that give answers which a unit test states."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from botocore.exceptions import ClientError


class SlackAnswers:
    """Slack's gateway, of which each call gives the next answer or raises it."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, dict[str, Any]]] = []

    def read(self, method: str, **arguments: Any) -> Any:
        self.asked.append((method, arguments))
        answer = self.answers.pop(0) if self.answers else {}
        if isinstance(answer, Exception):
            raise answer
        return answer

    post = read


class ClientAnswers:
    """A client whose operations and pages give these answers."""

    def __init__(self, **answers: Any) -> None:
        self._answers = answers
        self.asked: list[tuple[str, dict[str, Any]]] = []

    def __getattr__(self, operation: str) -> Any:
        def call(**arguments: Any) -> Any:
            self.asked.append((operation, arguments))
            return self._answers.get(operation, {})

        return call

    def get_paginator(self, operation: str) -> Any:
        def paginate(**arguments: Any) -> Any:
            self.asked.append((operation, arguments))
            return self._answers[operation]

        return SimpleNamespace(paginate=paginate)


class AnswersInTurn:
    """A client whose calls give these answers in turn, or raise them. `asked` has their arguments."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.asked: list[dict[str, Any]] = []

    def __getattr__(self, _operation: str) -> Any:
        def call(**arguments: Any) -> Any:
            self.asked.append(arguments)
            answer = self.answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer

        return call


def client_error(code: str, operation: str = "GetRole") -> ClientError:
    return ClientError({"Error": {"Code": code}}, operation) if code else ClientError({}, operation)
