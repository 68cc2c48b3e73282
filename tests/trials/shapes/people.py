"""Actions of people, described in a sentence: each clause is one action."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from ir_sandbox.slack.errors import SlackError
from tests.trials.shapes import entries
from tests.trials.shapes.stage import CannotPlayError, Stage
from tests.trials.world import deployment
from tests.trials.world.incidents import audit_actions

_NAMES = {"jane": entries.JANE, "bob": entries.BOB, "ann": entries.ANN, "colleague": entries.COLLEAGUE}
_TOKEN_ERRORS = frozenset({"invalid_auth", "token_revoked", "token_expired", "account_inactive", "not_authed"})

Act = Callable[["People", re.Match[str]], None]


class People:
    """The people of one entry. Jane acts unless a sentence names another person."""

    def __init__(self, stage: Stage) -> None:
        """Act on this stage."""
        self.stage = stage
        self.world = stage.world

    def play(self, sentence: str) -> Iterator[str]:
        """Act as a sentence describes; yield each clause that is unknown or impossible."""
        for clause in re.split(r";|,(?! and\b)|\.\s", sentence):
            words = clause.strip().rstrip(".")
            if not words:
                continue
            for pattern, act in _ACTS:
                found = pattern.search(words)
                if found is None:
                    continue
                try:
                    act(self, found)
                except (CannotPlayError, SlackError) as error:
                    yield f"person {words!r}: {error}"
                break
            else:
                yield f"person {words!r}: unknown"

    def who(self, found: re.Match[str]) -> Any:
        """Return the person in a clause."""
        words = found.string.lower()
        user = next((user for name, user in _NAMES.items() if re.search(rf"\b{name}\b", words)), entries.JANE)
        return self.stage.person(user)

    # Questions

    def question(self) -> tuple[str, str] | None:
        """Return the channel and `ts` of the open question, in the case's channel if it stands there."""
        channels = sorted(self.stage.store.channels.values(), key=lambda one: one.id == entries.SECURITY_CHANNEL)
        for channel in channels:
            for message in reversed(list(channel.messages.values())):
                if "approval_approve" in str(message.body.get("blocks")):
                    return channel.id, message.ts
        return None

    def contained(self, _: re.Match[str]) -> None:
        """Check that a question waits."""
        self.world.settle(patience=5)
        if self.question() is None and not any("contain" in action for action in audit_actions()):
            raise CannotPlayError("nothing was contained and no question waits")

    def press(self, found: re.Match[str]) -> None:
        """Approve or deny by the buttons and their forms."""
        self.world.settle(patience=5)
        denies = re.search(r"\bden", found.string, re.IGNORECASE) is not None
        question = self.question()
        if question is None:
            self._decide("deny" if denies else "approve")
            return
        person, (channel, ts) = self.who(found), question
        members = self.stage.store.channels[channel].members
        if person.id not in members:
            members.append(person.id)
        before = {view.id for view in person.views()}
        person.press(channel, ts, "approval_deny" if denies else "approval_approve")
        self.world.settle(patience=5)
        form = [view for view in person.views() if view.id not in before]
        if not form:
            raise CannotPlayError("no form opened after the button was pressed")
        if form[-1].body["submit"]:  # a refusal has no such button
            person.submit(form[-1].id, _filled(form[-1].body, {"reason": "planned rotation"}))
            self.world.settle(patience=5)

    def _decide(self, decision: str) -> None:
        """Decide by the token, as an analyst does whose question is gone from Slack."""
        tokens = [token for token, one in self.stage.machine.tokens.items() if one.open and not one.answered]
        if not tokens:
            raise CannotPlayError("no question waits")
        payload = {"task_token": tokens[-1], "decision": decision, "analyst": "jane", "notes": "seen"}
        self.world.try_invoke("approval-handler", payload)
        self.world.settle(patience=5)

    def delete_question(self, _: re.Match[str]) -> None:
        """Delete the question's messages in Slack."""
        while (question := self.question()) is not None:
            channel, ts = question
            found = self.stage.store.channels[channel]
            self.world.workspace.messages.delete(found.messages[ts])
        self.world.settle(patience=5)

    # Commands and forms

    def create(self, found: re.Match[str]) -> None:
        """Run `/security-ir create` and submit its form."""
        person = self.who(found)
        channel = next(iter(one.id for one in self.stage.store.channels.values() if person.id in one.members))
        person.command(channel, "/security-ir", "create leaked key")
        self.world.settle(patience=2)
        views = person.views()
        if not views:
            raise CannotPlayError("no form opened")
        person.submit(views[-1].id, _filled(views[-1].body, {"description": "A key was found in public."}))
        self.world.settle(patience=0)

    def command(self, found: re.Match[str]) -> None:
        """Type a slash command in the case channel."""
        self.who(found).command(self.stage.channel(), "/security-ir", found[1].strip("'\" "))

    def close_view(self, found: re.Match[str]) -> None:
        """Cancel the form."""
        person = self.who(found)
        if not person.views():
            raise CannotPlayError("no form is open")
        person.close_view(person.views()[-1].id)

    # The channel

    def post(self, found: re.Match[str]) -> None:
        """Post a message."""
        self.who(found).post(self.stage.channel(), found[1])
        self.world.deliver()

    def upload(self, found: re.Match[str]) -> None:
        """Upload a small file."""
        self.who(found).upload(self.stage.channel(), found[1] or "evidence.txt", b"line\n" * 20)
        self.world.deliver()

    def archive(self, found: re.Match[str]) -> None:
        """Archive the case channel, or open it again."""
        person, channel = self.who(found), self.stage.channel()
        if re.search(r"unarchiv|opens? .*again|un-archiv", found.string):
            person.unarchive_channel(channel)
        else:
            person.archive_channel(channel)

    def remove_app(self, found: re.Match[str]) -> None:
        """Remove the app from the case channel."""
        self.who(found).kick(self.stage.channel(), entries.BOT_USER)

    def invite_app(self, found: re.Match[str]) -> None:
        """Invite the app to the case channel."""
        self.who(found).invite(self.stage.channel(), entries.BOT_USER)

    def join(self, found: re.Match[str]) -> None:
        """Put a person into the case channel."""
        channel = self.stage.store.channels[self.stage.channel()]
        if (user := self.who(found).id) not in channel.members:
            channel.members.append(user)

    # Operators

    def rotate(self, _: re.Match[str]) -> None:
        """Give the app a new token. Answers that refuse the old one end."""
        app = self.world.app
        old = app.token
        self.world.workspace.issue_token(app)
        self.world.workspace.revoke_token(old)
        workspace = self.stage.store.team_id
        deployment.put_parameters(app.token, app.signing_secret, workspace)
        self.stage.slack.answers.drop(lambda answer: (answer.get("body") or {}).get("error") in _TOKEN_ERRORS)

    def close_case(self, _: re.Match[str]) -> None:
        """Close the case in AWS's console."""
        self.world.security_ir.close_case_as(self.stage.case_id())

    def nothing(self, _: re.Match[str]) -> None:
        """Do nothing: the clause describes the current state."""


