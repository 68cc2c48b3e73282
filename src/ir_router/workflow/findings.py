"""Read GuardDuty findings and AWS Health events into the facts of an incident. Pure.

Fields: https://docs.aws.amazon.com/guardduty/latest/ug/guardduty_finding-format.html,
https://docs.aws.amazon.com/guardduty/latest/APIReference/API_Sequence.html (attack sequences) and
https://docs.aws.amazon.com/health/latest/ug/aws-health-events-eventbridge-schema.html.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from ir_router.cases import structured_fields
from ir_router.errors import InvalidInputError
from ir_router.workflow import attack_sequences
from ir_router.workflow.details import federated, session_lines, short
from ir_router.workflow.incident import Actor, Facts, Principal, PrincipalKind
from ir_router.workflow.principals import (
    from_arn,
    iso,
    items,
    long_term,
    mapping,
    named,
    role,
    root,
    session_of_arn,
    string,
    unique_id,
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
# Callers choose names of users, roles and sessions, also the one after an account's id, and paths.
_KEY_IN_TEXT = re.compile(r"(?<![\w+=,.@/-])(?<!\d{12}:)(A(?:KIA|SIA)[A-Z0-9]{12,})(?![\w+=@/-])(?!,\S)", re.ASCII)
_KEY_IN_ARN = re.compile(r"arn:aws[a-z-]*:iam::\d{12}:access-key/(A(?:KIA|SIA)[A-Z0-9]{12,})$", re.ASCII)
_NAME_WITH_KIND = re.compile(r"(user|role)/(?:\S*/)?([\w+=,.@-]{1,64})", re.ASCII)
# Texts of AWS Health for root, for the account and for no entity.
_ROOT = re.compile(r"<?root(?:[ _-](?:account|user))?>?", re.IGNORECASE)
_THE_ACCOUNT = "AWS_ACCOUNT"
_NO_ENTITY = "UNKNOWN"
_USER_NAME = re.compile(r"[\w+=,.@-]{1,64}", re.ASCII)
_CONSOLES = {"aws-cn": "amazonaws.cn", "aws-us-gov": "amazonaws-us-gov.com"}
_SIGNALS = 8
# AWS lists at most this many endpoints in an attack sequence.
_MOST_ADDRESSES = 400
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
    values = values or [attack_sequences.id_of(actor) for actor in attack_sequences.actors(detail)]
    if not any(values) and string(event.get("detail-type")).startswith("AWS Health "):
        resources = event.get("resources")
        values = [string(one) for one in resources] if isinstance(resources, list) else []
    return list(dict.fromkeys(value for value in values if value))


def guardduty(event: Mapping[str, Any], detail: Mapping[str, Any], partition: str, chosen: str | None) -> Facts:
    """Return the facts of a finding. `chosen` is the actor of an attack sequence, see `entities`."""
    account = string(detail.get("accountId")) or string(event.get("account"))
    service = mapping(detail.get("service"))
    sequence = attack_sequences.of(detail)
    credentials = mapping(mapping(detail.get("resource")).get("accessKeyDetails"))
    event_id = string(detail.get("id"))
    if not event_id:
        raise InvalidInputError("The GuardDuty finding has no id.")
    actors = attack_sequences.actors(detail)
    if actors:
        actor_of = next((one for one in actors if attack_sequences.id_of(one) == chosen), actors[0])
        credentials = attack_sequences.credentials(actor_of)
        account = string(mapping(mapping(actor_of.get("user")).get("account")).get("uid")) or account
        event_id = f"{event_id}#{attack_sequences.id_of(actor_of)}"
        addresses = attack_sequences.addresses(sequence, actor_of)
    else:
        addresses = [*_addresses(service.get("action")), *attack_sequences.all_addresses(sequence)]
    addresses = _bounded(addresses)
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
        "source_ip": next((one for one in addresses if structured_fields.address(one)), None),
        "vpc_endpoint_id": None,
        "user_agent": None,
        "actor": actor,
        "subject": _without_credentials(actor),
        "access_key_id": long_term(string(credentials.get("accessKeyId"))),
        "finding": True,
        "details": list(_finding_details(detail, actor, credentials, partition, region, len(actors), addresses)),
    }
    if addresses and addresses != [facts["source_ip"]]:
        facts["addresses"] = addresses
    if _is_sample(detail, service):
        facts["quiet"] = "sample"
    return facts


def health(event: Mapping[str, Any], detail: Mapping[str, Any], partition: str, chosen: str | None) -> Facts:
    """Return the facts of an event about one of its entities: `chosen`, or the first one."""
    account = string(detail.get("affectedAccount")) or string(event.get("account"))
    listed = entities(event)
    entity = chosen or (listed[0] if listed else "")
    meant = _meant(entity)
    subject = _of_entity(meant, account, partition)
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
        "access_key_id": long_term(meant) if _ACCESS_KEY.fullmatch(meant) else None,
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
    elif unique := unique_id(string(credentials.get("principalId")))[0]:
        principal = named(unique, account)
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


def _finding_details(
    detail: Mapping[str, Any],
    actor: Actor,
    credentials: Mapping[str, object],
    partition: str,
    region: str,
    actors: int,
    addresses: Sequence[str],
) -> Iterator[str]:
    if title := string(detail.get("title")):
        yield f"Finding: {short(title)}"
    if actor["kind"] == "role":
        yield from session_lines(actor["name"], actor["caller_arn"].partition("assumed-role/")[2].partition("/")[2])
    if actor["kind"] == "unknown" and (name := string(credentials.get("userName"))):
        yield from _unknown_caller(name, actor["identity_type"])
    if actor["kind"] == "unknown":
        yield from session_lines("", unique_id(string(credentials.get("principalId")))[1])
    if actor["access_key_id"] and not long_term(actor["access_key_id"]):
        yield f"Session key: {short(actor['access_key_id'])}"
    if actors > 1:
        yield f"Actors: {actors}. ir-router handles each of them in an execution of its own."
    yield from _address_lines(addresses)
    sequence = attack_sequences.of(detail)
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


def _addresses(action: object) -> Iterator[str]:
    """Yield the remote addresses of a finding, IPv4 and IPv6. Each kind of action has its own object.

    A port probe has a list of them. A call of the API of Kubernetes may have only its source addresses.
    """
    for kind in mapping(action).values():
        part = mapping(kind)
        remote = [
            string(mapping(one.get("remoteIpDetails")).get(name))
            for one in (part, *(one for value in part.values() for one in items(value)))
            for name in ("ipAddressV4", "ipAddressV6")
        ]
        sources = part.get("sourceIPs") or part.get("sourceIps")
        if not any(remote) and isinstance(sources, list):
            remote = [string(one) for one in sources]
        yield from filter(None, remote)


def _bounded(addresses: Iterable[str]) -> list[str]:
    """Return the distinct addresses, and a text that is no address instead of those beyond the limit."""
    found = list(dict.fromkeys(addresses))
    more = len(found) - _MOST_ADDRESSES
    return [*found[:_MOST_ADDRESSES], f"{more} further addresses"] if more > 0 else found


def _address_lines(addresses: Sequence[str]) -> Iterator[str]:
    if len(addresses) > 1 or any(not structured_fields.address(one) for one in addresses):
        more = f" and {len(addresses) - _SIGNALS} more" if len(addresses) > _SIGNALS else ""
        yield f"Addresses: {', '.join(short(one) for one in addresses[:_SIGNALS])}{more}"


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


def _meant(entity: str) -> str:
    """Return the only access key in an entity, else the entity. A key that is part of a name or of an id is no key."""
    text = entity.strip()
    if _USER_NAME.fullmatch(text) or _NAME_WITH_KIND.fullmatch(text) or unique_id(text)[0]:
        return text
    keys = set((_KEY_IN_ARN if text.startswith("arn:") else _KEY_IN_TEXT).findall(text))
    return str(keys.pop()) if len(keys) == 1 else text


def _of_entity(entity: str, account: str, partition: str) -> Principal:
    """Return the principal that an entity of AWS Health means: an ARN, an account, a name or a unique id.

    Only IAM shows whether a name without `user/` or `role/` is that of a user or of a role.
    """
    if principal := from_arn(entity):
        return principal
    if session := session_of_arn(entity):
        return session[0]
    if _ACCOUNT.fullmatch(entity) or entity == _THE_ACCOUNT:
        account = account if entity == _THE_ACCOUNT else entity
        return {"kind": "account", "name": account, "arn": "", "account": account}
    if _ROOT.fullmatch(entity):
        return root(account, partition)
    if unique := unique_id(entity)[0]:
        return named(unique, account)
    if found := _NAME_WITH_KIND.fullmatch(entity):
        return (user if found[1] == "user" else role)(found[2], account, partition)
    if entity == _NO_ENTITY or _ACCESS_KEY.fullmatch(entity) or not _USER_NAME.fullmatch(entity):
        return unknown_principal(account)
    return named(entity, account)


def _health_details(detail: Mapping[str, Any], entity: str) -> Iterator[str]:
    descriptions = items(detail.get("eventDescription"))
    if meaning := next((text for code, text in _HEALTH if code in string(detail.get("eventTypeCode"))), ""):
        yield f"AWS reports: {meaning}"
    message = next((string(one.get("latestDescription")) for one in descriptions if one.get("latestDescription")), "")
    if message:
        yield f"Message from AWS: {short(message)}"
    yield from _entity_session(entity)
    yield f"Affected: {short(entity)}" if entity else "Affected: the event names no key, user or account"
    yield from _entity_status(detail, entity)


def _entity_status(detail: Mapping[str, Any], entity: str) -> Iterator[str]:
    """Yield the status of an entity that AWS does not list as impaired. It does not decide about the containment.

    AWS documents `PENDING` and `RESOLVED` for planned lifecycle events only, so they do not show that a risk is over.
    https://docs.aws.amazon.com/health/latest/ug/aws-health-planned-lifecycle-events.html
    """
    listed = items(detail.get("affectedEntities"))
    statuses = {string(one.get("status")) for one in listed if string(one.get("entityValue")) == entity}
    if shown := sorted(statuses - {"", "IMPAIRED"}):
        yield f"Status of the affected entity in AWS Health: {', '.join(short(one) for one in shown)}"


def _entity_session(entity: str) -> Iterator[str]:
    found = session_of_arn(entity)
    if found and found[0]["kind"] == "unknown":
        yield from _unknown_caller(found[1], "FederatedUser")
    else:
        yield from session_lines(*(found[0]["name"], found[1]) if found else ("", unique_id(entity)[1]))
