"""Cut botocore's data to the part that botocore reads in a function. Each cold start parses this data.

A service's model (`service-2.json`) is mostly documentation, which botocore shows in `help()` only. `endpoints.json`
has an entry for each service of AWS. Names, shapes and endpoints of the packed services stay as they are.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Collection
from pathlib import Path, PurePosixPath
from typing import Any

_DATA = PurePosixPath("botocore/data")
_ENDPOINTS = _DATA / "endpoints.json"
_MODEL = "service-2.json"


def endpoint_prefixes(site: Path, services: Collection[str]) -> frozenset[str]:
    """Return the names of services in `endpoints.json`, for example `states` for `stepfunctions`.

    Args:
        site: The folder with the installed dependencies.
        services: Names of services in `boto3.client`.
    """
    found = set(services)
    for service in services:
        for path in (site / _DATA / service).glob(f"*/{_MODEL}*"):
            found.add(_read(path.name, path.read_bytes())["metadata"]["endpointPrefix"])
    return frozenset(found)


def packed(path: PurePosixPath, content: bytes, endpoints: Collection[str]) -> bytes:
    """Return the content of a dependency's file in the zip.

    Args:
        path: Path below the installation folder.
        content: Content of the file in its wheel.
        endpoints: The services whose endpoints are kept, by their names in `endpoints.json`.
    """
    if path == _ENDPOINTS:
        return _changed(path.name, content, lambda data: _endpoints_of(data, endpoints))
    if path.is_relative_to(_DATA) and path.name.removesuffix(".gz") == _MODEL:
        return _changed(path.name, content, without_documentation)
    return content


def without_documentation(model: Any) -> Any:
    """Return a service's model without its documentation. A member that is named `documentation` is a mapping."""
    if isinstance(model, dict):
        return {
            name: without_documentation(value)
            for name, value in model.items()
            if not (name == "documentation" and isinstance(value, str))
        }
    return [without_documentation(value) for value in model] if isinstance(model, list) else model


def _endpoints_of(data: dict[str, Any], names: Collection[str]) -> dict[str, Any]:
    partitions = [
        partition | {"services": {name: value for name, value in partition["services"].items() if name in names}}
        for partition in data["partitions"]
    ]
    return data | {"partitions": partitions}


def _changed(name: str, content: bytes, change: Callable[[Any], Any]) -> bytes:
    text = json.dumps(change(_read(name, content)), separators=(",", ":")).encode()
    # Without the time, the same data gives the same bytes.
    return gzip.compress(text, mtime=0) if name.endswith(".gz") else text


def _read(name: str, content: bytes) -> Any:
    return json.loads(gzip.decompress(content) if name.endswith(".gz") else content)
