"""Reading events: CloudTrail records, GuardDuty findings and AWS Health events become the facts of an incident. Pure.

Fields: https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-user-identity.html,
https://docs.aws.amazon.com/guardduty/latest/ug/guardduty_finding-format.html and
https://docs.aws.amazon.com/health/latest/ug/aws-health-events-eventbridge-schema.html.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, TypedDict

from ir_router.errors import InvalidInputError
from ir_router.workflow.incident import Actor, Facts, Principal, PrincipalKind

_USER_AGENT_LENGTH = 256
_LONG_TERM_KEY = "AKIA"
# A user's id, 16 characters or more: https://docs.aws.amazon.com/IAM/latest/APIReference/API_User.html. A federated
# session's name may follow.
_USER_ID = re.compile(r"(AIDA\w{12,})(:.*)?")

_GUARDDUTY_KINDS: Mapping[str, PrincipalKind] = {
    "IAMUser": "user",
    "FederatedUser": "user",
    "AssumedRole": "role",
    "Role": "role",
    "Root": "root",
    "AWSService": "service",
    "AWSAccount": "account",
}


def read(event: object, *, partition: str = "aws", access_key_id: str | None = None) -> Facts:
    """The facts of an EventBridge event. Raises InvalidInputError, naming the field, when it cannot be read.

    `access_key_id` says which key is meant when an AWS Health event names several (see `exposed_keys`).
    """
    if not isinstance(event, Mapping):
        raise InvalidInputError("The event is not a JSON object.")
    detail = event.get("detail")
    if not isinstance(detail, Mapping):
        raise InvalidInputError("The event has no detail object.")
    source = event.get("source")
    if source == "aws.guardduty":
        return _guardduty(event, detail, partition)
    if source == "aws.health":
        return _health(event, detail, access_key_id)
    return _cloudtrail(event, detail, partition)


def exposed_keys(event: Mapping[str, Any]) -> list[str]:
    """The access keys that an AWS Health event names, each once, in its order; none for other events."""
    if event.get("source") != "aws.health" or not isinstance(event.get("detail"), Mapping):
        return []
    entities = event["detail"].get("affectedEntities")
    named = [entity for entity in entities if isinstance(entity, Mapping)] if isinstance(entities, list) else []
    values = [_string(entity.get("entityValue")) for entity in named]
    return list(dict.fromkeys(value for value in values if value))


def unknown_principal(account: str = "") -> Principal:
    """Nobody that the event names."""
    return {"kind": "unknown", "name": "", "arn": "", "account": account}


def user(name: str, account: str, partition: str = "aws") -> Principal:
    """An IAM user; the ARN lacks the user's path, which events do not always tell."""
    return {"kind": "user", "name": name, "arn": f"arn:{partition}:iam::{account}:user/{name}", "account": account}


def role(name: str, account: str, partition: str = "aws") -> Principal:
    """An IAM role; the ARN lacks the role's path."""
    return {"kind": "role", "name": name, "arn": f"arn:{partition}:iam::{account}:role/{name}", "account": account}


def principal_of(actor: Actor) -> Principal:
    """The principal behind a call, without what it called with."""
    who: Principal = {"kind": actor["kind"], "name": actor["name"], "arn": actor["arn"], "account": actor["account"]}
    if "id" in actor:
        who["id"] = actor["id"]
    return who


def same_name(one: Principal, other: Principal) -> bool:
    """Whether an event names one principal twice."""
    return (one["kind"], one["name"]) == (other["kind"], other["name"])


def own_key(actor: Actor) -> str | None:
    """The long-term access key that the call was made with, or None."""
    key = actor["access_key_id"]
    return key if key and key.startswith(_LONG_TERM_KEY) else None


