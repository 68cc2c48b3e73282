"""The rest-json protocol, the service's side: requests to parameters, answers and errors to HTTP."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from botocore.model import OperationModel, Shape

from ir_local.security_ir.errors import ApiError, validation
from ir_local.security_ir.model import Parameters, exception_shape
from ir_local.security_ir.shapes import Checker, present, to_json

# Errors common to all AWS services are in no service's model.
_COMMON_ERROR_STATUS = {"MissingAuthenticationTokenException": 403, "InvalidSignatureException": 403}


@dataclass
class Answer:
    """An HTTP answer before it is sent."""

    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


def read_request(
    operation: OperationModel, labels: Mapping[str, str], query: Mapping[str, Sequence[str]], body: bytes
) -> Parameters:
    """Gather an operation's parameters from path, query string and JSON body, and check them.

    Raises ApiError (ValidationException) naming every field that is wrong.
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
    """Check parameters that did not come over HTTP; raises ApiError (ValidationException)."""
    checker = Checker()
    checked = checker.read(operation.input_shape, dict(parameters), "") if operation.input_shape else {}
    checker.raise_for_request()
    assert isinstance(checked, dict)  # noqa: S101 - a checked structure is a dict
    return checked


def check_answer(operation: OperationModel, answer: Parameters) -> Parameters:
    """Return a copy of an answer, without members that are None, that fits the model.

    Raises FaultInAnswerError if it does not, members that the model does not know included.
    """
    shape = operation.output_shape
    members = shape.members if shape is not None else {}
    checker = Checker()
    checker.broken.extend((name, "Member is not in the model") for name in answer if name not in members)
    if shape is not None:
        checker.read(shape, answer, "")
    checker.raise_for_answer(f"The answer of {operation.name}")
    copy = present(answer)
    assert isinstance(copy, dict)  # noqa: S101 - a copied dict is a dict
    return copy


def write_answer(operation: OperationModel, answer: Parameters) -> Answer:
    """Write a checked answer with the status code of the model."""
    status = int(operation.http["responseCode"])
    body = b"" if status == 204 else json.dumps(to_json(answer)).encode()
    return Answer(status, body, {"Content-Type": "application/json"} if body else {})


def write_error(error: ApiError) -> Answer:
    """Write an error as rest-json does: its name in `x-amzn-ErrorType`, members in body or headers as modelled."""
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
    """Turn the strings of a query parameter into the JSON type of its shape."""
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
    raise ValueError("a timestamp needs a time zone")
