"""Resolve the endpoint of an operation once for each client. botocore resolves it each time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

from botocore.regions import EndpointRulesetResolver


@contextmanager
def kept() -> Iterator[None]:
    """Keep the endpoints for the length of a `with` block.

    Those with parameters from within a request are resolved for each call. Those of S3 also depend on its context.
    """
    resolve: Any = EndpointRulesetResolver.construct_endpoint

    def construct(self: Any, operation_model: Any, call_args: Any, request_context: Any) -> Any:
        if operation_model.operation_context_parameters or operation_model.service_model.service_name == "s3":
            return resolve(self, operation_model, call_args, request_context)
        named = [(call_args or {}).get(parameter.member_name) for parameter in operation_model.context_parameters]
        known = self.__dict__.setdefault("kept_endpoints", {})
        call = (operation_model.name, *named)
        if call not in known:
            known[call] = resolve(self, operation_model, call_args, request_context)
        return known[call]

    with mock.patch.object(EndpointRulesetResolver, "construct_endpoint", construct):
        yield
