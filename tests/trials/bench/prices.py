"""AWS's list prices in us-east-1, in US dollars, without free tiers. No other module contains prices.

The prices of Lambda, DynamoDB, Step Functions, KMS and CloudWatch were compared in November 2026 with copies of these
pages and with articles from the first half of 2026. The prices of SQS, API Gateway and EventBridge were not. Prices
change: check the page before you rely on a figure.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Price:
    """The price in `usd` per `unit`, and the page that states it."""

    usd: float
    unit: str
    source: str


_CLOUDWATCH = "https://aws.amazon.com/cloudwatch/pricing/"
_DYNAMODB = "https://aws.amazon.com/dynamodb/pricing/on-demand/"
_KMS = "https://aws.amazon.com/kms/pricing/"
_LAMBDA = "https://aws.amazon.com/lambda/pricing/"

MILLION = 1_000_000

LAMBDA_GB_SECOND = Price(0.0000133334, "GB-second on arm64", _LAMBDA)
LAMBDA_REQUEST = Price(0.20 / MILLION, "invocation", _LAMBDA)
DYNAMODB_WRITE = Price(0.625 / MILLION, "write request unit", _DYNAMODB)
DYNAMODB_READ = Price(0.125 / MILLION, "read request unit", _DYNAMODB)
SQS_FIFO_REQUEST = Price(0.50 / MILLION, "request", "https://aws.amazon.com/sqs/pricing/")
SQS_REQUEST = Price(0.40 / MILLION, "request to a standard queue", "https://aws.amazon.com/sqs/pricing/")
API_GATEWAY_REQUEST = Price(3.50 / MILLION, "REST request", "https://aws.amazon.com/api-gateway/pricing/")
EVENTBRIDGE_EVENT = Price(1.00 / MILLION, "custom event", "https://aws.amazon.com/eventbridge/pricing/")
STATE_TRANSITION = Price(
    0.025 / 1000, "transition of a standard workflow", "https://aws.amazon.com/step-functions/pricing/"
)
KMS_KEY = Price(1.00, "customer-managed key and month", _KMS)
KMS_REQUEST = Price(0.03 / 10_000, "request", _KMS)
ALARM = Price(0.10, "standard-resolution alarm and month", _CLOUDWATCH)
CUSTOM_METRIC = Price(0.30, "metric and month", _CLOUDWATCH)
DASHBOARD = Price(3.00, "dashboard and month", _CLOUDWATCH)
LOGS_GB = Price(0.50, "GB taken in", _CLOUDWATCH)
