"""What hostile input meets: a case with its channel, people with and without rights, and what must not change."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from ir_local.proof.forgery import SIGNATURE, TIMESTAMP
from ir_local.slack.signing import signature
from ir_local.world import World, queues
from ir_router.commands import people

JSON_TYPE, FORM_TYPE = "application/json", "application/x-www-form-urlencoded"
FINDING = "A finding by AWS."
_QUEUES = ("slack-events", "files")
# What fails is tried twenty times, with up to a minute between.
_PATIENCE_SECONDS = 1_500.0

_OURS = re.compile(
    r"<!date\^\d+\^\{date_short_pretty\} \{time\}\|[0-9: -]+ UTC>|<https://console\.aws\.amazon\.com/[^<>|]*\|[^<>]*>"
)
_BARE_LINK = re.compile(r"<https?://[^<>|]+>")
_MARKUP = re.compile(r"[<>]|&(?!(?:amp|lt|gt);)")
_ACTS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


class House:
    """Jane watches the case. Mallory is in its channel without a right to change anything; so is a guest, a watcher."""

    def __init__(self, world: World) -> None:
        """Make them, and wait for the channel."""
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
        """Go on with a new case: one that has collected much only takes longer."""
        self.case_id = self.new_case()
        self.channel = self.world.channel_of(self.case_id)

    def new_case(self, **fields: Any) -> str:
        """A case with a finding by AWS, its channel made and both people in it."""
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
        """Let everything come to rest; what was given up is a line each, and is thrown away."""
        self.world.settle(patience=_PATIENCE_SECONDS)
        dead, self.world.dead = self.world.dead, []
        lines = [f"given up by {name}" for name, _ in dead]
        for name in _QUEUES:
            lines += [f"a dead letter of {name}" for _ in queues.taken_out(f"{name}-dlq")]
        return lines

    # At the door

    def headers(self, body: bytes, content_type: str) -> dict[str, str]:
        """Slack's own headers for a body."""
        at = str(int(self.world.now()))
        signed = signature(self.world.app.signing_secret, at, body)
        return {"Content-Type": content_type, TIMESTAMP: at, SIGNATURE: signed}

    def send(self, headers: Mapping[str, str], body: bytes) -> int:
        """A request at the door; the status of its answer (502 where the function raised)."""
        event = {
            "httpMethod": "POST",
            "path": "/slack/events",
            "headers": dict(headers),
            "body": body.decode("utf-8", "surrogateescape"),
            "isBase64Encoded": False,
            "requestContext": {"stage": "prod"},
        }
        return self.invoke_door(event)

    def invoke_door(self, event: Mapping[str, Any]) -> int:
        """The same, whatever the API Gateway hands over."""
        answer = self.world.try_invoke("webhook", event)
        return 502 if answer.error is not None else int(answer.value["statusCode"])

    def handed_over(self) -> int:
        """How much the door has handed over that was not worked on yet."""
        return len(self.world.asynchronous) + sum(queues.due(name) is not None for name in _QUEUES)

    # On the other side

    def state(self) -> dict[str, Any]:
        """Everything on both sides, by where it is: `case <id> title`, `channel <id> members`..."""
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

    def said(self) -> dict[str, dict[str, Any]]:
        """What the app said in the case's channel and to single people, by where and when."""
        messages = self.world.workspace.channel_messages(self.channel)
        ours = {f"{self.channel} {one['ts']}": one for one in messages if one.get("bot_id")}
        return ours | {f"{one['user_shown']} {one['ts']}": one for one in self.world.workspace.ephemerals()}

    def comments_since(self, before: Mapping[str, Any], case_id: str | None = None) -> list[str]:
        """What was added to a case's comments since `before` (a `state`)."""
        name = f"case {case_id or self.case_id} comments"
        return list(self.state()[name][len(before[name]) :])


def changes(before: Mapping[str, Any], after: Mapping[str, Any], *, allowed: Iterable[str] = ()) -> list[str]:
    """What is not as it was, a line each, but for what is `allowed` to be different."""
    names = [name for name in {**before, **after} if name not in set(allowed)]
    return [
        f"{name} was {before.get(name)!r:.300} and is {after.get(name)!r:.300}"
        for name in names
        if before.get(name) != after.get(name)
    ]


def grown(before: Mapping[str, Any], after: Mapping[str, Any], name: str) -> list[str]:
    """A list may only have become longer: what is wrong with it, a line each."""
    old, new = before[name], after[name]
    return [] if new[: len(old)] == old else [f"{name} was changed, not added to"]


def acting(message: Mapping[str, Any]) -> list[str]:
    """What in a message of ours acts: markup that is not ours, or characters that act where they are shown.

    In the text, which blocks replace where they are shown, Slack itself brackets a bare address.
    """
    found = []
    for text in (_BARE_LINK.sub("", str(message.get("text") or "")), *_texts(message.get("blocks", []))):
        shown = _OURS.sub("", text)
        if _MARKUP.search(shown):
            found.append(f"markup acts in {shown!r:.300}")
        if _ACTS.search(text):
            found.append(f"a character acts in {text!r:.300}")
    return found


def _texts(value: Any) -> list[str]:
    """Every text of blocks that Slack reads as markup, and every other that people see."""
    if isinstance(value, dict):
        if value.get("type") == "rich_text":
            return []  # how Slack itself shows the text that is looked at already
        own = [value["text"]] if value.get("type") == "mrkdwn" else []
        return own + [text for inner in value.values() for text in _texts(inner)]
    return [text for inner in value for text in _texts(inner)] if isinstance(value, list) else []


def skeleton(text: str) -> str:
    """What can be seen of a text: without white space, controls and characters that are not shown."""
    return "".join(one for one in text if one.isprintable() and not one.isspace() and one not in "\ufffd>")


def as_json(value: Any) -> bytes:
    """As JSON that any string survives, halves of characters included."""
    return json.dumps(value).encode()
