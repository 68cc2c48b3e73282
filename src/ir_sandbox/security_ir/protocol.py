"""The server side of the rest-json protocol: parse requests, write responses and errors."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from botocore.model import OperationModel, Shape

from ir_sandbox.security_ir.errors import ApiError, validation
from ir_sandbox.security_ir.model import Parameters, exception_shape
from ir_sandbox.security_ir.shapes import Checker, present, to_json

# Errors common to all AWS services are not in the service models.
_COMMON_ERROR_STATUS = {"MissingAuthenticationTokenException": 403, "InvalidSignatureException": 403}


@dataclass
class Answer:
    """An HTTP response before it is sent."""

    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


def read_request(
    operation: OperationModel, labels: Mapping[str, str], query: Mapping[str, Sequence[str]], body: bytes
) -> Parameters:
    """Return an operation's validated parameters.

    Args:
        operation: The operation.
        labels: The URI labels of the path.
        query: The query parameters.
        body: The JSON body.

    Raises:
        ApiError: ValidationException with every invalid field.
    """
    shape = operation.input_shape
    if shape is None:
        return {}
    document = _json_object(body)
    checker = Checker()
    raw: dict[str, object] = {}
    for name, member in shape.members.items():
        sent_name = member.serialization.get("name", name)
        match member.serialization.get("location"):
            case "uri":
                raw[name] = labels.get(sent_name)
            case "querystring":
                raw[name] = _from_query(checker, member, query.get(sent_name, ()), name)
            case _:
                raw[name] = document.get(name)
    parameters = checker.read(shape, raw, "")
    checker.raise_for_request()
    assert isinstance(parameters, dict)  # noqa: S101 - a checked structure is a dict
    return parameters


def check_parameters(operation: OperationModel, parameters: Mapping[str, object]) -> Parameters:
    """Validate and return parameters that did not arrive over HTTP; raises ApiError (ValidationException)."""
    checker = Checker()
    checked = checker.read(operation.input_shape, dict(parameters), "") if operation.input_shape else {}
    checker.raise_for_request()
    assert isinstance(checked, dict)  # noqa: S101 - a checked structure is a dict
    return checked


def check_answer(operation: OperationModel, answer: Parameters) -> Parameters:
    """Return a validated copy of a response without members that are None.

    Raises FaultInAnswerError if the response violates the model or has members that the model does not define.
    """
    shape = operation.output_shape
    members = shape.members if shape is not None else {}
    checker = Checker()
    checker.broken.extend((name, "Member is not in the model") for name in answer if name not in members)
    if shape is not None:
        checker.read(shape, answer, "")
    checker.raise_for_answer(f"The response of {operation.name}")
    copy = present(answer)
    assert isinstance(copy, dict)  # noqa: S101 - a copied dict is a dict
    return copy


def write_answer(operation: OperationModel, answer: Parameters) -> Answer:
    """Return the HTTP response for a validated answer, with the model's status code."""
    status = int(operation.http["responseCode"])
    body = b"" if status == 204 else json.dumps(to_json(answer)).encode()
    return Answer(status, body, {"Content-Type": "application/json"} if body else {})


def write_error(error: ApiError) -> Answer:
    """Return the HTTP response for an error: its code in `x-amzn-ErrorType`, its members in the body or in headers."""
    document: dict[str, object] = {"message": error.message}
    headers = {"Content-Type": "application/json", "x-amzn-ErrorType": error.code}
    shape = exception_shape(error.code)
    if shape is None:
        return Answer(_COMMON_ERROR_STATUS[error.code], json.dumps(document).encode(), headers)
    checker = Checker()
    checker.read(shape, {"message": error.message, **error.members}, "")
    checker.raise_for_answer(f"The error {error.code}")
    for name, value in error.members.items():
        serialization = shape.members[name].serialization
        if serialization.get("location") == "header":
            headers[serialization["name"]] = str(value)
        else:
            document[name] = value
    return Answer(int(shape.metadata["error"]["httpStatusCode"]), json.dumps(document).encode(), headers)


def _json_object(body: bytes) -> dict[str, object]:
    if not body.strip():
        return {}
    try:
        document = json.loads(body)
    except ValueError:
        raise validation("The request body is not JSON.", reason="CANNOT_PARSE") from None
    if not isinstance(document, dict):
        raise validation("The request body is not a JSON object.", reason="CANNOT_PARSE")
    return document


def _from_query(checker: Checker, shape: Shape, values: Sequence[str], path: str) -> object:
    """Convert the strings of a query parameter to the JSON type of its shape."""
    if not values:
        return None
    if shape.type_name == "list":
        return list(values)
    value = values[0]
    try:
        match shape.type_name:
            case "integer" | "long":
                return int(value)
            case "timestamp":
                moment = datetime.fromisoformat(value)
                return moment if moment.tzinfo else _no_time_zone()
    except ValueError:
        checker.unreadable.append((path, f"Member must be a {shape.type_name}"))
        return None
    return value


def _no_time_zone() -> datetime:
    raise ValueError("a timestamp must have a time zone")
