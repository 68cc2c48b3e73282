"""Payloads for the approval handler: corrupted, for another approval, without an analyst, or with active text.

Only a payload with a waiting approval, a decision and an analyst has an effect, and exactly that one. Every other
payload gets the answer that no decision was made, and has no effect.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from ir_router.errors import UnknownEventError
from tests.trials.proof.hostile.fixture import CaseFixture, acting, changes
from tests.trials.proof.hostile.incident import BYSTANDER, Scene
from tests.trials.proof.hostile.strategies import any_json, corrupted, texts
from tests.trials.proof.hostile.trial import Trial
from tests.trials.proof.leaks import CANARY
from tests.trials.world import World
from tests.trials.world.incidents import IamState

_TOKEN, _APPROVAL = "<the token>", "<the approval>"
_PERSON = {"slack_user_id": "U0LC0000002", "email": "jane.smith@example.com", "name": "Jane Smith"}
_TEMPLATES = (
    {"task_token": _TOKEN, "decision": "approve", "analyst": "jane", "notes": "seen"},
    {"task_token": "x" * 600, "decision": "approve", "analyst": "jane"},
    {"approval_id": _APPROVAL, "decision": "deny", "analyst": _PERSON, "notes": "planned"},
    {"approval_id": "0" * 32, "decision": "deny", "analyst": _PERSON},
    {"task_token": _TOKEN, "approval_id": "0" * 32, "decision": "approve it", "analyst": _PERSON},
    {"approval_id": _APPROVAL, "decision": "approve", "analyst": ""},
    {"approval_id": _APPROVAL, "decision": "approve", "analyst": {"name": " "}},
)
_REFUSALS = ("Decision not recorded", "Nothing was done")
_STATUSES = frozenset({"unknown_decision", "analyst_missing", "unknown_joined_events", "unknown_token", "not_allowed"})
_MOST_EVENTS = 1_000_000_000


class Approvals(Trial):
    """Each input is a payload, with placeholders for the token and the id of the waiting approval."""

    refusals = (UnknownEventError,)

    def __init__(self, world: World) -> None:
        """Contain a user, so that an approval waits."""
        self.world = world
        self.fixture = CaseFixture(world)
        self.scene = Scene(world, self.fixture)
        named = st.fixed_dictionaries(
            {
                "approval_id": st.just(_APPROVAL) | texts,
                "decision": st.sampled_from(["approve", " DENY ", "deny", "yes", "Approve\n", "approve;deny"]) | texts,
                "analyst": texts | st.fixed_dictionaries({"name": texts}, optional={"email": texts}),
            },
            optional={"notes": any_json, "task_token": texts, "joined_events": st.integers() | any_json},
        )
        self.inputs: SearchStrategy[Any] = st.one_of(corrupted(_TEMPLATES), corrupted(_TEMPLATES), named)

    def check(self, value: Any) -> Iterable[str]:
        """Invoke the approval handler with the payload."""
        payload = self._filled(value)
        before = self.scene.state()
        answer = self.world.try_invoke("approval-handler", payload)
        yield from self.fixture.rest()
        decision = self._decides(payload)
        if decision:
            yield from self._was_decided(answer.value, decision, before["IAM"])
            self.scene.begin()
            return
        yield from changes(before, self.scene.state())
        if answer.error is None:
            said = answer.value
            if said.get("status") not in _STATUSES or not str(said.get("message")).startswith(_REFUSALS):
                yield f"answered {said!r:.300}"

    def _filled(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {self._filled(key): self._filled(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [self._filled(inner) for inner in value]
        if not isinstance(value, str):
            return value
        # The audit stores the analyst and the notes, so the canary may not be in them.
        value = value.replace(CANARY, "heron")
        return {_TOKEN: self.scene.token, _APPROVAL: self.scene.approval_id}.get(value, value)

    def _decides(self, payload: Any) -> str:
        """Return the decision that a payload makes by the documented contract; empty if it makes none."""
        if not isinstance(payload, dict) or ("task" in payload and isinstance(payload["task"], str)):
            return ""
        token, approval_id = payload.get("task_token"), payload.get("approval_id")
        names_it = token == self.scene.token or (token in (None, "") and approval_id == self.scene.approval_id)
        if not isinstance(token, str) and approval_id == self.scene.approval_id:
            names_it = True
        analyst = payload.get("analyst")
        who = analyst if isinstance(analyst, str) else ""
        if isinstance(analyst, dict):
            who = str(analyst.get("name") or analyst.get("email") or analyst.get("slack_user_id") or "")
        seen = payload.get("joined_events")
        counts = seen is None or (type(seen) is int and 0 <= seen <= _MOST_EVENTS)
        decision = str(payload.get("decision", "")).strip().lower()
        return decision if names_it and counts and who.strip() and decision in ("approve", "deny") else ""

    def _was_decided(self, said: Any, decision: str, iam: dict[str, IamState]) -> Iterable[str]:
        scene, past = self.scene, {"approve": "approved", "deny": "denied"}[decision]
        if not isinstance(said, dict) or said.get("status") != past:
            yield f"{decision} was answered {said!r:.300}"
        if scene.execution.status != "SUCCEEDED":
            yield f"after {decision} the execution is {scene.execution.status} at {scene.execution.path[-1]}"
        wanted = IamState({}, denied=True) if decision == "approve" else IamState({scene.key: "Active"}, denied=False)
        yield from changes({**iam, scene.name: wanted}, scene.iam())
        if scene.iam()[BYSTANDER] != iam[BYSTANDER]:
            yield "a bystander was changed"
        for message in self.world.workspace.channel_messages(self.fixture.elsewhere):
            if message.get("bot_id"):
                yield from acting(message)
