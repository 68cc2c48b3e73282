"""Payloads at the approval handler: spoilt, for another approval, of nobody, or with text that acts.

Only a payload that names a waiting approval, a decision and somebody who decides has an effect, and that one's exactly;
every other is told that nothing was decided, and nothing is.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from ir_local.proof.hostile.house import House, acting, changes
from ir_local.proof.hostile.incident import BYSTANDER, Scene
from ir_local.proof.hostile.trial import Trial
from ir_local.proof.hostile.words import junk, spoilt, texts
from ir_local.proof.leaks import CANARY
from ir_local.world import World
from ir_local.world.incidents import IamState
from ir_router.errors import UnknownEventError

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
_STATUSES = frozenset({"unknown_decision", "analyst_missing", "unknown_joined_events", "unknown_token", "not_allowed"})
_MOST_EVENTS = 1_000_000_000


class Approvals(Trial):
    """Each input is a payload, with marks where the waiting approval's own token and id belong."""

    refusals = (UnknownEventError,)

    def __init__(self, world: World) -> None:
        """A user is contained, and the approval waits."""
        self.world = world
        self.house = House(world)
        self.scene = Scene(world, self.house)
        named = st.fixed_dictionaries(
            {
                "approval_id": st.just(_APPROVAL) | texts,
                "decision": st.sampled_from(["approve", " DENY ", "deny", "yes", "Approve\n", "approve;deny"]) | texts,
                "analyst": texts | st.fixed_dictionaries({"name": texts}, optional={"email": texts}),
            },
            optional={"notes": junk, "task_token": texts, "joined_events": st.integers() | junk},
        )
        self.inputs: SearchStrategy[Any] = st.one_of(spoilt(_TEMPLATES), spoilt(_TEMPLATES), named)

    def check(self, value: Any) -> Iterable[str]:
        """Invoke with it."""
        payload = self._filled(value)
        before = self.scene.state()
        answer = self.world.try_invoke("approval-handler", payload)
        yield from self.house.rest()
        decision = self._decides(payload)
        if decision:
            yield from self._was_decided(answer.value, decision, before["IAM"])
            self.scene.begin()
            return
        yield from changes(before, self.scene.state())
        if answer.error is None:
            said = answer.value
            if said.get("status") not in _STATUSES or not str(said.get("message")).startswith("Nothing was decided"):
                yield f"answered {said!r:.300}"

    def _filled(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {self._filled(key): self._filled(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [self._filled(inner) for inner in value]
        if not isinstance(value, str):
            return value
        # The audit keeps who decided and why; the canary stands for what belongs in no record.
        value = value.replace(CANARY, "heron")
        return {_TOKEN: self.scene.token, _APPROVAL: self.scene.approval_id}.get(value, value)

    def _decides(self, payload: Any) -> str:
        """The decision that a payload makes, by the documented contract; empty for one that makes none."""
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
        for message in self.world.workspace.channel_messages(self.house.elsewhere):
            if message.get("bot_id"):
                yield from acting(message)
