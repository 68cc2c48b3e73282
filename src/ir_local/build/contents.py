"""What goes into the zip and what stays out: every such decision is here, and only here."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from ir_local.build import bytecode
from ir_local.build.errors import SourceError, UnpackedServiceError

AWS_SERVICES = frozenset(
    {
        "cloudtrail",
        "cloudwatch",
        "dynamodb",
        "events",
        "iam",
        "lambda",
        "logs",
        "security-ir",
        "sns",
        "sqs",
        "ssm",
        "stepfunctions",
    }
)
"""The services whose botocore data is packed, by their names in `boto3.client`: 12 of more than 400, or the zip
would be three times as large. botocore's data that belongs to no service (endpoints, partitions, defaults, retries)
is packed always."""


def is_packed_dependency_file(path: PurePosixPath) -> bool:
    """Whether a file of an installed dependency (its path below the installation folder) goes into the zip.

    Left out are: botocore's data of services that the package does not use and the examples in it (documentation),
    boto3's data of `boto3.resource` (never used) and its examples, command-line scripts, and all of a distribution's
    own metadata but METADATA, which vulnerability scanners of Lambda functions read. Compiled modules go with their
    sources.
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
    """The files of our own package that go into the zip: all but compiled modules and hidden files, sorted."""
    for path in sorted(package.rglob("*")):
        parts = path.relative_to(package).parts
        if path.is_file() and "__pycache__" not in parts and not any(part.startswith(".") for part in parts):
            yield path


def check_services(package: Path) -> None:
    """Raise UnpackedServiceError if the package makes a boto3 client for a service that is not in AWS_SERVICES.

    Raises SourceError if a module is not Python.

    A client is a call of anything named `client` or `..._client` whose first argument is written as a string.
    """
    for path, line, service in clients_made(package):
        if service not in AWS_SERVICES:
            raise UnpackedServiceError(
                f"{path.name}:{line} makes a client for {service!r}, which the zip has no data for: "
                f"add it to AWS_SERVICES in {Path(__file__).name}."
            )


def clients_made(package: Path) -> Iterator[tuple[Path, int, str]]:
    """Where the package makes clients: module, line, service. Raises SourceError if a module is not Python."""
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
