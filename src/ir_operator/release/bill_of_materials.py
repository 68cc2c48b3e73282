"""The bill of materials: every package in the zip, with its version, its package URL and the lock's hashes.

The format is CycloneDX 1.6 (cyclonedx.org), which vulnerability scanners read. Names and versions are those of the
installed packages. URLs and hashes are those of `uv.lock`.
"""

from __future__ import annotations

import subprocess
import tomllib
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ir_operator import environment
from ir_operator.build.dependencies import Target, installed
from ir_operator.build.package import normalised_name
from ir_operator.project import Checkout
from ir_operator.release.errors import ReleaseError

if TYPE_CHECKING:
    from cyclonedx.model.component import Component

_NAME = "ir-router"


def make(clone: Checkout, target: Target) -> str:
    """Return the bill of materials as JSON. It depends only on the commit.

    Args:
        clone: The clone with the commit of the release.
        target: The platform of the listed packages. All platforms have the same packages.

    Raises:
        BuildError: The packages cannot be installed.
        ReleaseError: The library for CycloneDX is missing.
    """
    try:
        # cyclonedx is a development tool and no dependency of an installed ir-router.
        from cyclonedx.model.bom import Bom, BomMetaData
        from cyclonedx.model.component import Component, ComponentType
        from cyclonedx.output import make_outputter
        from cyclonedx.schema import OutputFormat, SchemaVersion
    except ImportError as error:
        raise ReleaseError(f"{error}, so no release was made. Run `make release` in the clone.") from error
    lock = {entry["name"]: entry for entry in tomllib.loads((clone.root / "uv.lock").read_text("utf-8"))["package"]}
    components = {name: _component(lock[name], version) for name, version in _packed(target).items()}
    product = Component(
        name=_NAME,
        version=clone.version,
        type=ComponentType.APPLICATION,
        bom_ref=f"{_NAME}@{clone.version}",
    )
    bill = Bom(
        components=components.values(),
        metadata=BomMetaData(component=product, timestamp=_time_of_commit(clone)),
        serial_number=uuid.uuid5(uuid.NAMESPACE_URL, f"{_NAME}@{clone.version} {_commit(clone, '%H')}"),
    )
    for name, component in {_NAME: product, **components}.items():
        needed = [entry["name"] for entry in lock[name].get("dependencies", [])]
        bill.register_dependency(component, [components[other] for other in needed if other in components])
    return make_outputter(bill, OutputFormat.JSON, SchemaVersion.V1_6).output_as_string(indent=2) + "\n"


def _packed(target: Target) -> dict[str, str]:
    """Return the version of every package in the zip, by name."""
    folders = [record.parent.name.removesuffix(".dist-info") for record in installed(target).glob("*.dist-info/RECORD")]
    return {normalised_name(name): version for name, version in sorted(folder.rsplit("-", 1) for folder in folders)}


def _component(locked: dict[str, Any], version: str) -> Component:
    from cyclonedx.model import ExternalReference, ExternalReferenceType, HashAlgorithm, HashType, XsUri
    from cyclonedx.model.component import Component, ComponentType
    from packageurl import PackageURL

    name = locked["name"]
    return Component(
        name=name,
        version=version,
        type=ComponentType.LIBRARY,
        bom_ref=f"{name}@{version}",
        purl=PackageURL("pypi", None, name, version),
        external_references=[
            ExternalReference(
                type=ExternalReferenceType.DISTRIBUTION,
                url=XsUri(wheel["url"]),
                hashes=[HashType(alg=HashAlgorithm.SHA_256, content=wheel["hash"].removeprefix("sha256:"))],
            )
            for wheel in locked["wheels"]
        ],
    )


def _time_of_commit(clone: Checkout) -> datetime:
    return datetime.fromtimestamp(int(_commit(clone, "%ct")), UTC)


def _commit(clone: Checkout, placeholder: str) -> str:
    command, given = ["git", "log", "-1", f"--format={placeholder}"], environment.for_git()
    answer = subprocess.run(command, cwd=clone.root, env=given, capture_output=True, text=True, check=False)
    if answer.returncode:
        raise ReleaseError(f"No release was made: git log failed: {answer.stderr.strip()}")
    return answer.stdout.strip()
