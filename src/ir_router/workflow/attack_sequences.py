"""Read the actors of a GuardDuty attack sequence, and the addresses from which each of them acted. Pure.

Fields: https://docs.aws.amazon.com/guardduty/latest/APIReference/API_Sequence.html, with Actor, Signal and
NetworkEndpoint.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ir_router.workflow.details import short
from ir_router.workflow.principals import items, mapping, string

UNKNOWN_ADDRESS = "an unknown address"


def of(detail: Mapping[str, Any]) -> Mapping[str, object]:
    """Return the attack sequence of a finding, or an empty object for other findings."""
    return mapping(mapping(mapping(detail.get("service")).get("detection")).get("sequence"))


def actors(detail: Mapping[str, Any]) -> list[Mapping[str, object]]:
    """Return the actors with an identity. An actor of a runtime signal is a process."""
    return [actor for actor in items(of(detail).get("actors")) if mapping(actor.get("user"))]


def id_of(actor: Mapping[str, object]) -> str:
    """Return the id of an actor in the sequence."""
    who = mapping(actor.get("user"))
    return string(actor.get("id")) or string(who.get("uid")) or string(who.get("name"))


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
    wanted = _endpoint_ids(sequence, id_of(actor))
    if wanted is None:
        return all_addresses(sequence)
    endpoints = items(sequence.get("endpoints"))
    listed = {string(endpoint.get("id")) for endpoint in endpoints}
    found = [_address(endpoint) for endpoint in endpoints if string(endpoint.get("id")) in wanted]
    return list(dict.fromkeys([*found, *(UNKNOWN_ADDRESS for _ in wanted - listed)]))


def all_addresses(sequence: Mapping[str, object]) -> list[str]:
    """Return the distinct addresses of all endpoints."""
    return list(dict.fromkeys(_address(endpoint) for endpoint in items(sequence.get("endpoints"))))


def _endpoint_ids(sequence: Mapping[str, object], actor: str) -> set[str] | None:
    """Return the ids of the actor's endpoints, or None if the signals do not show them all."""
    wanted: set[str] = set()
    named = False
    for signal in items(sequence.get("signals")):
        actor_ids, endpoint_ids = set(_texts(signal.get("actorIds"))), set(_texts(signal.get("endpointIds")))
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
