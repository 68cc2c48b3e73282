"""The entry point of every deployment."""

from __future__ import annotations

from typing import Any

from ir_router import observability, router
from ir_router.settings import settings
from ir_router.unicode import replace_lone_surrogates

# Import the routes now, not with the first event: during initialisation Lambda gives a function a full processor, and
# later only the share that its memory buys
# (https://serverlessland.com/content/service/lambda/guides/effectively-running-java-on-serverless/init-heavy-lifting).
router.load(settings().routes)


def lambda_handler(event: Any, context: Any) -> Any:
    """Route the event to its handler and return the handler's answer.

    Raises:
        UnknownEventError: No route recognises the event.
        RouteNotServedError: This deployment does not serve the event's route.
    """
    observability.begin_invocation(context)
    event = replace_lone_surrogates(event)
    route = router.recognise(event)
    return router.handler_of(route, settings().routes)(event, context)
