"""The table of Web API methods."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ir_sandbox.slack.call import Call
from ir_sandbox.slack.model import Json

Function = Callable[[Call], Json]


@dataclass(frozen=True)
class Method:
    """A Web API method.

    Attributes:
        name: The method's name.
        function: The implementation.
        tier: The rate tier, 1 to 4; None for methods with a special limit, far above the app's usage.
        takes_json: Whether it reads JSON bodies. Slack's read methods ignore arguments in a JSON body.
        needs_token: Whether a call needs a token.
    """

    name: str
    function: Function
    tier: int | None
    takes_json: bool
    needs_token: bool


METHODS: dict[str, Method] = {}


def web_api_method(
    name: str, *, tier: int | None, takes_json: bool = False, needs_token: bool = True
) -> Callable[[Function], Function]:
    """Register the decorated function as a Web API method; see `Method` for the arguments."""

    def register(function: Function) -> Function:
        METHODS[name] = Method(name, function, tier, takes_json, needs_token)
        return function

    return register
