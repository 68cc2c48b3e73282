"""Structured logs and metrics (AWS Lambda Powertools).

A log line carries ids, counts and error codes; never message text, secrets, tokens or personal data.
"""

from __future__ import annotations

import os

from aws_lambda_powertools import Logger

from ir_router.settings import settings

METRICS_NAMESPACE = "ir-router"

# The specification's log levels are lower case; Powertools' own variable would be read as well.
logger = Logger(service="ir-router", level=os.environ.get("LOG_LEVEL", "error").upper(), log_uncaught_exceptions=False)


def correlate(correlation_id: str) -> None:
    """Put the id of the case or execution into every later log line of this invocation."""
    logger.set_correlation_id(correlation_id)


def begin_invocation(context: object) -> None:
    """Forget what the invocation before left behind; keep the request id."""
    logger.clear_state()
    logger.append_keys(function_request_id=getattr(context, "aws_request_id", None))


def measure(name: str, value: float = 1, unit: str = "Count") -> None:
    """Emit one value of a CloudWatch metric (embedded metric format), with the deployment's prefix as dimension.

    `unit` is CloudWatch's: Count, Seconds, Milliseconds, Bytes. The names are listed in terraform/alarms.tf.
    """
    from aws_lambda_powertools.metrics import MetricUnit, single_metric

    with single_metric(name=name, unit=MetricUnit(unit), value=value, namespace=METRICS_NAMESPACE) as metric:
        metric.add_dimension(name="deployment", value=settings().name_prefix)
