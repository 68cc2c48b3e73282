"""The start of the incident on its case. CreateCase does not accept this field, but UpdateCase does.

Source: botocore's model of `security-ir` 2018-05-10 (`actualIncidentStartDate`).
"""

from __future__ import annotations

from datetime import datetime

from ir_router.errors import IrRouterError
from ir_router.observability import logger
from ir_router.security_ir import gateway


def set_on(case_id: str, event_time: str | None) -> None:
    """Set the start of the incident to the event's time if it is known. A case without this field is complete too."""
    if not event_time:
        return
    try:
        gateway.update_case(case_id, actualIncidentStartDate=datetime.fromisoformat(event_time))
    except IrRouterError as error:
        logger.warning(
            "case.start_not_set: the case has no actual start of the incident", extra={"error": type(error).__name__}
        )
