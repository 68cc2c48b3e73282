"""What boto3 and moto do again for every world and every row, done once: most of a scenario's time was theirs."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from functools import cache
from typing import Any
from unittest import mock

from botocore.loaders import Loader, create_loader
from botocore.model import StructureShape
from moto.core.serialize import ResponseSerializer


@cache
def models() -> Loader:
    """botocore's models of the services, parsed once for all worlds of this process."""
    return create_loader()


@contextmanager
def plain_rows() -> Iterator[None]:
    """Let DynamoDB's values into its answers as they are.

    moto looks for each of an AttributeValue's ten members, under several names, in values that are in the answer's
    shape already (binary ones are not; the ledger has none).
    """
    serialize: Any = ResponseSerializer._serialize_type_structure  # noqa: SLF001

    def as_it_is(
        serializer: Any, serialized: MutableMapping[str, Any], value: Any, shape: StructureShape, key: str
    ) -> None:
        if key and shape.name == "AttributeValue" and isinstance(value, dict) and "B" not in value:
            serialized[key] = value
        else:
            serialize(serializer, serialized, value, shape, key)

    with mock.patch.object(ResponseSerializer, "_serialize_type_structure", as_it_is):
        yield
