"""Botocore's own model of the API: operations, their HTTP bindings, shapes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import unquote

from botocore.loaders import Loader
from botocore.model import OperationModel, ServiceModel, StructureShape

API_VERSION = "2018-05-10"

# What an operation takes and gives, in the types of boto3: str, int, bool, datetime, list, dict.
Parameters = dict[str, Any]


@cache
def service_model() -> ServiceModel:
    """Load `security-ir` 2018-05-10 from the installed botocore, once."""
    return ServiceModel(Loader().load_data(f"security-ir/{API_VERSION}/service-2"), "security-ir")


@dataclass(frozen=True)
class Route:
    """Where an operation listens: HTTP method and the pattern of its path."""

    operation: OperationModel
    method: str
    path: re.Pattern[str]


@cache
def routes() -> tuple[Route, ...]:
    """Build the routing table from the `http` trait of every operation of the model."""
    model = service_model()
    found = []
    for name in model.operation_names:
        operation = model.operation_model(name)
        pattern = re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(operation.http["requestUri"]))
        found.append(Route(operation, operation.http["method"], re.compile(pattern)))
    return tuple(found)


def find_route(method: str, raw_path: str) -> tuple[OperationModel, dict[str, str]] | None:
    """Find the operation of a request and its URI labels, unquoted; `raw_path` is as sent, still percent-encoded."""
    for route in routes():
        if route.method == method and (match := route.path.fullmatch(raw_path)):
            return route.operation, {label: unquote(value) for label, value in match.groupdict().items()}
    return None


def exception_shape(code: str) -> StructureShape | None:
    """Return the exception shape of that name, None if the model has none."""
    shape = service_model().shape_for(code) if code in service_model().shape_names else None
    return shape if isinstance(shape, StructureShape) and shape.metadata.get("exception") else None
