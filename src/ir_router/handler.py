"""The entry point of every deployment."""

from __future__ import annotations

from typing import Any

from ir_router import observability, router
from ir_router.settings import settings


def lambda_handler(event: Any, context: Any) -> Any:
    """Route the event to its handler and return the handler's answer.

    Raises UnknownEventError or RouteNotServedError for events that are not this deployment's.
    """
    observability.begin_invocation(context)
    route = router.recognise(event)
    return router.handler_of(route, settings().routes)(event, context)
