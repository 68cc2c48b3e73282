"""Structured logs and metrics (AWS Lambda Powertools).

A log line carries ids, counts and error codes; never message text, secrets, tokens or personal data.
"""

from __future__ import annotations

import os

from aws_lambda_powertools import Logger

# The specification's log levels are lower case; Powertools' own variable would be read as well.
logger = Logger(service="ir-router", level=os.environ.get("LOG_LEVEL", "error").upper(), log_uncaught_exceptions=False)


def correlate(correlation_id: str) -> None:
    """Put the id of the case or execution into every later log line of this invocation."""
    logger.set_correlation_id(correlation_id)


def begin_invocation(context: object) -> None:
    """Forget what the invocation before left behind; keep the request id."""
    logger.clear_state()
    logger.append_keys(function_request_id=getattr(context, "aws_request_id", None))
