"""The zip's data of botocore: as botocore has it, without documentation and without the endpoints of other services."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import botocore.session
import pytest
from botocore.regions import EndpointResolver

from ir_operator.build import contents, service_data

# The zip has this environment's version of botocore.
SITE = Path(botocore.__file__).parents[1]


def packed(name: str) -> Any:
    """Return the data of a file in the zip."""
    endpoints = service_data.endpoint_prefixes(SITE, contents.AWS_SERVICES)
    return json_of(name, service_data.packed(PurePosixPath(name), (SITE / name).read_bytes(), endpoints))


def json_of(name: str, content: bytes) -> Any:
    return json.loads(gzip.decompress(content) if name.endswith(".gz") else content)


def differences(whole: Any, part: Any, place: str = "") -> Iterator[str]:
    """Yield the place of each value that only `whole` has. Every other value must be equal."""
    if isinstance(whole, dict):
        assert part.keys() <= whole.keys(), place
        for name, value in whole.items():
            if name in part:
                yield from differences(value, part[name], f"{place}/{name}")
            else:
                yield f"{place}/{name}" if isinstance(value, str) else f"{place}/{name}/"
    elif isinstance(whole, list):
        assert len(whole) == len(part), place
        for number, (one, other) in enumerate(zip(whole, part, strict=True)):
            yield from differences(one, other, f"{place}/{number}")
    else:
        assert whole == part, place


@pytest.mark.parametrize("service", sorted(contents.AWS_SERVICES))
def test_given_a_packed_model_when_compared_with_botocores_then_only_the_documentation_is_gone(service: str) -> None:
    models = sorted((SITE / "botocore/data" / service).glob("*/service-2.json.gz"))
    assert models
    for path in models:
        whole, part = json_of(path.name, path.read_bytes()), packed(path.relative_to(SITE).as_posix())

        assert {place.rpartition("/")[2] for place in differences(whole, part)} == {"documentation"}


def test_given_the_packed_endpoints_when_botocore_reads_them_then_those_of_the_packed_services_are_unchanged() -> None:
    name = "botocore/data/endpoints.json"
    whole, part = json_of(name, (SITE / name).read_bytes()), packed(name)

    gone = set(differences(whole, part))

    assert all(re.fullmatch(r"/partitions/\d+/services/[^/]+/", place) for place in gone)
    loaders = botocore.session.get_session()
    for service in contents.AWS_SERVICES:
        prefix = loaders.get_service_model(service).endpoint_prefix
        assert not {place for place in gone if place.endswith((f"/{prefix}/", f"/{service}/"))}
        for partition in (one["partition"] for one in whole["partitions"]):
            resolvers = [EndpointResolver(data) for data in (whole, part)]
            regions = [resolver.get_available_endpoints(prefix, partition) for resolver in resolvers]
            assert regions[0] == regions[1]
            for region in regions[0]:
                assert resolvers[0].construct_endpoint(prefix, region) == resolvers[1].construct_endpoint(
                    prefix, region
                )


def test_given_a_member_named_documentation_when_a_model_is_cut_then_the_member_stays() -> None:
    model = {"documentation": "Text", "members": {"documentation": {"shape": "Text", "documentation": "A text"}}}

    assert service_data.without_documentation(model) == {"members": {"documentation": {"shape": "Text"}}}
