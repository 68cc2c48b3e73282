"""Shortcuts of moto's DynamoDB, which took most of a scenario's time. The answers are those of moto's own code.

moto and botocore convert each row value by value, by the shapes of the service model. A row without binary values is
its own conversion, and a request or a response with one takes the long way.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import lru_cache
from typing import Any
from unittest import mock

import botocore.parsers
import moto.dynamodb.responses
from botocore.utils import merge_dicts
from moto.core.responses import ActionResult, BaseResponse
from moto.core.utils import get_service_model
from moto.dynamodb.comparisons import ConditionExpressionParser
from moto.dynamodb.exceptions import ItemSizeTooLarge
from moto.dynamodb.models import dynamo_type
from moto.dynamodb.models.dynamo_type import DynamoType, Item, LimitedSizeDict
from moto.dynamodb.models.utilities import bytesize, dynamo_to_dict, find_nested_key
from moto.dynamodb.responses import DynamoHandler, DynamoResult
from moto.utilities.aws_headers import gen_amzn_requestid_long

from tests.trials.world.dynamodb_direct import OF_ROWS, direct, has_binary

# moto's own limit of a row, in bytes.
_ROW_BYTES = 405_000


@contextmanager
def shortened() -> Iterator[None]:
    """Use the shortcuts for the length of a `with` block."""
    parser: Any = botocore.parsers.JSONParser
    replaced: list[tuple[Any, str, Any]] = [
        (DynamoHandler, "serialized", _serialized),
        (DynamoHandler, "_enrich_response", staticmethod(_with_request_id)),
        (moto.dynamodb.responses, "dynamo_to_dict", _plain),
        (DynamoType, "__deepcopy__", _copied),
        (DynamoType, "size", _size),
        (DynamoType, "to_regular_json", _regular),
        (Item, "__init__", _make_item),
        (Item, "__deepcopy__", _copied_item),
        (Item, "project", _projected),
        (ConditionExpressionParser, "_lex_condition_expression", _lexed),
        (parser, "_handle_json_body", _parsed_body(parser._handle_json_body)),
        (parser, "_handle_map", _parsed_map(parser._handle_map)),
    ]
    with ExitStack() as stack:
        stack.enter_context(direct())
        for owner, name, shortcut in replaced:
            stack.enter_context(mock.patch.object(owner, name, shortcut))
        yield


# Responses


_serialize: Any = BaseResponse.serialized


@lru_cache
def _members(operation: str) -> frozenset[str]:
    shape: Any = get_service_model("dynamodb").operation_model(operation).output_shape
    return frozenset(shape.members)


def _serialized(handler: Any, action_result: Any) -> Any:
    result, operation = action_result.result, handler._get_action()
    if type(action_result) in (ActionResult, DynamoResult) and isinstance(result, dict) and operation in OF_ROWS:
        members = _members(operation)
        try:
            body = json.dumps({name: value for name, value in result.items() if name in members and value is not None})
        except TypeError:  # a binary value
            return _serialize(handler, action_result)
        return 200, {"Content-Type": "application/x-amz-json-1.0", **handler.response_headers}, body
    return _serialize(handler, action_result)


def _with_request_id(headers: dict[str, str], body: Any) -> tuple[dict[str, str], Any]:
    """Add a request id to the headers. moto also looks for one in the body, where only XML has it."""
    if "status" in headers:
        headers["status"] = str(headers["status"])
    gen_amzn_requestid_long(headers)
    return headers, body


def _parsed_body(parse: Any) -> Any:
    def parse_body(parser: Any, raw_body: Any, shape: Any) -> Any:
        parser.is_plain = not has_binary(raw_body)
        return parse(parser, raw_body, shape)

    return parse_body


def _parsed_map(parse: Any) -> Any:
    def parse_map(parser: Any, shape: Any, value: Any) -> Any:
        if shape.value.name == "AttributeValue" and getattr(parser, "is_plain", False):
            return value
        return parse(parser, shape, value)

    return parse_map


# Rows


def _plain(value: Any) -> Any:
    """Return moto's objects as JSON values."""
    kind = type(value)
    if kind is str or kind is bool or kind is int:
        return value
    if kind is DynamoType and value.type not in {"B", "BS"}:
        return {value.type: _plain(value.value)}
    if kind is dict or kind is LimitedSizeDict:
        return {name: _plain(one) for name, one in value.items()}
    if kind is list:
        return [_plain(one) for one in value]
    return dynamo_to_dict(value)


def _copied(value: Any, _memo: Any = None) -> Any:
    made: Any = object.__new__(DynamoType)
    made.type, content = value.type, value.value
    if made.type == "M":
        made.value = {name: _copied(one) for name, one in content.items()}
    elif made.type == "L":
        made.value = [_copied(one) for one in content]
    elif made.type in {"SS", "NS", "BS"}:
        made.value = list(content)
    else:
        made.value = content
    return made


def _size(value: Any) -> int:
    """Return the number of bytes of a value."""
    kind, content = value.type, value.value
    if kind == "S":
        return bytesize(content)
    if kind == "N":
        return len(str(content))
    if kind == "L":
        return sum(map(_size, content))
    if kind == "M":
        return sum(bytesize(name) + _size(one) for name, one in content.items())
    return int(_size_of_others(value))


_size_of_others: Any = DynamoType.size


def _regular(value: Any) -> dict[str, Any]:
    kind, content = value.type, value.value
    if kind == "M":
        return {kind: {name: _regular(one) for name, one in content.items()}}
    if kind == "L":
        return {kind: [_regular(one) for one in content]}
    if kind in {"B", "BS", "SS", "NS"}:
        return dict(_regular_of_others(value))
    return {kind: content}


_regular_of_others: Any = DynamoType.to_regular_json


def _make_item(item: Any, hash_key: Any, range_key: Any, attrs: dict[str, Any]) -> None:
    """Make a row and measure it once. moto measures it for each attribute."""
    item.hash_key, item.range_key, item.attrs = hash_key, range_key, LimitedSizeDict()
    dict.update(item.attrs, {name: DynamoType(value) for name, value in attrs.items()})
    if item.size() > _ROW_BYTES:
        raise ItemSizeTooLarge


def _copied_item(item: Any, _memo: Any = None) -> Any:
    made: Any = object.__new__(type(item))
    made.hash_key = _copied(item.hash_key)
    made.range_key = None if item.range_key is None else _copied(item.range_key)
    made.attrs = LimitedSizeDict()
    dict.update(made.attrs, {name: _copied(value) for name, value in item.attrs.items()})
    return made


def _projected(item: Any, projection_expressions: list[list[str]]) -> Any:
    """Return the row's attributes of a projection. moto converts the row again for each of them."""
    regular, result = item.to_regular_json(), dict[str, Any]()
    for expression in projection_expressions:
        merge_dicts(result, find_nested_key(expression, regular))
    return Item(item.hash_key, item.range_key, dict(dynamo_type.serializer.serialize(result)["M"]))


# Expressions


@lru_cache(maxsize=4096)
def _nodes(expression: str) -> tuple[Any, ...]:
    return tuple(_lex(ConditionExpressionParser(expression, {}, {})))


_lex: Any = ConditionExpressionParser._lex_condition_expression


def _lexed(parser: Any) -> deque[Any]:
    return deque(_nodes(parser.condition_expression))