def iso(moment: str | None) -> str | None:
    """A time of an event as ISO 8601 in UTC, or None when it is no time."""
    if not moment:
        return None
    try:
        parsed = datetime.fromisoformat(moment)
    except ValueError:
        return None
    aware = parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)
    return aware.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _cloudtrail(event: Mapping[str, Any], detail: Mapping[str, Any], partition: str) -> Facts:
    name = _text(detail, "eventName")
    identity = detail.get("userIdentity")
    identity = identity if isinstance(identity, Mapping) else {}
    account = _string(detail.get("recipientAccountId")) or _string(event.get("account"))
    actor = _actor(identity, account, partition)
    subject, key = _owner_of_new_key(detail, actor, account, partition)
    agent = _string(detail.get("userAgent"))
    return {
        "event_id": _text(detail, "eventID"),
        "event_name": name,
        "event_source": _string(detail.get("eventSource")),
        "event_time": iso(_string(detail.get("eventTime"))) or iso(_string(event.get("time"))),
        "region": _string(detail.get("awsRegion")) or _string(event.get("region")),
        "account": account,
        "read_only": detail.get("readOnly") in (True, "true"),
        "error_code": _string(detail.get("errorCode")) or None,
        "source_ip": _string(detail.get("sourceIPAddress")) or None,
        "vpc_endpoint_id": _string(detail.get("vpcEndpointId")) or None,
        "user_agent": agent[:_USER_AGENT_LENGTH] or None,
        "actor": actor,
        "subject": subject,
        "access_key_id": key,
    }


def _owner_of_new_key(
    detail: Mapping[str, Any], actor: Actor, account: str, partition: str
) -> tuple[Principal, str | None]:
    """CreateAccessKey without a user name makes a key for the caller; every other call concerns the caller itself."""
    itself = principal_of(actor)
    if detail.get("eventName") != "CreateAccessKey":
        return itself, own_key(actor)
    answer = detail.get("responseElements")
    created = answer.get("accessKey") if isinstance(answer, Mapping) else None
    created = created if isinstance(created, Mapping) else {}
    request = detail.get("requestParameters")
    asked = _string(request.get("userName")) if isinstance(request, Mapping) else ""
    key = _string(created.get("accessKeyId")) or None
    if not asked and actor["kind"] == "root":
        return itself, key  # the answer names the account's alias as the user
    name = _string(created.get("userName")) or asked
    owner = user(name, account, partition) if name else itself
    return (itself if same_name(owner, actor) and owner["account"] == actor["account"] else owner), key


def _actor(identity: Mapping[str, Any], account: str, partition: str) -> Actor:
    kind = _string(identity.get("type"))
    arn = _string(identity.get("arn"))
    own_account = _string(identity.get("accountId")) or account
    name = _string(identity.get("userName"))
    session = identity.get("sessionContext")
    issuer = session.get("sessionIssuer") if isinstance(session, Mapping) else None
    issuer = issuer if isinstance(issuer, Mapping) else {}
    principal: Principal
    if kind == "IAMUser" and (name or arn):
        name = name or arn.rpartition("/")[2]
        principal = {
            "kind": "user",
            "name": name,
            "arn": arn or user(name, own_account, partition)["arn"],
            "account": own_account,
            **_id(identity),
        }
    elif kind == "Root":
        root_arn = arn or f"arn:{partition}:iam::{own_account}:root"
        principal = {"kind": "root", "name": "root", "arn": root_arn, "account": own_account}
    elif kind in ("AssumedRole", "Role"):
        principal = _issuer(issuer, own_account) or _assumed(arn, own_account, partition)
    elif kind == "FederatedUser":
        principal = _issuer(issuer, own_account) or unknown_principal(own_account)
    elif kind == "AWSService":
        principal = {"kind": "service", "name": _string(identity.get("invokedBy")), "arn": "", "account": own_account}
    elif kind == "AWSAccount":
        principal = {"kind": "account", "name": own_account, "arn": arn, "account": own_account}
    else:
        principal = {"kind": "unknown", "name": name, "arn": arn, "account": own_account}
    return {
        **principal,
        "caller_arn": arn or principal["arn"],
        "access_key_id": _string(identity.get("accessKeyId")) or None,
        "identity_type": kind,
    }


def _issuer(issuer: Mapping[str, Any], account: str) -> Principal | None:
    """Whose session it is: a role, or the user that made a federated session."""
    kinds: Mapping[str, PrincipalKind] = {"Role": "role", "IAMUser": "user", "Root": "root"}
    kind = kinds.get(_string(issuer.get("type")))
    name, arn = _string(issuer.get("userName")), _string(issuer.get("arn"))
    if kind is None or not arn:
        return None
    own_account = _string(issuer.get("accountId")) or account
    named: Principal = {"kind": kind, "name": name or arn.rpartition("/")[2], "arn": arn, "account": own_account}
    return {**named, **_id(issuer)} if kind == "user" else named


class _Id(TypedDict, total=False):
    id: str


