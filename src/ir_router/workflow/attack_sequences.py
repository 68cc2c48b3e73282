"""Read the actors of a GuardDuty attack sequence, and the addresses from which each of them acted. Pure.

Fields: https://docs.aws.amazon.com/guardduty/latest/APIReference/API_Sequence.html, with Actor, Signal and
NetworkEndpoint and ResourceV2.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ir_router.workflow.details import short
from ir_router.workflow.principals import items, mapping, string

UNKNOWN_ADDRESS = "an unknown address"
_ACCESS_KEY = re.compile(r"A(?:KIA|SIA)[A-Z0-9]+")
_ROLES = {"AssumedRole": "Role"}
_OF_AWS = frozenset({"AWSService", "AWSAccount"})
_RESOURCE = "resource"
_IDENTIFYING = ("uid", "name", "credentialUid")


def of(detail: Mapping[str, Any]) -> Mapping[str, object]:
    """Return the attack sequence of a finding, or an empty object for other findings."""
    return mapping(mapping(mapping(detail.get("service")).get("detection")).get("sequence"))


def actors(detail: Mapping[str, Any]) -> list[Mapping[str, object]]:
    """Return the actors with an identity, then those of the access keys that belong to none of them.

    An actor of a runtime signal is a process. The access keys are resources of the sequence.
    """
    sequence = of(detail)
    found = [actor for actor in items(sequence.get("actors")) if mapping(actor.get("user"))]
    for resource in items(sequence.get("resources")):
        user = _of_resource(resource)
        if user is not None and not any(_is_same(user, mapping(actor.get("user"))) for actor in found):
            found.append({"id": string(resource.get("uid")), "user": user, _RESOURCE: True})
    return found


def _of_resource(resource: Mapping[str, object]) -> Mapping[str, object] | None:
    """Return the user of an access key in the shape of an actor's user, or None if the resource names none."""
    details = mapping(mapping(resource.get("data")).get("accessKey"))
    if resource.get("resourceType") != "ACCESS_KEY" or string(details.get("userType")) in _OF_AWS:
        return None
    ids = (string(resource.get(name)).rpartition("/")[2] for name in ("uid", "name"))
    user = {
        "name": string(details.get("userName")),
        "uid": string(details.get("principalId")),
        "type": string(details.get("userType")),
        "credentialUid": next((one for one in ids if _ACCESS_KEY.fullmatch(one)), ""),
    }
    return {**user, "account": {"uid": resource.get("accountId")}} if any(user.values()) else None


def _is_same(one: Mapping[str, object], other: Mapping[str, object]) -> bool:
    if one["credentialUid"] and one["credentialUid"] == other.get("credentialUid"):
        return True
    own, others = (string(user.get("uid")).partition(":")[0] for user in (one, other))
    if own and others:
        return own == others
    kinds = [_ROLES.get(string(user.get("type")), string(user.get("type"))) for user in (one, other)]
    return bool(one["name"]) and one["name"] == other.get("name") and kinds[0] == kinds[1]


def id_of(actor: Mapping[str, object]) -> str:
    """Return the id of an actor in the sequence."""
    who = mapping(actor.get("user"))
    return string(actor.get("id")) or next(filter(None, (string(who.get(name)) for name in _IDENTIFYING)), "")


def credentials(actor: Mapping[str, object]) -> Mapping[str, object]:
    """Return an actor in the shape of `accessKeyDetails`."""
    who, session = mapping(actor.get("user")), mapping(actor.get("session"))
    return {
        "accessKeyId": string(who.get("credentialUid")) or string(session.get("uid")),
        "principalId": who.get("uid"),
        "userName": who.get("name"),
        "userType": who.get("type"),
    }


def addresses(sequence: Mapping[str, object], actor: Mapping[str, object]) -> list[str]:
    """Return the distinct addresses from which an actor may have acted.

    The signals connect actors with endpoints. A signal without actors counts for each actor. If a signal of the actor
    names no endpoint, or if no signal names the actor, all endpoints count. The result has the domain of an endpoint
    without an address, or UNKNOWN_ADDRESS.
    """
    wanted = _endpoint_ids(sequence, id_of(actor), "resourceUids" if actor.get(_RESOURCE) is True else "actorIds")
    if wanted is None:
        return all_addresses(sequence)
    endpoints = items(sequence.get("endpoints"))
    listed = {string(endpoint.get("id")) for endpoint in endpoints}
    found = [_address(endpoint) for endpoint in endpoints if string(endpoint.get("id")) in wanted]
    return list(dict.fromkeys([*found, *(UNKNOWN_ADDRESS for _ in wanted - listed)]))


def all_addresses(sequence: Mapping[str, object]) -> list[str]:
    """Return the distinct addresses of all endpoints."""
    return list(dict.fromkeys(_address(endpoint) for endpoint in items(sequence.get("endpoints"))))


def _endpoint_ids(sequence: Mapping[str, object], actor: str, field: str) -> set[str] | None:
    """Return the ids of the actor's endpoints, or None if the signals do not show them all."""
    wanted: set[str] = set()
    named = False
    for signal in items(sequence.get("signals")):
        actor_ids, endpoint_ids = set(_texts(signal.get(field))), set(_texts(signal.get("endpointIds")))
        if actor in actor_ids:
            named = True
            if not endpoint_ids:
                return None
        if actor in actor_ids or not actor_ids:
            wanted |= endpoint_ids
    return wanted if named else None


def _address(endpoint: Mapping[str, object]) -> str:
    return string(endpoint.get("ip")) or short(string(endpoint.get("domain"))) or UNKNOWN_ADDRESS


def _texts(value: object) -> Iterator[str]:
    yield from (one for one in value if isinstance(one, str)) if isinstance(value, list) else ()
