"""Validate requests and responses against the shapes of the service model.

Like AWS, `read` ignores unknown JSON members. A pattern must match the complete value. Lengths of strings count
characters, as Smithy defines them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache

from botocore.model import ListShape, MapShape, Shape, StringShape, StructureShape

from ir_sandbox.security_ir.errors import FaultInAnswerError, validation
from ir_sandbox.security_ir.model import service_model

# Botocore's pattern for presigned URLs requires a top-level domain, which a loopback address does not have.
_PATTERN_EXEMPT = frozenset({"Url"})


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.ASCII)


class Checker:
    """Collects the problems of a value: `unreadable` are wrong types, `broken` are violated constraints."""

    def __init__(self) -> None:
        """Start without problems."""
        self.unreadable: list[tuple[str, str]] = []
        self.broken: list[tuple[str, str]] = []

    def raise_for_request(self) -> None:
        """Raise the API's ValidationException if there are problems."""
        if found := self.unreadable or self.broken:
            reason = "CANNOT_PARSE" if self.unreadable else "FIELD_VALIDATION_FAILED"
            details = "; ".join(f"Value at '{name}' failed to satisfy constraint: {what}" for name, what in found)
            plural = "error" if len(found) == 1 else "errors"
            raise validation(f"{len(found)} validation {plural} detected: {details}", found, reason)

    def raise_for_answer(self, what: str) -> None:
        """Raise FaultInAnswerError for the response `what` if there are problems."""
        if found := self.unreadable + self.broken:
            details = "; ".join(f"{name}: {problem}" for name, problem in found)
            raise FaultInAnswerError(f"{what} violates the service model: {details}")

    def read(self, shape: Shape, value: object, path: str) -> object:
        """Convert a JSON value to boto3's value and record its problems.

        Args:
            shape: The shape of the value.
            value: The JSON value.
            path: The path of the value in the request or response, for problems.

        Returns:
            The value; None for a wrong type.
        """
        match shape:
            case StructureShape():
                return self._structure(shape, value, path)
            case ListShape():
                return self._list(shape, value, path)
            case MapShape():
                return self._map(shape, value, path)
        match shape.type_name:
            case "string":
                return self._string(shape, value, path)
            case "integer" | "long":
                return self._integer(shape, value, path)
            case "boolean":
                return value if isinstance(value, bool) else self._wrong_type("a boolean", path)
            case "timestamp":
                return self._timestamp(value, path)
        raise NotImplementedError(f"shape type {shape.type_name} of {shape.name}")

    def _wrong_type(self, expected: str, path: str) -> object:
        self.unreadable.append((path, f"Member must be {expected}"))
        return None

    def _structure(self, shape: StructureShape, value: object, path: str) -> object:
        if not isinstance(value, Mapping):
            return self._wrong_type("a structure", path)
        result: dict[str, object] = {}
        for name, member in shape.members.items():
            member_path = f"{path}.{name}" if path else name
            if value.get(name) is not None:
                result[name] = self.read(member, value[name], member_path)
            elif name in shape.required_members:
                self.broken.append((member_path, "Member must not be null"))
        return result

    def _list(self, shape: ListShape, value: object, path: str) -> object:
        if not isinstance(value, list):
            return self._wrong_type("a list", path)
        self._size(shape, len(value), path)
        return [self.read(shape.member, item, f"{path}.{index}") for index, item in enumerate(value, 1)]

    def _map(self, shape: MapShape, value: object, path: str) -> object:
        if not isinstance(value, Mapping):
            return self._wrong_type("a map", path)
        self._size(shape, len(value), path)
        for key in value:
            self.read(shape.key, key, f"{path} (key)")
        return {key: self.read(shape.value, item, f"{path}.{key}") for key, item in value.items()}

    def _size(self, shape: Shape, size: int, path: str) -> None:
        minimum, maximum = shape.metadata.get("min"), shape.metadata.get("max")
        if minimum is not None and size < minimum:
            self.broken.append((path, f"Member must have length greater than or equal to {minimum}"))
        if maximum is not None and size > maximum:
            self.broken.append((path, f"Member must have length less than or equal to {maximum}"))

    def _string(self, shape: Shape, value: object, path: str) -> object:
        if not isinstance(value, str):
            return self._wrong_type("a string", path)
        self._size(shape, len(value), path)
        if isinstance(shape, StringShape) and shape.enum and value not in shape.enum:
            self.broken.append((path, f"Member must satisfy enum value set: [{', '.join(sorted(shape.enum))}]"))
        pattern = shape.metadata.get("pattern")
        if pattern and shape.name not in _PATTERN_EXEMPT and not _compiled(pattern).fullmatch(value):
            self.broken.append((path, f"Member must satisfy regular expression pattern: {pattern}"))
        return value

    def _integer(self, shape: Shape, value: object, path: str) -> object:
        if isinstance(value, bool) or not isinstance(value, int):
            return self._wrong_type("a whole number", path)
        minimum, maximum = shape.metadata.get("min"), shape.metadata.get("max")
        if minimum is not None and value < minimum:
            self.broken.append((path, f"Member must have value greater than or equal to {minimum}"))
        if maximum is not None and value > maximum:
            self.broken.append((path, f"Member must have value less than or equal to {maximum}"))
        return value

    def _timestamp(self, value: object, path: str) -> object:
        if isinstance(value, datetime):
            return value
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            return self._wrong_type("a timestamp in seconds since the epoch", path)
        try:
            return datetime.fromtimestamp(value, UTC)
        except (ValueError, OverflowError, OSError):
            return self._wrong_type("a timestamp within range", path)


def require(shape_name: str, value: object) -> None:
    """Validate a value of the Python API against a shape; raises ValueError with the problems."""
    checker = Checker()
    checker.read(service_model().shape_for(shape_name), value, shape_name)
    if found := checker.unreadable + checker.broken:
        raise ValueError("; ".join(f"{name}: {what}" for name, what in found))


def present(value: object) -> object:
    """Copy a value without the members that are None, which the API omits."""
    match value:
        case list():
            return [present(item) for item in value]
        case dict():
            return {key: present(item) for key, item in value.items() if item is not None}
    return value


def to_json(value: object) -> object:
    """Convert a validated answer to JSON values: timestamps as seconds since the epoch, to the millisecond."""
    match value:
        case datetime():
            seconds = round(value.timestamp(), 3)
            return int(seconds) if seconds.is_integer() else seconds
        case list():
            return [to_json(item) for item in value]
        case dict():
            return {key: to_json(item) for key, item in value.items()}
    return value
