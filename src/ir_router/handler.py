"""The entry point of every deployment."""

# ruff: noqa: E402 - the collector stops before the other imports

from __future__ import annotations

import gc

# Modules, service models and clients live as long as the process. During initialisation the collector would look
# through them again and again, which takes about a tenth of the time. Afterwards it leaves them out.
gc.disable()

from typing import Any

from ir_router import observability, router
from ir_router.settings import settings
from ir_router.unicode import replace_lone_surrogates

# Import the routes now, not with the first event: during initialisation Lambda gives a function a full processor, and
# later only the share that its memory buys
# (https://serverlessland.com/content/service/lambda/guides/effectively-running-java-on-serverless/init-heavy-lifting).
router.load(settings().routes)
gc.freeze()
gc.enable()


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
