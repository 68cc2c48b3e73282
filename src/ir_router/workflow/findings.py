"""Read GuardDuty findings and AWS Health events into the facts of an incident. Pure.

Fields: https://docs.aws.amazon.com/guardduty/latest/ug/guardduty_finding-format.html,
https://docs.aws.amazon.com/guardduty/latest/APIReference/API_Sequence.html (attack sequences) and
https://docs.aws.amazon.com/health/latest/ug/aws-health-events-eventbridge-schema.html.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

from ir_router.errors import InvalidInputError
from ir_router.workflow.details import federated, session_lines, short
from ir_router.workflow.incident import Actor, Facts, Principal, PrincipalKind
from ir_router.workflow.principals import (
    from_arn,
    iso,
    items,
    long_term,
    mapping,
    role,
    root,
    string,
    unknown_principal,
    user,
    user_id,
)

_KINDS: Mapping[str, PrincipalKind] = {
    "IAMUser": "user",
    "FederatedUser": "user",
    "AssumedRole": "role",
    "Role": "role",
    "Root": "root",
    "AWSService": "service",
    "AWSAccount": "account",
}
_ACCESS_KEY = re.compile(r"A(?:KIA|SIA)[A-Z0-9]*")
_ACCOUNT = re.compile(r"\d{12}")
_USER_NAME = re.compile(r"[\w+=,.@-]{1,64}", re.ASCII)
_CONSOLES = {"aws-cn": "amazonaws.cn", "aws-us-gov": "amazonaws-us-gov.com"}
_SIGNALS = 8
# The meaning of the codes of AWS Health, by their part after AWS_RISK_:
# https://docs.aws.amazon.com/health/latest/ug/aws-health-events-eventbridge-schema.html
_HEALTH = (
    ("CREDENTIALS_EXPOSED", "AWS found the credentials in public"),
    ("CREDENTIALS_COMPROMISED", "the credentials are compromised"),
    ("IAM_QUARANTINE", "AWS has put the user in quarantine, because its credentials leaked"),
    ("CONSOLE_COMPROMISE", "console access to the account is compromised"),
)


def entities(event: Mapping[str, Any]) -> list[str]:
    """Return the subjects of an event of which each gets its own execution: the distinct entities of an AWS Health
    event, or the actors of a GuardDuty attack sequence, in order; empty for other events.

    EventBridge repeats the entities of AWS Health as the event's resources.
    """
    detail = mapping(event.get("detail"))
    values = [string(entity.get("entityValue")) for entity in items(detail.get("affectedEntities"))]
    values = values or [_actor_id(actor) for actor in _actors(detail)]
    if not any(values) and string(event.get("detail-type")).startswith("AWS Health "):
        resources = event.get("resources")
        values = [string(one) for one in resources] if isinstance(resources, list) else []
    return list(dict.fromkeys(value for value in values if value))


def guardduty(event: Mapping[str, Any], detail: Mapping[str, Any], partition: str, chosen: str | None) -> Facts:
    """Return the facts of a finding. `chosen` is the actor of an attack sequence, see `entities`."""
    account = string(detail.get("accountId")) or string(event.get("account"))
    service = mapping(detail.get("service"))
    sequence = _sequence(detail)
    credentials = mapping(mapping(detail.get("resource")).get("accessKeyDetails"))
    event_id = string(detail.get("id"))
    if not event_id:
        raise InvalidInputError("The GuardDuty finding has no id.")
    actors = _actors(detail)
    if actors:
        actor_of = next((one for one in actors if _actor_id(one) == chosen), actors[0])
        credentials = _credentials(actor_of)
        account = string(mapping(mapping(actor_of.get("user")).get("account")).get("uid")) or account
        event_id = f"{event_id}#{_actor_id(actor_of)}"
    actor = _finding_actor(credentials, account, partition)
    finding_type = string(detail.get("type")) or "GuardDuty finding of unknown type"
    region = string(detail.get("region")) or string(event.get("region"))
    facts: Facts = {
        # GuardDuty resends a finding with each new occurrence. There is one incident for each severity.
        "event_id": event_id,
        "event_name": finding_type,
        "event_source": "guardduty.amazonaws.com",
        "event_time": iso(string(service.get("eventLastSeen"))) or iso(string(event.get("time"))),
        "first_seen": iso(string(service.get("eventFirstSeen"))),
        "region": region,
        "account": string(detail.get("accountId")) or string(event.get("account")),
        "read_only": False,
        "error_code": None,
        "source_ip": _remote_address(service, sequence),
        "vpc_endpoint_id": None,
        "user_agent": None,
        "actor": actor,
        "subject": _without_credentials(actor),
        "access_key_id": long_term(string(credentials.get("accessKeyId"))),
        "finding": True,
        "details": list(_finding_details(detail, actor, credentials, partition, region, len(actors))),
    }
    if _is_sample(detail, service):
        facts["quiet"] = "sample"
    return facts


def health(event: Mapping[str, Any], detail: Mapping[str, Any], partition: str, chosen: str | None) -> Facts:
    """Return the facts of an event about one of its entities: `chosen`, or the first one."""
    account = string(detail.get("affectedAccount")) or string(event.get("account"))
    named = entities(event)
    entity = chosen or (named[0] if named else "")
    subject = _of_entity(entity, account, partition)
    code = string(detail.get("eventTypeCode"))
    event_arn = string(detail.get("eventArn")) or string(event.get("id"))
    if not event_arn:
        raise InvalidInputError("The event's detail has no eventArn.")
    facts: Facts = {
        "event_id": f"{event_arn}#{entity or 'none'}",
        "event_name": code or "AWS Health event of unknown type",
        "event_source": "health.amazonaws.com",
        "event_time": iso(string(event.get("time"))),
        "region": string(event.get("region")),
        "account": account,
        "read_only": False,
        "error_code": None,
        "source_ip": None,
        "vpc_endpoint_id": None,
        "user_agent": None,
        "actor": {**unknown_principal(account), "caller_arn": "", "access_key_id": None, "identity_type": ""},
        # IAM names the owner of the key at containment (GetAccessKeyLastUsed).
        "subject": subject,
        "access_key_id": long_term(entity) if _ACCESS_KEY.fullmatch(entity) else None,
        "finding": True,
        "details": list(_health_details(detail, entity)),
    }
    if string(detail.get("statusCode")) == "closed":
        facts["quiet"] = "closed"
    return facts


def _finding_actor(credentials: Mapping[str, object], account: str, partition: str) -> Actor:
    name, user_type = string(credentials.get("userName")), string(credentials.get("userType"))
    kind = _KINDS.get(user_type, "unknown")
    principal = unknown_principal(account)
    # The caller chooses the name of a federated user's session, so it counts only together with IAM's unique id.
    chosen = user_type == "FederatedUser" and not user_id(credentials)
    if kind == "user" and name and not chosen:
        principal = {**user(name, account, partition), **user_id(credentials)}
    elif kind == "role" and name:
        principal = role(name, account, partition)
    elif kind == "root":
        principal = root(account, partition)
    elif kind in ("service", "account"):
        principal = {"kind": kind, "name": name, "arn": "", "account": account}
    session = string(credentials.get("principalId")).partition(":")[2]
    caller_arn = principal["arn"]
    if kind == "role" and name and session:
        caller_arn = f"arn:{partition}:sts::{account}:assumed-role/{name}/{session}"
    return {
        **principal,
        "caller_arn": caller_arn,
        "access_key_id": string(credentials.get("accessKeyId")) or None,
        "identity_type": user_type,
    }


def _without_credentials(actor: Actor) -> Principal:
    who: Principal = {"kind": actor["kind"], "name": actor["name"], "arn": actor["arn"], "account": actor["account"]}
    return {**who, "id": actor["id"]} if "id" in actor else who


def _sequence(detail: Mapping[str, Any]) -> Mapping[str, object]:
    return mapping(mapping(mapping(detail.get("service")).get("detection")).get("sequence"))


def _actors(detail: Mapping[str, Any]) -> list[Mapping[str, object]]:
    """Return the actors with an identity. An actor of a runtime signal is a process."""
    return [actor for actor in items(_sequence(detail).get("actors")) if mapping(actor.get("user"))]


def _actor_id(actor: Mapping[str, object]) -> str:
    who = mapping(actor.get("user"))
    return string(actor.get("id")) or string(who.get("uid")) or string(who.get("name"))


def _credentials(actor: Mapping[str, object]) -> Mapping[str, object]:
    """Return an actor of an attack sequence in the shape of `accessKeyDetails`."""
    who, session = mapping(actor.get("user")), mapping(actor.get("session"))
    return {
        "accessKeyId": string(who.get("credentialUid")) or string(session.get("uid")),
        "principalId": who.get("uid"),
        "userName": who.get("name"),
        "userType": who.get("type"),
    }


def _finding_details(
    detail: Mapping[str, Any],
    actor: Actor,
    credentials: Mapping[str, object],
    partition: str,
    region: str,
    actors: int,
) -> Iterator[str]:
    if title := string(detail.get("title")):
        yield f"Finding: {short(title)}"
    if actor["kind"] == "role":
        yield from session_lines(actor["name"], actor["caller_arn"].partition("assumed-role/")[2].partition("/")[2])
    if actor["kind"] == "unknown" and (name := string(credentials.get("userName"))):
        yield from _unknown_caller(name, actor["identity_type"])
    if actor["access_key_id"] and not long_term(actor["access_key_id"]):
        yield f"Session key: {short(actor['access_key_id'])}"
    if actors > 1:
        yield f"Actors: {actors}. ir-router handles each of them in an execution of its own."
    sequence = _sequence(detail)
    if sequence:
        signals = items(sequence.get("signals"))
        listed = "; ".join(_signal(signal) for signal in signals[:_SIGNALS])
        more = f"; {len(signals) - _SIGNALS} more" if len(signals) > _SIGNALS else ""
        yield f"Attack sequence: {short(string(sequence.get('description')))}".rstrip(": ")
        if signals:
            yield f"Signals: {listed}{more}"
    yield from _resources(mapping(detail.get("resource")))
    count = mapping(detail.get("service")).get("count")
    if isinstance(count, int) and count > 1:
        yield f"Occurrences so far: {count}"
    identifier = string(detail.get("id"))
    host = f"{region}.console.{_CONSOLES.get(partition, 'aws.amazon.com')}"
    if re.fullmatch(r"[a-z0-9-]+", region):
        yield f"Console: https://{host}/guardduty/home?region={region}#/findings?macros=current&fId={quote(identifier)}"


def _unknown_caller(name: str, user_type: str) -> Iterator[str]:
    """Yield the name of a caller that is not certainly a principal: anyone can choose such a name."""
    if user_type == "FederatedUser":
        yield federated(name)
        yield "To find the user who opened this session, search CloudTrail for GetFederationToken"
    else:
        yield f'Caller in the finding: {short(user_type or "unknown type")} "{short(name)}"'


def _signal(signal: Mapping[str, object]) -> str:
    first = iso(string(signal.get("firstSeenAt"))) or iso(string(signal.get("createdAt")))
    return f"{short(string(signal.get('name')) or string(signal.get('type')))}{f' at {first}' if first else ''}"


def _resources(resource: Mapping[str, object]) -> Iterator[str]:
    buckets = [string(bucket.get("name")) for bucket in items(resource.get("s3BucketDetails"))]
    if any(buckets):
        yield f"Buckets: {', '.join(short(name) for name in buckets[:_SIGNALS] if name)}"
    if instance := string(mapping(resource.get("instanceDetails")).get("instanceId")):
        yield f"Affected instance: {short(instance)}"


def _remote_address(service: Mapping[str, object], sequence: Mapping[str, object]) -> str | None:
    """Return the caller's address, IPv4 or IPv6. Each kind of action has its own object; a sequence has endpoints."""
    for action in mapping(service.get("action")).values():
        remote = mapping(mapping(action).get("remoteIpDetails"))
        found = string(remote.get("ipAddressV4")) or string(remote.get("ipAddressV6"))
        if found:
            return found
    addresses = [string(endpoint.get("ip")) for endpoint in items(sequence.get("endpoints"))]
    return next((address for address in addresses if address), None)