def _id(identity: Mapping[str, Any]) -> _Id:
    """IAM's own id of a user, which stays when the user is renamed; empty when the event does not tell."""
    found = _USER_ID.fullmatch(_string(identity.get("principalId")))
    return {"id": found[1]} if found else {}


def _assumed(arn: str, account: str, partition: str) -> Principal:
    """The role of `arn:aws:sts::<account>:assumed-role/<role>/<session>`."""
    parts = arn.rpartition(":")[2].split("/")
    if parts[0] == "assumed-role" and len(parts) >= 2 and parts[1]:
        return role(parts[1], account, partition)
    return {"kind": "unknown", "name": "", "arn": arn, "account": account}


def _guardduty(event: Mapping[str, Any], detail: Mapping[str, Any], partition: str) -> Facts:
    account = _string(detail.get("accountId")) or _string(event.get("account"))
    resource = detail.get("resource")
    key = resource.get("accessKeyDetails") if isinstance(resource, Mapping) else None
    if not isinstance(key, Mapping):
        raise InvalidInputError("The GuardDuty finding has no resource.accessKeyDetails.")
    name, user_type = _string(key.get("userName")), _string(key.get("userType"))
    kind = _GUARDDUTY_KINDS.get(user_type, "unknown")
    principal = unknown_principal(account)
    # The name of a federated user's session is whatever its caller chose, unless IAM's own id stands with it.
    chosen = user_type == "FederatedUser" and not _id(key)
    if kind == "user" and name and not chosen:
        principal = {**user(name, account, partition), **_id(key)}
    elif kind == "role" and name:
        principal = role(name, account, partition)
    elif kind == "root":
        principal = {"kind": "root", "name": "root", "arn": f"arn:{partition}:iam::{account}:root", "account": account}
    elif kind in ("service", "account"):
        principal = {"kind": kind, "name": name, "arn": "", "account": account}
    service = detail.get("service")
    service = service if isinstance(service, Mapping) else {}
    access_key = _string(key.get("accessKeyId"))
    return {
        # A finding is sent again whenever it is seen again; it is one incident for each severity.
        "event_id": _text(detail, "id"),
        "event_name": _text(detail, "type"),
        "event_source": "guardduty.amazonaws.com",
        "event_time": iso(_string(service.get("eventLastSeen"))) or iso(_string(event.get("time"))),
        "region": _string(detail.get("region")) or _string(event.get("region")),
        "account": account,
        "read_only": False,
        "error_code": None,
        "source_ip": _remote_address(service),
        "vpc_endpoint_id": None,
        "user_agent": None,
        "actor": {
            **principal,
            "caller_arn": principal["arn"],
            "access_key_id": access_key or None,
            "identity_type": user_type,
        },
        "subject": principal,
        "access_key_id": access_key if access_key.startswith(_LONG_TERM_KEY) else None,
    }


def _remote_address(service: Mapping[str, Any]) -> str | None:
    action = service.get("action")
    call = action.get("awsApiCallAction") if isinstance(action, Mapping) else None
    remote = call.get("remoteIpDetails") if isinstance(call, Mapping) else None
    return _string(remote.get("ipAddressV4")) or None if isinstance(remote, Mapping) else None


def _health(event: Mapping[str, Any], detail: Mapping[str, Any], access_key_id: str | None) -> Facts:
    account = _string(detail.get("affectedAccount")) or _string(event.get("account"))
    keys = exposed_keys(event)
    key = access_key_id or (keys[0] if keys else None)
    nobody = unknown_principal(account)
    return {
        "event_id": f"{_text(detail, 'eventArn')}#{key or 'none'}",
        "event_name": _text(detail, "eventTypeCode"),
        "event_source": "health.amazonaws.com",
        "event_time": iso(_string(event.get("time"))),
        "region": _string(event.get("region")),
        "account": account,
        "read_only": False,
        "error_code": None,
        "source_ip": None,
        "vpc_endpoint_id": None,
        "user_agent": None,
        "actor": {**nobody, "caller_arn": "", "access_key_id": None, "identity_type": ""},
        # Whose key it is, IAM tells at containment (GetAccessKeyLastUsed).
        "subject": nobody,
        "access_key_id": key,
    }


def _text(values: Mapping[str, Any], name: str) -> str:
    value = values.get(name)
    if not isinstance(value, str) or not value:
        raise InvalidInputError(f"The event's detail has no {name}.")
    return _string(value)


def _string(value: object) -> str:
    return value if isinstance(value, str) else ""
