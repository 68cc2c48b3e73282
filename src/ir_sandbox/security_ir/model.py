"""Botocore's model of the API: operations, HTTP bindings, shapes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import unquote

from botocore.loaders import Loader
from botocore.model import OperationModel, ServiceModel, StructureShape

API_VERSION = "2018-05-10"

# The input or output of an operation, in boto3's types: str, int, bool, datetime, list, dict.
Parameters = dict[str, Any]


@cache
def service_model() -> ServiceModel:
    """Load `security-ir` 2018-05-10 from the installed botocore and cache it."""
    return ServiceModel(Loader().load_data(f"security-ir/{API_VERSION}/service-2"), "security-ir")


@dataclass(frozen=True)
class Route:
    """The HTTP method and path pattern of an operation."""

    operation: OperationModel
    method: str
    path: re.Pattern[str]


@cache
def routes() -> tuple[Route, ...]:
    """Build the routing table from the `http` trait of every operation in the model."""
    model = service_model()
    found = []
    for name in model.operation_names:
        operation = model.operation_model(name)
        pattern = re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(operation.http["requestUri"]))
        found.append(Route(operation, operation.http["method"], re.compile(pattern)))
    return tuple(found)


def find_route(method: str, raw_path: str) -> tuple[OperationModel, dict[str, str]] | None:
    """Return the operation of a request and its unquoted URI labels, or None.

    `raw_path` is the path as sent, percent-encoded.
    """
    for route in routes():
        if route.method == method and (match := route.path.fullmatch(raw_path)):
            return route.operation, {label: unquote(value) for label, value in match.groupdict().items()}
    return None


def exception_shape(code: str) -> StructureShape | None:
    """Return an exception shape by its name, or None if the model does not have it."""
    shape = service_model().shape_for(code) if code in service_model().shape_names else None
    return shape if isinstance(shape, StructureShape) and shape.metadata.get("exception") else None
