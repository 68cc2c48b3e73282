"""Read CloudTrail records, GuardDuty findings and AWS Health events into the facts of an incident. Pure.

Fields: https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-user-identity.html. The
module `findings` reads GuardDuty and AWS Health.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from ir_router.errors import InvalidInputError
from ir_router.workflow import details, findings
from ir_router.workflow.incident import Actor, Facts, Principal, PrincipalKind, Whom
from ir_router.workflow.principals import (
    iso,
    mapping,
    own_key,
    principal_of,
    role,
    same_name,
    string,
    unknown_principal,
    user,
    user_id,
)

_USER_AGENT_LENGTH = 256
_IAM = "iam.amazonaws.com"


def read(event: object, *, partition: str = "aws", entity: str | None = None, whom: Whom | None = None) -> Facts:
    """Return the facts of an EventBridge event.

    Args:
        event: The event as EventBridge delivers it.
        partition: The AWS partition for ARNs that are built from names.
        entity: The entity to read from an event that names several (see `findings.entities`).
        whom: The principal that the detection contains; it decides the subject of a CloudTrail event. By default the
            subject is the owner of a new access key, else the caller.

    Raises:
        InvalidInputError: A required field is missing; the message names it.
    """
    if not isinstance(event, Mapping):
        raise InvalidInputError("The event is not a JSON object.")
    detail = event.get("detail")
    if not isinstance(detail, Mapping):
        raise InvalidInputError("The event has no detail object.")
    match kind_of(event):
        case "guardduty":
            return findings.guardduty(event, detail, partition, entity)
        case "health":
            return findings.health(event, detail, partition, entity)
        case _:
            return _cloudtrail(event, detail, partition, whom)


def kind_of(event: Mapping[str, Any]) -> Literal["cloudtrail", "guardduty", "health"]:
    """Return the kind of an event.

    The detail-type decides, not the source: API calls to GuardDuty and AWS Health have the sources of their findings.
    https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-service-event-cloudtrail.html
    """
    detail_type = string(event.get("detail-type"))
    if detail_type == "GuardDuty Finding":
        return "guardduty"
    return "health" if detail_type.startswith("AWS Health ") else "cloudtrail"


def entities(event: Mapping[str, Any]) -> list[str]:
    """Return the subjects of an event that each get an execution (see `findings.entities`); empty for API calls."""
    return [] if kind_of(event) == "cloudtrail" else findings.entities(event)


def target(event: Mapping[str, Any], partition: str = "aws") -> tuple[Principal, str | None]:
    """Return the user or role that an API call changes, and the key that the call names."""
    detail = mapping(event.get("detail"))
    account = string(detail.get("recipientAccountId")) or string(event.get("account"))
    return _target(detail, _actor(mapping(detail.get("userIdentity")), account, partition), account, partition)


def _cloudtrail(event: Mapping[str, Any], detail: Mapping[str, Any], partition: str, whom: Whom | None) -> Facts:
    name = _text(detail, "eventName")
    identity = mapping(detail.get("userIdentity"))
    account = string(detail.get("recipientAccountId")) or string(event.get("account"))
    actor = _actor(identity, account, partition)
    subject, key = _subject(detail, actor, account, partition, whom)
    agent = string(detail.get("userAgent"))
    return {
        "event_id": _text(detail, "eventID"),
        "event_name": name,
        "event_source": string(detail.get("eventSource")),
        "event_time": iso(string(detail.get("eventTime"))) or iso(string(event.get("time"))),
        "region": string(detail.get("awsRegion")) or string(event.get("region")),
        "account": account,
        "read_only": detail.get("readOnly") in (True, "true"),
        "error_code": string(detail.get("errorCode")) or None,
        "source_ip": string(detail.get("sourceIPAddress")) or None,
        "vpc_endpoint_id": string(detail.get("vpcEndpointId")) or None,
        "user_agent": agent[:_USER_AGENT_LENGTH] or None,
        "actor": actor,
        "subject": subject,
        "access_key_id": key,
        "finding": False,
        "details": details.of_call(detail, actor),
    }


def _subject(
    detail: Mapping[str, Any], actor: Actor, account: str, partition: str, whom: Whom | None
) -> tuple[Principal, str | None]:
    """Return the principal whose credentials are at risk, and the key that the event names."""
    if whom == "target_user":
        return _target(detail, actor, account, partition)
    if whom == "key_owner" or (whom != "caller" and detail.get("eventName") == "CreateAccessKey"):
        return _key_owner(detail, actor, account, partition)
    return principal_of(actor), own_key(actor)


def _key_owner(detail: Mapping[str, Any], actor: Actor, account: str, partition: str) -> tuple[Principal, str | None]:
    """Return the owner and the key. Without a user name, IAM's operations on access keys concern the caller."""
    itself = principal_of(actor)
    created = mapping(mapping(detail.get("responseElements")).get("accessKey"))
    request = mapping(detail.get("requestParameters"))
    requested = string(request.get("userName"))
    key = string(created.get("accessKeyId")) or string(request.get("accessKeyId")) or None
    if not requested and actor["kind"] == "root":
        return itself, key  # the response gives the account's alias as the user name
    name = string(created.get("userName")) or requested
    owner = user(name, account, partition) if name else itself
    return (itself if same_name(owner, actor) else owner), key


