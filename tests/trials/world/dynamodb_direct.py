"""Give requests for DynamoDB's rows to moto's handler without HTTP.

They need no signature, no search by address and no WSGI environment, which took half of their time. Hooks, checks of
parameters, the parsing of answers and retries stay botocore's.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any
from unittest import mock
from urllib.parse import urlparse

import moto.iam.models
from botocore.awsrequest import AWSResponse
from botocore.client import BaseClient
from botocore.endpoint import Endpoint
from moto.core.botocore_stubber import BotocoreStubber, MockRawResponse
from moto.dynamodb.responses import DynamoHandler
from moto.utilities.utils import get_partition

# The answers of these are rows and numbers. The others have timestamps and members that moto leaves out.
OF_ROWS = frozenset(
    {"BatchGetItem", "BatchWriteItem", "DeleteItem", "GetItem", "PutItem", "Query", "Scan"}
    | {"TransactGetItems", "TransactWriteItems", "UpdateItem"}
)
_ADDRESS = "https://dynamodb.{}.amazonaws.com/"


class _Request:
    """The parts of a prepared request that botocore, outages and moto's handler use."""

    method, stream_output, from_wsgi_server = "POST", False, False

    def __init__(self, made: dict[str, Any], access_key: str, region: str) -> None:
        self.url, self.body, self.region = made["url"], made["body"], region
        self.raw_url, self.raw_path, self.data = self.url, "/", self.body
        scope = f"AWS4-HMAC-SHA256 Credential={access_key}/"
        self.headers: dict[str, str] = {**made["headers"], "Authorization": scope}

    def reset_stream(self) -> None:
        """Do nothing: the body is no stream."""


def has_binary(body: Any) -> bool:
    """Return whether JSON may contain a binary value. Only these differ between JSON and Python."""
    marks = (b'"B":', b'"BS":') if isinstance(body, bytes) else ('"B":', '"BS":')
    return any(mark in body for mark in marks)


@cache
def _address(url: str) -> Any:
    return urlparse(url)


def _answer(request: _Request) -> Any:
    handler: Any = DynamoHandler()
    handler.is_werkzeug_request, handler.normalized_request = False, request
    handler.headers, handler.method = request.headers, request.method
    handler.uri, handler.parsed_url = request.url, _address(request.url)
    handler.path = handler.raw_path = "/"
    handler.raw_body = handler.body = request.body.decode()
    handler.querystring = handler.data = handler.uri_match = handler.form_data = {}
    handler.region, handler.partition = request.region, get_partition(request.region)
    handler.response_headers = {"server": "amazon.com"}
    handler.params = json.loads(handler.body)
    handler.access_key, handler.current_account = handler.get_access_key(), handler.get_current_account()
    moto.iam.models.mark_account_as_visited(
        handler.current_account, handler.access_key, handler.service_name, handler.region
    )
    return handler.call_action()


@contextmanager
def direct() -> Iterator[None]:
    """Take the short way for the length of a `with` block. Binary values take the long one."""
    make: Any = BaseClient._make_request  # type: ignore[attr-defined]
    create, stub = Endpoint.create_request, BotocoreStubber.__call__

    def make_request(client: Any, model: Any, request: Any, context: Any) -> Any:
        region = client.meta.region_name
        is_of_rows = model.service_model.service_name == "dynamodb" and model.name in OF_ROWS
        if is_of_rows and request["url"] == _ADDRESS.format(region) and not has_binary(request["body"]):
            request["caller"] = client._request_signer._credentials.access_key, region
        return make(client, model, request, context)

    def create_request(endpoint: Any, made: Any, model: Any = None) -> Any:
        return _Request(made, *made["caller"]) if "caller" in made else create(endpoint, made, model)

    def stubbed(stubber: Any, event_name: str, request: Any, **options: Any) -> Any:
        if type(request) is not _Request or not stubber.enabled:
            return stub(stubber, event_name, request, **options)
        status, headers, body = _answer(request)
        return AWSResponse(request.url, status, headers, MockRawResponse(body))

    with (
        mock.patch.object(BaseClient, "_make_request", make_request),
        mock.patch.object(Endpoint, "create_request", create_request),
        mock.patch.object(BotocoreStubber, "__call__", stubbed),
    ):
        yield
