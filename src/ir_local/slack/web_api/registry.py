"""The table of Web API methods."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ir_local.slack.call import Call
from ir_local.slack.model import Json

Function = Callable[[Call], Json]


@dataclass(frozen=True)
class Method:
    """A method: its rate tier (None: special, far above what we use) and whether it reads JSON bodies.

    Slack's read methods take forms and query strings only; arguments in a JSON body are not seen.
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
    """Register a function as that method."""

    def register(function: Function) -> Function:
        METHODS[name] = Method(name, function, tier, takes_json, needs_token)
        return function

    return register
