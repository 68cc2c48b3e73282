"""Structured logs and metrics (AWS Lambda Powertools).

Each log line begins with an event id (`sqs.send_failed`) by which operators search. It contains ids, counts and error
codes, never message text, secrets, tokens or personal data.
"""

from __future__ import annotations

import json
import os
import re
from functools import cache
from typing import TYPE_CHECKING, Any, cast

from ir_router import __version__
from ir_router.settings import settings

if TYPE_CHECKING:
    from aws_lambda_powertools import Logger

METRICS_NAMESPACE = "ir-router"
_IDENTIFIER = re.compile(r"[\w:/.#-]{1,300}", re.ASCII)

# The specification's log levels are lower case; Powertools expects capitals.
_LEVEL = os.environ.get("LOG_LEVEL", "error").upper()


class _Logger:
    """Powertools' logger, imported with the first log line: most webhook requests log nothing."""

    def __getattr__(self, name: str) -> Any:
        return getattr(_powertools_logger(), name)


logger = cast("Logger", _Logger())

_request_id: list[str | None] = [None]


@cache
def _powertools_logger() -> Logger:
    from aws_lambda_powertools import Logger

    made = Logger(
        service="ir-router",
        level=_LEVEL,
        log_uncaught_exceptions=False,
        json_serializer=in_ascii,
        version=__version__,
    )
    made.append_keys(function_request_id=_request_id[0])
    return made


def in_ascii(record: dict[str, Any]) -> str:
    """Return a record as ASCII JSON, so that no character of an external id can control a terminal."""
    return json.dumps(record, default=str, separators=(",", ":"))


def identifier(value: object) -> str:
    """Return an external value for a log line if it looks like an id, else `not an id`. A sender may have forged it."""
    return value if isinstance(value, str) and _IDENTIFIER.fullmatch(value) else "not an id"


def correlate(correlation_id: str) -> None:
    """Add the id of the case or execution to every later log line of this invocation."""
    logger.set_correlation_id(identifier(correlation_id))


def begin_invocation(context: object) -> None:
    """Clear the log keys of the previous invocation and set the new request id."""
    _request_id[0] = getattr(context, "aws_request_id", None)
    if _powertools_logger.cache_info().currsize:
        logger.clear_state()
        logger.append_keys(function_request_id=_request_id[0])


def measure(name: str, value: float = 1, unit: str = "Count") -> None:
    """Emit one value of a CloudWatch metric (embedded metric format), with the deployment's prefix as dimension.

    Args:
        name: Metric name, as in terraform/alarms.tf.
        value: The value to record.
        unit: CloudWatch's unit: Count, Seconds, Milliseconds or Bytes.
    """
    from aws_lambda_powertools.metrics import MetricUnit, single_metric

    with single_metric(name=name, unit=MetricUnit(unit), value=value, namespace=METRICS_NAMESPACE) as metric:
        metric.add_dimension(name="deployment", value=settings().name_prefix)