def _target(detail: Mapping[str, Any], actor: Actor, account: str, partition: str) -> tuple[Principal, str | None]:
    """Return the user or role that the call changes. Without a name, some operations of IAM concern the caller.

    After `UpdateUser`, IAM knows the user by its new name. Another user can have the old one.
    """
    request = mapping(detail.get("requestParameters"))
    key = string(request.get("accessKeyId")) or None
    if name := string(request.get("userName")):
        target = user(name, account, partition)
        renamed = string(request.get("newUserName")) if detail.get("eventName") == "UpdateUser" else ""
        if renamed and not same_name(target, actor):
            return user(renamed, account, partition), key
    elif name := string(request.get("roleName")):
        target = role(name, account, partition)
    else:
        target = principal_of(actor) if detail.get("eventSource") == _IAM else unknown_principal(account)
    return (principal_of(actor), key or own_key(actor)) if same_name(target, actor) else (target, key)


def _actor(identity: Mapping[str, Any], account: str, partition: str) -> Actor:
    kind = string(identity.get("type"))
    arn = string(identity.get("arn"))
    own_account = string(identity.get("accountId")) or account
    name = string(identity.get("userName"))
    session = identity.get("sessionContext")
    issuer = session.get("sessionIssuer") if isinstance(session, Mapping) else None
    issuer = issuer if isinstance(issuer, Mapping) else {}
    principal: Principal
    if kind == "IAMUser" and (name or arn):
        name = name or arn.rpartition("/")[2]
        named = user(name, own_account, partition)
        principal = {**named, "arn": arn or named["arn"], **user_id(identity)}
    elif kind == "Root":
        root_arn = arn or f"arn:{partition}:iam::{own_account}:root"
        principal = {"kind": "root", "name": "root", "arn": root_arn, "account": own_account}
    elif kind in ("AssumedRole", "Role"):
        principal = _issuer(issuer, own_account) or _assumed(arn, own_account, partition)
    elif kind == "FederatedUser":
        principal = _issuer(issuer, own_account) or unknown_principal(own_account)
    elif kind == "AWSService":
        principal = {"kind": "service", "name": string(identity.get("invokedBy")), "arn": "", "account": own_account}
    elif kind == "AWSAccount":
        # A principal of another account. Its id is all that AWS shows; the caller chooses the name of a role's session.
        who = string(identity.get("principalId")).partition(":")[0]
        shown = f"{own_account} (principal {who})" if who and who != own_account else own_account
        principal = {"kind": "account", "name": shown, "arn": arn, "account": own_account}
    else:
        # IdentityCenterUser, WebIdentityUser, SAMLUser, Directory, Unknown: each names its person in another field.
        person = string(mapping(identity.get("onBehalfOf")).get("userId")) or string(identity.get("principalId"))
        principal = {"kind": "unknown", "name": name or person, "arn": arn, "account": own_account}
    return {
        **principal,
        "caller_arn": arn or principal["arn"],
        "access_key_id": string(identity.get("accessKeyId")) or None,
        "identity_type": kind,
    }


def _issuer(issuer: Mapping[str, Any], account: str) -> Principal | None:
    """Return the owner of a session: a role, or the user that created a federated session."""
    kinds: Mapping[str, PrincipalKind] = {"Role": "role", "IAMUser": "user", "Root": "root"}
    kind = kinds.get(string(issuer.get("type")))
    name, arn = string(issuer.get("userName")), string(issuer.get("arn"))
    if kind is None or not arn:
        return None
    own_account = string(issuer.get("accountId")) or account
    named: Principal = {"kind": kind, "name": name or arn.rpartition("/")[2], "arn": arn, "account": own_account}
    return {**named, **user_id(issuer)} if kind == "user" else named


def _assumed(arn: str, account: str, partition: str) -> Principal:
    """Return the role of `arn:aws:sts::<account>:assumed-role/<role>/<session>`."""
    parts = arn.rpartition(":")[2].split("/")
    if parts[0] == "assumed-role" and len(parts) >= 2 and parts[1]:
        return role(parts[1], account, partition)
    return {"kind": "unknown", "name": "", "arn": arn, "account": account}


def _text(values: Mapping[str, Any], name: str) -> str:
    value = values.get(name)
    if not isinstance(value, str) or not value:
        raise InvalidInputError(f"The event's detail has no {name}.")
    return string(value)
