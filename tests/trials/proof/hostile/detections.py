"""Security events: corrupted, hostile in every text that an attacker controls, or for principals that do not exist.

The workflow's first task either reads an event or reports clearly that it cannot. Reading changes nothing except the
note that the event was seen. Some events run through the complete workflow. It contains only principals that the event
names, and its messages about the event contain no active text.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterable
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from ir_router.errors import InvalidInputError
from ir_router.workflow.origin import EventNotBelievedError
from tests.trials.proof.hostile.fixture import CaseFixture, acting
from tests.trials.proof.hostile.incident import BYSTANDER
from tests.trials.proof.hostile.strategies import any_json, corrupted, texts
from tests.trials.proof.hostile.trial import Trial
from tests.trials.proof.leaks import CANARY
from tests.trials.world import ACCOUNT, World, incidents, organisation
from tests.trials.world.organisation import LAB, SHOP, moved
from tests.trials.world.state_machine import StateMachine

_EVERY = 12
_IAM_NAME = re.compile(r"[A-Za-z0-9_+=,.@-]{0,128}")
_KINDS = frozenset({"user", "role", "root", "service", "account", "unknown"})


class Detections(Trial):
    """Each input is an EventBridge event."""

    refusals = (InvalidInputError, EventNotBelievedError)

    def __init__(self, world: World) -> None:
        """Create a user that no event names."""
        self.world = world
        self.fixture = CaseFixture(world)
        world.environment |= {
            "IR_MAX_CONTAINMENTS_PER_HOUR": "1000000",
            "IR_SECURITY_CHANNEL_ID": self.fixture.elsewhere,
        }
        self.machine = StateMachine(world)
        world.carriers.append(self.machine.carry)
        incidents.user(BYSTANDER)
        incidents.user("backdoor")
        incidents.role("builder")
        organisation.found(world)
        incidents.user("backdoor", 1, SHOP)
        self._numbers = itertools.count(1)
        templates = self._templates()
        self.inputs: SearchStrategy[Any] = st.one_of(
            corrupted(templates), corrupted(templates), any_json, st.builds(self._hostile, texts, texts, texts, texts)
        )

    def _templates(self) -> list[Any]:
        world = self.world
        root = {"type": "Root", "arn": "arn:aws:iam::123456789012:root", "accountId": "123456789012"}
        role = incidents.role_identity("builder")
        return [
            incidents.key_created(world, "backdoor", "AKIABACKDOOR00000001"),
            incidents.key_created(world, "backdoor", "AKIABACKDOOR00000002", userIdentity=role),
            incidents.event(incidents.call(world, "CreateAccessKey", userIdentity=root)),
            incidents.event(incidents.call(world, "ListUsers", readOnly=True)),
            incidents.event(incidents.call(world, "StopLogging", service="cloudtrail", userIdentity=role)),
            incidents.finding("backdoor", 8.5),
            incidents.finding("builder", 8.5, user_type="AssumedRole"),
            incidents.finding("", 2.0, user_type="Root"),
            incidents.exposed("AKIABACKDOOR00000001", "AKIABACKDOOR00000002"),
            moved(incidents.key_created(world, "backdoor", "AKIABACKDOOR00000003"), SHOP),
            {**moved(incidents.key_created(world, "backdoor", "AKIABACKDOOR00000003"), SHOP), "account": LAB},
            {**incidents.key_created(world, "backdoor", "AKIABACKDOOR00000001"), "account": SHOP},
            incidents.finding("backdoor", 8.5, accountId=SHOP),
        ]

    def _hostile(self, name: str, agent: str, address: str, session: str) -> Any:
        """Return a well-formed event with texts that the attacker controls."""
        identity = incidents.role_identity("builder", session)
        record = {"userAgent": agent, "sourceIPAddress": address, "userIdentity": identity, "errorCode": session}
        owner = "backdoor" + "".join(_IAM_NAME.findall(name))[:50]
        return incidents.key_created(self.world, owner, "AKIABACKDOOR00000001", **record)

    def check(self, value: Any) -> Iterable[str]:
        """Run the first task on the event, and sometimes the complete workflow."""
        number = next(self._numbers)
        event = self._fresh(value, number)
        before = incidents.iam_state(self.world, BYSTANDER)
        in_accounts = self._in_accounts()
        first, running = len(self.world.wire.calls), len(self.machine.executions)
        answer = self._read(event, f"execution-{number}")
        called = {f"{call.service} {call.operation}" for call in self.world.wire.calls[first:]}
        # An event with several keys starts an execution for each key, and these start at once here.
        if len(self.machine.executions) == running and called - {"dynamodb PutItem", "organizations DescribeAccount"}:
            yield f"reading it called {', '.join(sorted(called))}"
        if answer.error is None:
            yield from self._is_read(event, number, answer.value)
        if number % _EVERY == 0 and (answer.error is not None or _can_exist(answer.value)):
            yield from self._runs_through(event, is_readable=answer.error is None)
        yield from self.fixture.rest()
        if incidents.iam_state(self.world, BYSTANDER) != before:
            yield "a user whom the event does not name was changed"
        for account, state in self._in_accounts().items():
            if state != in_accounts[account] and not self._may_change(event, account):
                yield f"an event of another account changed account {account}"

    def _in_accounts(self) -> dict[str, incidents.IamState]:
        """Return the user with the same name in the hub and in a member."""
        return {account: incidents.iam_state(self.world, "backdoor", account) for account in (ACCOUNT, SHOP)}

    @staticmethod
    def _may_change(event: Any, account: str) -> bool:
        """Return whether the event comes from the account, or is a report of the hub about it."""
        source = event.get("source") if isinstance(event, dict) else None
        origin = event.get("account") if isinstance(event, dict) else None
        return origin == account or (origin == ACCOUNT and source in ("aws.guardduty", "aws.health"))

    def _fresh(self, value: Any, number: int) -> Any:
        """Return the event with a new id, if it has an id at all."""
        event = json.loads(json.dumps(value).replace(CANARY, "heron"))
        if isinstance(event, dict) and isinstance(event.get("detail"), dict):
            for name in ("eventID", "id", "eventArn"):
                if isinstance(event["detail"].get(name), str):
                    event["detail"][name] += f"-{number}"
        return event

    def _read(self, event: Any, execution: str) -> Any:
        told = {"id": execution, "name": execution, "started_at": "2026-01-15T18:05:00Z", "state_machine": "machine"}
        return self.world.try_invoke("workflow", {"task": "extract_event_context", "event": event, "execution": told})

    def _is_read(self, event: Any, number: int, facts: Any) -> Iterable[str]:
        text = json.dumps(event)
        subject = facts["subject"]
        if subject["kind"] not in _KINDS:
            yield f"the subject is a {subject['kind']!r:.50}"
        name = subject["name"]
        if name and subject["kind"] in ("user", "role") and json.dumps(name)[1:-1] not in text:
            yield f"the subject {name!r:.100} is not named by the event"
        key = facts["access_key_id"]
        if key and json.dumps(key)[1:-1] not in text:
            yield f"the key {key!r:.100} is not named by the event"
        again = self._read(event, f"execution-{number}")
        other = self._read(event, f"execution-{number}-other")
        if again.error or other.error or again.value["duplicate"] or not other.value["duplicate"]:
            yield "not exactly one execution handles it"

    def _runs_through(self, event: Any, *, is_readable: bool) -> Iterable[str]:
        event = self._fresh(event, 0)  # by the first of its executions
        execution = self.machine.start(event)
        yield from self.fixture.rest()
        # The execution fails by design: the principal could not be contained (for example an unknown key), and
        # ir-router alerts.
        if execution.status == "FAILED" and is_readable and execution.error != "NotContained":
            yield f"the execution failed with {execution.error} after {execution.path[-1]}"
        case_channels = self.fixture.case_channels()
        for channel in self.world.workspace.store.channels.values():
            for message in self.world.workspace.channel_messages(channel.id):
                if message.get("bot_id"):
                    yield from acting(message, case_channels)


def _can_exist(facts: Any) -> bool:
    """Return whether IAM could have this principal. moto fails on impossible names, where IAM answers
    that none exists.
    """
    names = (facts["subject"]["name"], facts["actor"]["name"], facts["access_key_id"] or "")
    return all(_IAM_NAME.fullmatch(name) for name in names)
