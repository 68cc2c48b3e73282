"""The entry point of every deployment."""

from __future__ import annotations

from typing import Any

from ir_router import observability, router
from ir_router.settings import settings
from ir_router.whole_text import whole

# A function that initialises has a whole processor, one that runs has a share of it by its memory
# (https://serverlessland.com/content/service/lambda/guides/effectively-running-java-on-serverless/init-heavy-lifting):
# what this deployment serves is made ready now, not with its first event.
router.load(settings().routes)


def lambda_handler(event: Any, context: Any) -> Any:
    """Route the event to its handler and return the handler's answer.

    Raises UnknownEventError or RouteNotServedError for events that are not this deployment's.
    """
    observability.begin_invocation(context)
    event = whole(event)
    route = router.recognise(event)
    return router.handler_of(route, settings().routes)(event, context)
