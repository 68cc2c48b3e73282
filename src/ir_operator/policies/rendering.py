"""Render the policies of a role for one deployment, within the limits of IAM."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from importlib import resources
from typing import Any, Literal, get_args

from ir_operator.errors import CommandError

Role = Literal["deployer", "oncall", "analyst", "break-glass", "auditor", "organization"]
ROLES: tuple[Role, ...] = get_args(Role)

MOST_CHARACTERS = 6144
"""Of a managed policy, without white space (docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html)."""

_DEFAULT_PREFIX = "security-incident"
_GLOBAL_EVENTS_REGION = "us-east-1"
_PREFIX = re.compile(r"[a-z][a-z0-9-]{1,26}[a-z0-9]")
"""As in terraform/variables.tf."""
_KEY = re.compile(r"arn:aws:kms:[a-z0-9-]+:\d{12}:key/[A-Za-z0-9-]+")
_ANY_KEY = "arn:aws:kms:*:*:key/*"
_CREATES_KEY = "NewKey"
_CHANGES_KEY = "KeyChange"

Json = dict[str, Any]


def policies(role: Role, prefix: str, region: str, keys: Sequence[str] = ()) -> list[Json]:
    """Return the documents of a role's managed policies; attach all of them.

    Args:
        role: One of ROLES.
        prefix: The deployment's `name_prefix`.
        region: The deployment's home region.
        keys: ARNs of the deployment's encryption keys. Without them, the policies fit the first deployment, which may
            create keys: they allow no change of an existing key.

    Raises:
        CommandError: The prefix is not one that Terraform accepts, or one of `keys` is not the ARN of a key.
    """
    for key in keys:
        if not _KEY.fullmatch(key):
            raise CommandError(
                f"{key!r} is not the ARN of a KMS key, such as arn:aws:kms:us-east-1:123456789012:key/1234abcd-..."
            )
    if not _PREFIX.fullmatch(prefix):
        raise CommandError(
            f"{prefix!r} is not a valid name_prefix. Use 3 to 28 lower-case letters, digits or hyphens. Begin with a "
            "letter and end with a letter or digit."
        )
    parts: list[list[Json]] = [[]]
    for statement in _statements(role, prefix, region, keys):
        if parts[-1] and size(_document([*parts[-1], statement])) > MOST_CHARACTERS:
            parts.append([])
        parts[-1].append(statement)
    return [_document(part) for part in parts]


def size(document: Json) -> int:
    """Return the characters of a policy as IAM counts them."""
    return len("".join(json.dumps(document, separators=(",", ":")).split()))


def _document(statements: list[Json]) -> Json:
    return {"Version": "2012-10-17", "Statement": statements}


def _statements(role: Role, prefix: str, region: str, keys: Sequence[str]) -> list[Json]:
    templates = json.loads(resources.files(__package__).joinpath("templates.json").read_text("utf-8"))
    parameters = "SecurityIncidentResponse" + ("" if prefix == _DEFAULT_PREFIX else f"/{prefix}")
    # Outside us-east-1, rules there forward the events of global services, with resources of their own.
    regions = [region] if role != "deployer" else list(dict.fromkeys([region, _GLOBAL_EVENTS_REGION]))
    fixed = "" if prefix == _DEFAULT_PREFIX else f"{prefix}-"
    values = {"{prefix}": prefix, "{parameters}": parameters, "{fixed}": fixed}
    # A permission that depends on a key's tags would reach other keys: who may tag a new key can tag any key.
    left_out = _CREATES_KEY if keys else _CHANGES_KEY
    return [
        _rendered(statement, values, regions, keys) for statement in templates[role] if statement["Sid"] != left_out
    ]


def _rendered(statement: Json, values: dict[str, str], regions: list[str], keys: Sequence[str]) -> Json:
    text = json.dumps(statement)
    for name, value in values.items():
        text = text.replace(name, value)
    found: Json = json.loads(text)
    arns = [found["Resource"]] if isinstance(found["Resource"], str) else found["Resource"]
    placed = [place for arn in arns for place in (keys if keys and arn == _ANY_KEY else _in_regions(arn, regions))]
    return {**found, "Resource": placed[0] if len(placed) == 1 else placed}


def _in_regions(arn: str, regions: list[str]) -> list[str]:
    parts = arn.split(":", 4)
    if len(parts) < 5 or parts[3] != "*":
        return [arn]
    # Only rules, queues, topics and alarms exist in a second region.
    places = regions if parts[2] in ("cloudwatch", "events", "sns", "sqs") else regions[:1]
    return [":".join([*parts[:3], place, *parts[4:]]) for place in places]
