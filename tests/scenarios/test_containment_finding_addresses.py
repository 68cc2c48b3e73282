"""Findings with several remote addresses: an address entry of the allowlist spares only if all of them match."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.scenarios.test_containment_allowlist import add
from tests.support.world import World
from tests.trials.world import incidents as support
from tests.trials.world.incidents import alerts, iam_state
from tests.trials.world.state_machine import StateMachine

OURS, OTHER = "203.0.113.5", "198.51.100.7"


def actor(name: str, **more: Any) -> dict[str, Any]:
    return {"id": name, "user": {"name": name, "type": "IAMUser", **more}}


def sequence(
    actors: list[Any], endpoints: list[Any], signals: list[Any], kind: str = "IAM/CompromisedCredentials", **more: Any
) -> Any:
    """Return an attack sequence in the format of the GuardDuty API (Sequence, Signal, Actor, NetworkEndpoint)."""
    found = {"uid": "s", "description": "d", "actors": actors, "endpoints": endpoints, "signals": signals, **more}
    return support.finding(
        "", 9.0, type=f"AttackSequence:{kind}", resource={"resourceType": "AttackSequence"},
        service={"detection": {"sequence": found}},
    )  # fmt: skip


def endpoints(*addresses: str) -> list[Any]:
    return [{"id": f"e{number}", "ip": address} for number, address in enumerate(addresses, 1)]


def signal(*endpoint_ids: str, actors: tuple[str, ...] = ("alice",)) -> Any:
    return {"uid": "x", "type": "CLOUD_TRAIL", "name": "n", "actorIds": [*actors], "endpointIds": [*endpoint_ids]}


@pytest.mark.parametrize(
    ("where", "signals", "denied"),
    [
        (endpoints(OURS, OTHER), [signal("e1"), signal("e2")], True),
        (endpoints(OURS, OTHER), [signal("e1", "e2")], True),
        (endpoints(OURS, OTHER), [], True),  # no signal names the actor
        (endpoints(OURS, OTHER), [signal("e1"), signal(actors=("alice",))], True),  # a signal without an endpoint
        (endpoints(OURS, OTHER), [signal("e1"), signal("e2", actors=())], True),  # a signal without an actor
        (endpoints(OURS, OTHER), [signal("e1"), signal("unlisted")], True),
        ([*endpoints(OURS), {"id": "e2", "domain": "evil.example"}], [signal("e1"), signal("e2")], True),
        ([*endpoints(OURS), {"id": "e2"}], [signal("e1", "e2")], True),
        (endpoints(OURS, "2001:db8::1"), [signal("e1", "e2")], True),
        ([*endpoints(OURS), {"id": "e1", "ip": OTHER}], [signal("e1")], True),  # two endpoints with one id
        (endpoints(OURS, OTHER), [signal("e1"), signal("e2", actors=("bob",))], False),
        (endpoints(OURS, "203.0.113.77"), [signal("e1", "e2")], False),
        (endpoints(OURS, "::ffff:203.0.113.6"), [signal("e1", "e2")], False),
        (endpoints(OURS), [], False),
    ],
)
def test_given_an_allowlisted_network_when_a_sequence_has_endpoints_then_all_of_the_actor_must_be_in_it(
    world: World, machine: StateMachine, where: list[Any], signals: list[Any], denied: bool
) -> None:
    add(world, "ip", "203.0.113.0/24")
    support.user("alice")

    execution = machine.start(sequence([actor("alice")], where, signals))

    assert iam_state(world, "alice").denied is denied
    assert execution.path[-1] == ("Wait for Analyst" if denied else "Alerted")


def test_given_two_actors_with_an_endpoint_each_when_one_is_allowlisted_then_only_the_other_is_contained(
    world: World, machine: StateMachine
) -> None:
    add(world, "ip", "203.0.113.0/24")
    support.user("alice")
    support.user("bob")
    signals = [signal("e1"), signal("e2", actors=("bob",))]

    machine.start(sequence([actor("alice"), actor("bob")], endpoints(OURS, OTHER), signals))

    assert (iam_state(world, "alice").denied, iam_state(world, "bob").denied) == (False, True)
    told = {alert["Message"].splitlines()[0]: alert["Message"] for alert in alerts(world)}
    (of_bob,) = [text for text in told.values() if "user bob contained" in text]
    assert f"from {OTHER}" in of_bob
    assert OURS not in of_bob


def test_given_two_entries_that_together_match_all_addresses_when_found_then_the_actor_is_spared_by_both(
    world: World, machine: StateMachine
) -> None:
    add(world, "ip", "203.0.113.0/24")
    add(world, "ip", "2001:db8::/32")
    support.user("alice")

    machine.start(sequence([actor("alice")], endpoints(OURS, "2001:DB8::1"), [signal("e1", "e2")]))

    assert not iam_state(world, "alice").denied
    (alert,) = alerts(world)
    assert "203.0.113.0/24" in alert["Message"]
    assert "2001:db8::/32" in alert["Message"]


def test_given_an_allowlisted_principal_when_a_sequence_has_several_addresses_then_it_is_spared(
    world: World, machine: StateMachine
) -> None:
    add(world, "principal", "arn:aws:iam::123456789012:user/alice")
    support.user("alice")

    machine.start(sequence([actor("alice")], endpoints(OURS, OTHER), [signal("e1", "e2")]))

    assert not iam_state(world, "alice").denied


def remote(address: str, version: str = "V4") -> dict[str, Any]:
    return {"remoteIpDetails": {f"ipAddress{version}": address}}


@pytest.mark.parametrize(
    "action",
    [
        {"awsApiCallAction": remote(OURS), "networkConnectionAction": remote(OTHER)},
        {"portProbeAction": {"portProbeDetails": [remote(OURS), remote(OTHER)]}},
        {"portProbeAction": {"portProbeDetails": [remote(OURS), remote("2001:db8::1", "V6")]}},
        {"awsApiCallAction": {"remoteIpDetails": {"ipAddressV4": OURS, "ipAddressV6": "2001:db8::1"}}},
        {"kubernetesApiCallAction": {"sourceIPs": [OURS, OTHER]}},
        {"awsApiCallAction": remote(OURS), "kubernetesApiCallAction": {"sourceIps": [OTHER]}},
    ],
)
def test_given_a_finding_with_several_remote_addresses_when_one_is_not_allowlisted_then_it_is_contained(
    world: World, machine: StateMachine, action: Any
) -> None:
    add(world, "ip", "203.0.113.0/24")
    support.user("alice")

    machine.start(support.finding("alice", 8.0, service={"action": action}))

    assert iam_state(world, "alice").denied


def test_given_many_addresses_when_contained_then_alert_and_case_show_a_bounded_list(
    world: World, machine: StateMachine
) -> None:
    support.user("alice")
    many = [f"198.51.100.{number}" for number in range(1, 31)]

    machine.start(sequence([actor("alice")], endpoints(*many), []))

    (alert,) = alerts(world)
    assert "from 198.51.100.1 and 29 more addresses" in alert["Message"]
    assert f"Addresses: {', '.join(many[:8])} and 22 more" in alert["Message"]
    (listed,) = world.security_ir.call("ListCases", {})["items"]
    case = world.security_ir.call("GetCase", {"caseId": listed["caseId"]})
    named = [entry["ipAddress"] for entry in case["threatActorIpAddresses"]]
    assert named == many[:8]


def test_given_an_update_with_a_further_address_when_the_first_was_spared_then_it_is_contained(
    world: World, machine: StateMachine
) -> None:
    add(world, "ip", "203.0.113.0/24")
    support.user("alice")
    first = sequence([actor("alice")], endpoints(OURS), [signal("e1")])
    machine.start(first)
    assert not iam_state(world, "alice").denied
    later = json.loads(json.dumps(first)) | {"id": "update"}
    later["detail"]["service"]["detection"]["sequence"] |= {
        "endpoints": endpoints(OURS, OTHER), "signals": [signal("e1"), signal("e2")]
    }  # fmt: skip

    machine.start(later)

    assert iam_state(world, "alice").denied