def _filled(view: dict[str, Any], values: dict[str, object]) -> dict[str, object]:
    """Return the given values for a form's fields of these names, and a word for each other empty required field."""
    filled: dict[str, object] = {}
    for block in view.get("blocks", []):
        element = block.get("element") if block.get("type") == "input" else None
        if not isinstance(element, dict):
            continue
        action = str(element.get("action_id"))
        if action in values:
            filled[action] = values[action]
        elif (
            element.get("type") == "plain_text_input" and not block.get("optional") and not element.get("initial_value")
        ):
            filled[action] = "Leaked key"
    return filled


def _acts() -> list[tuple[re.Pattern[str], Act]]:
    table: list[tuple[str, Act]] = [
        (r"question .*delet|delet\w* .*question", People.delete_question),
        (r"submits? the form of /?security-ir create|submits? .*\bcreate\b|creates? a case", People.create),
        (r"closes? the form|cancels?", People.close_view),
        (r"\b(?:approves?|den(?:y|ies)|presses (?:approve|deny))\b", People.press),
        (r"types? (?:/security-ir )?['\"]?(?:/security-ir )?(.+)", People.command),
        (r"runs? /security-ir (.+)", People.command),
        (r"(?:posts?|writes?|says?) ['\"](.+)['\"]", People.post),
        (r"uploads?(?: (?:a|the) file)?(?: ['\"]?([\w.-]+\.\w+)['\"]?)?", People.upload),
        (r"archiv|opens? the channel again", People.archive),
        (r"(?:removes?|kicks?) the app", People.remove_app),
        (r"invites? the app", People.invite_app),
        (r"rotation|rotates?|gives? a good token", People.rotate),
        (r"closes? the case", People.close_case),
        (r"is in the channel|joins? the channel", People.join),
        (r"(?:is|are) contained", People.contained),
        (r"incident waits|question waits|waits for a decision|no approver|nobody|nothing", People.nothing),
    ]
    return [(re.compile(pattern, re.IGNORECASE), act) for pattern, act in table]


_ACTS = _acts()
