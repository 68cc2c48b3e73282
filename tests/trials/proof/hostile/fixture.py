"""The fixture of the hostile trials: a case with its channel, users with and without permissions, and checks of
effects.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from ir_router.commands import people
from ir_sandbox.slack.signing import signature
from tests.trials.proof.forgery import SIGNATURE, TIMESTAMP
from tests.trials.world import ACCOUNT, World, queues

JSON_TYPE, FORM_TYPE = "application/json", "application/x-www-form-urlencoded"
FINDING = "A finding by AWS."
_QUEUES = ("slack-events", "files")
# A failed item is retried twenty times, with pauses of up to a minute.
_PATIENCE_SECONDS = 1_500.0

# Exactly the markup that ir-router makes: a time, a link to a case, and a link to one of its own executions.
_OURS = re.compile(
    r"<!date\^\d+\^\{date_short_pretty\} \{time\}\|[0-9: -]+ UTC>"
    r"|<https://console\.aws\.amazon\.com/security-ir/home\?region=[a-z0-9-]+#/cases/\w+"
    r"\|(?:(?:[Cc]ase )?\d+|(?:Open )?the case(?: in the AWS console)?)>"
    r"|<https://us-east-1\.console\.aws\.amazon\.com/states/home\?region=us-east-1#/v2/executions/details/"
    rf"arn:aws:states:us-east-1:{ACCOUNT}:execution:security-incident:[\w-]+\|[Ww]orkflow>"
)
_CHANNEL = re.compile(r"<#(\w+)>")
_BARE_LINK = re.compile(r"<https?://[^<>|]+>")
_MARKUP = re.compile(r"[<>]|&(?!(?:amp|lt|gt);)")
_ACTS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


class CaseFixture:
    """Jane watches the case. Mallory is in its channel but may not change it. The guest watches it, but is a guest
    account.
    """

    def __init__(self, world: World) -> None:
        """Create the users and the case, and wait for the channel."""
        people.forget_groups()
        self.world = world
        self.jane = world.workspace.create_user("jane.smith", real_name="Jane Smith")
        self.mallory = world.workspace.create_user("mallory", real_name="Mallory")
        self.guest = world.workspace.create_user("guest", real_name="A Guest", is_restricted=True)
        self.renew()
        self.elsewhere = self.jane.create_channel("elsewhere")
        self.jane.invite(self.elsewhere, world.app.bot_user_id, self.mallory.id, self.guest.id)
        self.rest()

    def renew(self) -> None:
        """Continue with a new case, because a case with much data is slow."""
        self.case_id = self.new_case()
        self.channel = self.world.channel_of(self.case_id)

    def new_case(self, **fields: Any) -> str:
        """Create a case with a finding by AWS and a channel that both users are in."""
        watchers = [
            {"email": "jane.smith@example.com", "name": "Jane Smith"},
            {"email": "guest@example.com", "name": "A Guest"},
        ]
        case_id = self.world.create_case(**{"watchers": watchers, **fields})
        self.world.security_ir.add_comment_as(case_id, body=FINDING)
        self.rest()
        channel = self.world.workspace.channel(self.world.channel_of(case_id))
        absent = {self.mallory.id, self.guest.id} - set(channel.members)
        self.jane.invite(channel.id, *sorted(absent))
        self.rest()
        return case_id

    def rest(self) -> list[str]:
        """Process all work. Return a line for each item that was given up, and remove those items."""
        self.world.settle(patience=_PATIENCE_SECONDS)
        dead, self.world.dead = self.world.dead, []
        lines = [f"given up by {name}" for name, _ in dead]
        for name in _QUEUES:
            lines += [f"a dead letter of {name}" for _ in queues.taken_out(f"{name}-dlq")]
        return lines

    # Requests to the webhook

    def headers(self, body: bytes, content_type: str) -> dict[str, str]:
        """Return Slack's headers for a body."""
        at = str(int(self.world.now()))
        signed = signature(self.world.app.signing_secret, at, body)
        return {"Content-Type": content_type, TIMESTAMP: at, SIGNATURE: signed}

    def send(self, headers: Mapping[str, str], body: bytes) -> int:
        """Send a request to the webhook; return the status of the response (502 if the function raised)."""
        event = {
            "httpMethod": "POST",
            "path": "/slack/events",
            "headers": dict(headers),
            "body": body.decode("utf-8", "surrogateescape"),
            "isBase64Encoded": False,
            "requestContext": {"stage": "prod"},
        }
        return self.invoke_webhook(event)

    def invoke_webhook(self, event: Mapping[str, Any]) -> int:
        """Invoke the webhook with any API Gateway event; return the status of the response."""
        answer = self.world.try_invoke("webhook", event)
        return 502 if answer.error is not None else int(answer.value["statusCode"])

    def handed_over(self) -> int:
        """Count the items that the webhook has handed over and that are not processed yet."""
        return len(self.world.asynchronous) + sum(queues.due(name) is not None for name in _QUEUES)

    # The state of both sides

    def state(self) -> dict[str, Any]:
        """Return the state of both sides, by name: `case <id> title`, `channel <id> members` and so on."""
        shown: dict[str, Any] = {}
        for case_id, case in self.world.security_ir.snapshot()["cases"].items():
            for name in ("title", "description", "status", "watchers", "tags"):
                shown[f"case {case_id} {name}"] = case.get(name)
            shown[f"case {case_id} comments"] = [comment["body"] for comment in case["comments"].values()]
            shown[f"case {case_id} attachments"] = [one["file_name"] for one in case["attachments"].values()]
        for channel in self.world.workspace.store.channels.values():
            topic = channel.topic["value"]
            shown[f"channel {channel.id} is"] = (channel.name, channel.kind, channel.is_archived, topic)
            shown[f"channel {channel.id} members"] = sorted(channel.members)
        return shown

    def case_channels(self) -> set[str]:
        """Return the ids of the channels of all cases."""
        return {self.world.channel_of(case_id) for case_id in self.world.security_ir.snapshot()["cases"]}

    def messages_shown(self) -> dict[str, dict[str, Any]]:
        """Return the app's messages in the case's channel and to single users, by place and time."""
        messages = self.world.workspace.channel_messages(self.channel)
        ours = {f"{self.channel} {one['ts']}": one for one in messages if one.get("bot_id")}
        return ours | {f"{one['user_shown']} {one['ts']}": one for one in self.world.workspace.ephemerals()}

    def comments_since(self, before: Mapping[str, Any], case_id: str | None = None) -> list[str]:
        """Return the comments added to a case since `before` (a `state`)."""
        name = f"case {case_id or self.case_id} comments"
        return list(self.state()[name][len(before[name]) :])


