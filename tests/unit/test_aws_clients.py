"""What a service that is silent may cost: the door must still answer within API Gateway's time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.retries.standard import ExponentialBackoff, RetryContext

from ir_router import aws

# The integration's time-out: https://docs.aws.amazon.com/apigateway/latest/developerguide/limits.html
API_GATEWAY_SECONDS = 29


@pytest.fixture(autouse=True)
def _own_clients(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    aws.forget_session()
    yield
    aws.forget_session()


def test_given_a_silent_service_when_all_tries_are_spent_then_there_is_time_left_to_answer() -> None:
    config: Any = aws.client("sqs").meta.config
    tries = config.retries["total_max_attempts"]
    assert config.retries["mode"] == "standard"
    pauses = ExponentialBackoff(random=lambda: 1.0)
    waited = sum(pauses.delay_amount(RetryContext(attempt_number=number)) for number in range(1, tries))

    spent = tries * (config.connect_timeout + config.read_timeout) + waited

    assert tries >= 3, "throttling is mostly over at the third try"
    assert spent <= API_GATEWAY_SECONDS - 2
