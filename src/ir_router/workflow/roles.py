"""Roles that an analyst must approve before ir-router contains them, because production may share them.

Trust policies: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from ir_router.settings import settings
from ir_router.workflow import details, iam
from ir_router.workflow.incident import Incident, Principal
from ir_router.workflow.principals import items, mapping, same_name, string

_SHOWN = 10
_ASSUMES = frozenset({"sts:assumerole", "sts:*", "*"})
_EC2 = frozenset({"ec2.amazonaws.com", "ec2.amazonaws.com.cn"})


def why_ask(incident: Incident, principal: Principal) -> str | None:
    """Return why an analyst must approve the containment of this principal, and the effect.

    The variable ask_before_containing_roles decides. None: ir-router contains the principal by itself.
    """
    setting = settings().ask_before_containing_roles
    if principal["kind"] != "role" or setting == "none":
        return None
    trusted = services(iam.trust_policy(principal))
    if setting == "service_roles" and not trusted:
        return None
    actor = incident["actor"]
    session = actor["caller_arn"].rpartition("/")[2] if same_name(actor, principal) else ""
    return " ".join(_what_stops(trusted, iam.instance_profiles(principal), details.instance_of(session)))


def services(trust: Mapping[str, object]) -> list[str]:
    """Return the AWS services that a trust policy allows to assume the role, in its order."""
    return list(dict.fromkeys(_services(trust)))


def _services(trust: Mapping[str, object]) -> Iterator[str]:
    for statement in items(_listed(trust.get("Statement"))):
        allowed = {string(action).lower() for action in _listed(statement.get("Action"))}
        if statement.get("Effect") == "Allow" and allowed & _ASSUMES:
            named = _listed(mapping(statement.get("Principal")).get("Service"))
            yield from filter(None, (string(service) for service in named))


def _what_stops(trusted: Sequence[str], profiles: Sequence[str], instance: str | None) -> Iterator[str]:
    yield f"AWS services assume this role: {_shown(trusted)}." if trusted else "No AWS service assumes this role."
    yield "A containment stops everything that uses it."
    if instance:
        yield f"The session belongs to instance {instance}."
    if profiles:
        command = f"aws ec2 describe-instances --filters Name=iam-instance-profile.arn,Values={','.join(profiles)}"
        names = [arn.rpartition("/")[2] for arn in profiles]
        yield f"Instances use it through the instance profile {_shown(names)}. To list them, run: {command}"
    elif _EC2 & set(trusted):
        yield "No instance profile contains it, so no instance uses it now."


def _shown(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{', '.join(names[:_SHOWN])}{more}"


def _listed(value: object) -> list[object]:
    return value if isinstance(value, list) else [value]