def changes(before: Mapping[str, Any], after: Mapping[str, Any], *, allowed: Iterable[str] = ()) -> list[str]:
    """Return a line for each name whose value changed, except the `allowed` names."""
    names = [name for name in {**before, **after} if name not in set(allowed)]
    return [
        f"{name} was {before.get(name)!r:.300} and is {after.get(name)!r:.300}"
        for name in names
        if before.get(name) != after.get(name)
    ]


def grown(before: Mapping[str, Any], after: Mapping[str, Any], name: str) -> list[str]:
    """Return a line if a list changed in another way than by appending."""
    old, new = before[name], after[name]
    return [] if new[: len(old)] == old else [f"{name} was changed other than by appending"]


def acting(message: Mapping[str, Any], case_channels: Collection[str] = ()) -> list[str]:
    """Return the active parts of an app message: markup that is not the app's own, or control characters.

    In the `text` field, which the blocks replace on display, Slack itself puts bare addresses in brackets.

    Args:
        message: The message, or a view.
        case_channels: The ids of the channels that the app may name.
    """

    def without_own_channel(link: re.Match[str]) -> str:
        return "" if link[1] in case_channels else link[0]

    found = []
    for text in (_BARE_LINK.sub("", str(message.get("text") or "")), *_texts(message.get("blocks", []))):
        shown = _CHANNEL.sub(without_own_channel, _OURS.sub("", text))
        if _MARKUP.search(shown):
            found.append(f"active markup in {shown!r:.300}")
        if _ACTS.search(text):
            found.append(f"an active character in {text!r:.300}")
    return found


def _texts(value: Any) -> list[str]:
    """Return every text of the blocks that Slack parses as markup, and every other visible text."""
    if isinstance(value, dict):
        if value.get("type") == "rich_text":
            return []  # Slack's own rendering of a text that is checked already
        own = [value["text"]] if value.get("type") == "mrkdwn" else []
        return own + [text for inner in value.values() for text in _texts(inner)]
    return [text for inner in value for text in _texts(inner)] if isinstance(value, list) else []


def skeleton(text: str) -> str:
    """Return the visible characters of a text, without white space."""
    return "".join(one for one in text if one.isprintable() and not one.isspace() and one not in "\ufffd>")


def as_json(value: Any) -> bytes:
    """Encode a value as JSON, which can carry any string, lone surrogates included."""
    return json.dumps(value).encode()
