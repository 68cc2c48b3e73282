"""Select the files that go into the zip."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from ir_operator.build import bytecode
from ir_operator.build.errors import SourceError, UnpackedServiceError

AWS_SERVICES = frozenset(
    {
        "cloudtrail",
        "cloudwatch",
        "dynamodb",
        "events",
        "iam",
        "kms",
        "lambda",
        "logs",
        "organizations",
        "s3",
        "security-ir",
        "sns",
        "sqs",
        "ssm",
        "stepfunctions",
        "sts",
    }
)
"""The services whose botocore data is packed, by their names in `boto3.client`. With the data of all 400 services the
zip would be three times as large. botocore's general data (partitions, defaults, retries) is always packed."""


def is_packed_dependency_file(path: PurePosixPath) -> bool:
    """Return whether a file of a dependency goes into the zip.

    The zip leaves out botocore's data of unused services, boto3's data for `boto3.resource`, examples and command-line
    scripts. Of a distribution's metadata it keeps only METADATA, because vulnerability scanners for Lambda read it. A
    compiled module is packed if its source is.

    Args:
        path: Path below the installation folder.
    """
    if path.suffix == ".pyc":
        return is_packed_dependency_file(bytecode.source_of(path))
    top, *rest = path.parts
    if not rest:
        return path.suffix == ".py"
    if top.endswith(".dist-info"):
        return rest == ["METADATA"]
    if top == "bin":
        return False
    if top == "boto3":
        return rest[0] not in {"data", "examples"}
    if top == "botocore" and rest[0] == "data" and len(rest) > 2:
        return rest[1] in AWS_SERVICES and not path.name.startswith("examples-")
    return True


def source_files(package: Path) -> Iterator[Path]:
    """Yield the package's files that go into the zip, sorted: all except compiled modules and hidden files."""
    for path in sorted(package.rglob("*")):
        parts = path.relative_to(package).parts
        if path.is_file() and "__pycache__" not in parts and not any(part.startswith(".") for part in parts):
            yield path


def check_services(package: Path) -> None:
    """Check that the package makes boto3 clients only for AWS_SERVICES.

    Raises:
        UnpackedServiceError: A client is for a service that is not in AWS_SERVICES.
        SourceError: A module is not valid Python.
    """
    for path, line, service in clients_made(package):
        if service not in AWS_SERVICES:
            raise UnpackedServiceError(
                f"The zip was not built: {path.name}:{line} makes a client for {service!r}, whose data is not packed. "
                f"Add the service to AWS_SERVICES in {Path(__file__).name}."
            )


def clients_made(package: Path) -> Iterator[tuple[Path, int, str]]:
    """Yield module, line and service of each boto3 client that the package makes.

    Every call of a name that is `client` or ends in `_client` counts, if its first argument is a string literal.

    Raises:
        SourceError: A module is not valid Python.
    """
    for path in source_files(package):
        if path.suffix == ".py":
            for line, service in _clients(path):
                yield path, line, service


def _clients(path: Path) -> Iterator[tuple[int, str]]:
    try:
        tree = ast.parse(path.read_text("utf-8"), str(path))
    except SyntaxError as error:
        raise SourceError(f"{path}:{error.lineno}: {error.msg}") from error
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        arguments = [*node.args[:1], *(word.value for word in node.keywords if word.arg == "service_name")]
        for argument in arguments:
            made_by_name = name == "client" or name.endswith("_client")
            if made_by_name and isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                yield node.lineno, argument.value