def _is_sample(detail: Mapping[str, Any], service: Mapping[str, object]) -> bool:
    """Whether an operator created the finding as a sample: "Generate sample findings" marks it in both places."""
    if string(detail.get("title")).startswith("[SAMPLE]"):
        return True
    more = mapping(service.get("additionalInfo"))
    if more.get("sample") is True:
        return True
    try:
        value = json.loads(string(more.get("value")) or "{}")
    except (ValueError, RecursionError):
        return False
    return mapping(value).get("sample") is True


def _of_entity(entity: str, account: str, partition: str) -> Principal:
    """Return the principal that an entity of AWS Health names: an ARN, an account or a user name."""
    if named := from_arn(entity):
        return named
    if _ACCOUNT.fullmatch(entity):
        return {"kind": "account", "name": entity, "arn": "", "account": entity}
    if entity.startswith("arn:") or _ACCESS_KEY.fullmatch(entity) or not _USER_NAME.fullmatch(entity):
        return unknown_principal(account)
    return user(entity, account, partition)


def _health_details(detail: Mapping[str, Any], entity: str) -> Iterator[str]:
    descriptions = items(detail.get("eventDescription"))
    if meaning := next((text for code, text in _HEALTH if code in string(detail.get("eventTypeCode"))), ""):
        yield f"AWS reports: {meaning}"
    message = next((string(one.get("latestDescription")) for one in descriptions if one.get("latestDescription")), "")
    if message:
        yield f"Message from AWS: {short(message)}"
    yield f"Affected: {short(entity)}" if entity else "Affected: the event names no key, user or account"
