"""Forms and buttons: corrupted, used without permission, or for other approvals.

A form opens at most one case, with fields that AWS accepts. A button has no effect for a user without permission. Only
a valid payload from an approver decides about an approval.
"""

from __future__ import annotations

import copy
import itertools
import json
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from ir_router.cases.limits import DESCRIPTION_LIMIT, TITLE_LIMIT
from ir_sandbox.slack.people import Person
from tests.trials.proof.hostile.commands import EVIL_ADDRESSES
from tests.trials.proof.hostile.fixture import FORM_TYPE, CaseFixture, acting, changes
from tests.trials.proof.hostile.incident import Scene
from tests.trials.proof.hostile.strategies import any_json, corrupted, texts
from tests.trials.proof.hostile.trial import Trial
from tests.trials.world import World

_VALUES: dict[str, object] = {
    "title": "Stolen laptop",
    "description": "It was left in a train.",
    "type": "Security Incident",
    "severity": "High",
    "start": 1_700_000_000,
    "accounts": "123456789012",
    "watchers": [],
}
_REASON: dict[str, object] = {"reason": "planned"}


class Forms(Trial):
    """Each input: the kind, a payload, and a replacement for a form's metadata or an approval's id."""

    # A payload may name no channel or address to which an answer could go.
    expected_errors = frozenset({"command.answer_not_delivered: the user did not receive the outcome"})

    def __init__(self, world: World) -> None:
        """Contain a user, show the approval, and record Slack's payloads for all forms and buttons."""
        self.world = world
        self.fixture = CaseFixture(world)
        self.scene = Scene(world, self.fixture)
        self._numbers = itertools.count(1)
        self._taken: list[dict[str, Any]] = []
        jane = self.fixture.jane
        self.create = self._create_form(jane)
        self.close = self._close_button(jane)
        pressed = [self._pressed(jane, action) for action in ("approval_approve", "approval_deny")]
        approvals = [*pressed, self._form(jane, "approval_approve", {}), self._form(jane, "approval_deny", _REASON)]
        world.app.deliver = world.request
        origin = st.dictionaries(
            st.sampled_from(["channel_id", "response_url", "case_id", "payload", "name", "command_id", "context", "x"]),
            st.sampled_from(EVIL_ADDRESSES) | texts,
            max_size=4,
        )
        every = [self.create, self.close, *approvals]
        self.inputs: SearchStrategy[Any] = st.one_of(
            st.tuples(st.just("create"), corrupted([self.create]), st.none() | origin.map(json.dumps) | texts),
            st.tuples(st.just("create"), corrupted([self.create]), st.none()),
            st.tuples(st.just("by somebody else"), corrupted(every), st.none()),
            st.tuples(st.just("another approval"), st.sampled_from(approvals), texts),
            st.tuples(st.just("any_json"), st.dictionaries(st.sampled_from(sorted(self.create)), any_json), st.none()),
        )

    def check(self, value: Any) -> Iterable[str]:
        """Send the payload, signed, and check its effects."""
        kind, payload, more = value
        payload = self._addressed(kind, copy.deepcopy(payload), more)
        fixture = self.fixture
        before, decided, said_before = fixture.state(), self.scene.state(), fixture.messages_shown()
        body = urlencode({"payload": json.dumps(payload)}).encode()
        status = fixture.send(fixture.headers(body, FORM_TYPE), body)
        yield from fixture.rest()
        if status not in (200, 400, 403):
            yield f"answered {status}"
        yield from changes(decided, self.scene.state())
        after = fixture.state()
        made = {name.split()[1] for name in after if name not in before and name.startswith("case ")}
        yield from changes(before, {name: after.get(name) for name in before})
        if len(made) > (1 if kind == "create" else 0):
            yield f"{len(made)} cases were opened"
        for case_id in made:
            title, description = after[f"case {case_id} title"], after[f"case {case_id} description"]
            if not 0 < len(title) <= TITLE_LIMIT or not 0 < len(description) <= DESCRIPTION_LIMIT or "\n" in title:
                yield f"a case was opened with title {title!r:.100} and description {description!r:.100}"
        for place, message in fixture.messages_shown().items():
            if said_before.get(place) != message:
                yield from self._said(message)

    def _said(self, message: Mapping[str, Any]) -> Iterable[str]:
        """Check an app message. The link to the channel of a new case is the app's own markup."""
        shown = json.loads(json.dumps(message))
        for block in shown.get("blocks", []):
            if isinstance(block.get("text"), dict):
                for channel in self.world.workspace.store.channels:
                    block["text"]["text"] = block["text"]["text"].replace(f"<#{channel}>", "")
        return acting(shown)

    def _addressed(self, kind: str, payload: Any, more: Any) -> Any:
        """Complete the payload as Slack does: this workspace, a new id, and the user of this kind of input."""
        number = next(self._numbers)
        payload["team"] = {"id": self.world.workspace.team_id}
        view = payload.get("view")
        if isinstance(view, dict) and isinstance(view.get("id"), str):
            view["id"] += f"-{number}"
            if more is not None and kind == "create":
                view["private_metadata"] = more
        if isinstance(payload.get("trigger_id"), str):
            payload["trigger_id"] += f"-{number}"
        if kind == "by somebody else":
            payload["user"] = {
                "id": self.fixture.mallory.id,
                "name": "mallory",
                "team_id": self.world.workspace.team_id,
            }
        if kind == "another approval":
            for action in payload.get("actions", []):
                action["value"] = more
            if view:
                view["private_metadata"] = json.dumps({**json.loads(view["private_metadata"]), "approval_id": more})
        return payload

    # Slack's own payloads

    def _take(self, _: Mapping[str, str], body: bytes) -> tuple[int, dict[str, str], bytes]:
        form = dict(parse_qsl(body.decode(), keep_blank_values=True))
        if "payload" in form:
            self._taken.append(json.loads(form["payload"]))
        return 200, {}, b""

    def _last(self) -> dict[str, Any]:
        self.world.app.deliver = self.world.request
        return self._taken.pop()

    def _create_form(self, person: Person) -> dict[str, Any]:
        person.command(self.fixture.channel, "/security-ir", "create")
        self.fixture.rest()
        self.world.app.deliver = self._take
        person.submit(person.views()[-1].id, dict(_VALUES))
        return self._last()

    def _close_button(self, person: Person) -> dict[str, Any]:
        person.command(self.fixture.channel, "/security-ir", "close")
        self.fixture.rest()
        shown = [one for one in self.world.workspace.ephemerals(person.id) if "close" in str(one.get("blocks"))]
        self.world.app.deliver = self._take
        buttons = [
            element for block in shown[-1]["blocks"] if block["type"] == "actions" for element in block["elements"]
        ]
        person.press(self.fixture.channel, shown[-1]["ts"], buttons[0]["action_id"])
        return self._last()

    def _question(self) -> str:
        messages = self.world.workspace.channel_messages(self.fixture.elsewhere)
        return str(next(message["ts"] for message in messages if "approval_approve" in str(message.get("blocks"))))

    def _pressed(self, person: Person, action: str) -> dict[str, Any]:
        self.world.app.deliver = self._take
        person.press(self.fixture.elsewhere, self._question(), action)
        return self._last()

    def _form(self, person: Person, action: str, values: dict[str, object]) -> dict[str, Any]:
        person.press(self.fixture.elsewhere, self._question(), action)
        self.fixture.rest()
        self.world.app.deliver = self._take
        person.submit(person.views()[-1].id, values)
        return self._last()
