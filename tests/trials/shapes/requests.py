"""Slack's requests to the app: signed, delivered again when they fail, and true in the local Slack."""

from __future__ import annotations

import base64
import copy
import json
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from ir_router.sync.approval_message import APPROVE, APPROVE_FORM, DENY
from ir_sandbox.slack.delivery import REDELIVERY_SECONDS
from ir_sandbox.slack.interactions import RESPONSE_URL_SECONDS, TRIGGER_SECONDS
from ir_sandbox.slack.model import Message, ResponseUrl, Trigger
from ir_sandbox.slack.signing import signature
from tests.trials.shapes import entries
from tests.trials.shapes.entries import CHANNEL, JANE, Step
from tests.trials.shapes.people import People
from tests.trials.shapes.stage import Stage

_FORM = "application/x-www-form-urlencoded"
_SIX_MINUTES = 360
_HIDDEN = frozenset({"channel", "event_ts", "channel_type", "hidden"})


class Requests:
    """Sends Slack's requests of one entry and keeps the answers."""

    def __init__(self, stage: Stage, people: People) -> None:
        """Send requests to the world of `stage`."""
        self.stage = stage
        self.world = stage.world
        self.store = stage.store
        self.people = people
        self.answers: list[dict[str, Any]] = []
        self._again: list[tuple[float, int, Step, bytes, str]] = []
        self.world.carriers.append(self.deliver_again)

    def send(self, step: Step) -> None:
        """Send the request of a step, after making the local Slack agree with it."""
        sent: Mapping[str, Any] = step.content
        content_type = str(sent.get("content_type") or ("application/json" if "body" in sent else _FORM))
        if "body" in sent:
            body = copy.deepcopy(sent["body"])
            if isinstance(body, dict) and isinstance(body.get("event"), dict):
                self._happen(body["event"])
            text = body if isinstance(body, str) else json.dumps(body, ensure_ascii=False)
        else:
            form = copy.deepcopy(sent.get("form") or {})
            text = form if isinstance(form, str) else urlencode(self._form(form))
        self._deliver(step, text.encode("utf-8", "surrogatepass"), content_type, 0)

    def _deliver(self, step: Step, body: bytes, content_type: str, number: int, reason: str | None = None) -> None:
        sent: Mapping[str, Any] = step.content
        headers = self._headers(sent, body, content_type)
        if reason is not None:
            headers |= {"X-Slack-Retry-Num": str(number), "X-Slack-Retry-Reason": reason}
        in_base64 = bool(sent.get("base64"))
        event = {
            "httpMethod": "POST",
            "path": "/slack/events",
            "headers": headers,
            "body": base64.b64encode(body).decode() if in_base64 else body.decode("utf-8", "surrogateescape"),
            "isBase64Encoded": in_base64,
            "requestContext": {"stage": "prod"},
        }
        began, at = time.monotonic(), self.world.now()
        answer = self.world.try_invoke("webhook", event)
        value = answer.value or {}
        status = int(value.get("statusCode", 502))
        self.answers.append(
            {
                "step": step.number,
                "at": round(at - entries.BEGIN, 3),
                "status": status,
                "body": _shown(value.get("body")),
                "seconds": round(time.monotonic() - began, 3),
                **({"retry": number} if number else {}),
            }
        )
        lower = {str(name).lower(): str(text) for name, text in (value.get("headers") or {}).items()}
        is_event = b'"event_callback"' in body and sent.get("signed", True) is True and "headers" not in sent
        if (
            not is_event
            or 200 <= status < 300
            or number >= len(REDELIVERY_SECONDS)
            or lower.get("x-slack-no-retry") == "1"
        ):
            return
        self._again.append((self.world.now() + REDELIVERY_SECONDS[number], number + 1, step, body, content_type))

    def deliver_again(self) -> bool:
        """Deliver the failed events that are due again; return whether there were any. For `World.carriers`."""
        due = [one for one in self._again if one[0] <= self.world.now()]
        for one in due:
            self._again.remove(one)
            self._deliver(one[2], one[3], one[4], one[1], "http_error")
        return bool(due)

    def _headers(self, sent: Mapping[str, Any], body: bytes, content_type: str) -> dict[str, str]:
        headers = {
            "Accept": "*/*",
            "Content-Type": content_type,
            "User-Agent": "Slackbot 1.0 (+https://api.slack.com/robots)",
            "Host": "example.execute-api.us-east-1.amazonaws.com",
        }
        signed = sent.get("signed", True)
        words = str(signed).lower()
        if signed is not False and words not in ("false", "no", "not", "unsigned"):
            now = int(self.world.now())
            if "minute" in words or "ago" in words or "old" in words:
                now -= _SIX_MINUTES
            over = b"{}" if "another" in words or "changed" in words else body
            secret = "another secret" if "secret" in words else self.world.app.signing_secret
            headers["X-Slack-Request-Timestamp"] = str(now)
            headers["X-Slack-Signature"] = signature(secret, str(now), over)
        return headers | {str(name): str(value) for name, value in (sent.get("headers") or {}).items()}

    # Forms

    def _form(self, form: dict[str, Any]) -> dict[str, str]:
        if isinstance(payload := form.get("payload"), dict):
            self._interaction(payload)
            form["payload"] = json.dumps(payload, ensure_ascii=False)
        else:
            user, channel = str(form.get("user_id") or JANE), str(form.get("channel_id") or "")
            self.stage.ensure_user(user, form.get("team_id"))
            self._place(channel, user, str(form.get("channel_name") or ""))
            self._trigger(form, user, None)
            self._response_url(form, channel, user, None)
        return {name: value if isinstance(value, str) else json.dumps(value) for name, value in form.items()}

    def _interaction(self, payload: dict[str, Any]) -> None:
        """Put this world's question, button and form into the place of the entry's."""
        user = str((payload.get("user") or {}).get("id") or JANE)
        self.stage.ensure_user(user, (payload.get("user") or {}).get("team_id"))
        source: str | None = str((payload.get("container") or {}).get("message_ts") or "") or None
        channel = str((payload.get("channel") or {}).get("id") or CHANNEL)
        actions = payload.get("actions") or []
        if any("approval" in str(action.get("action_id")) for action in actions if isinstance(action, dict)):
            channel, source = self._press(payload, actions)
        view = payload.get("view")
        if isinstance(view, dict) and payload.get("type") == "view_submission":
            self._submit(payload, view, user)
        self._trigger(payload, user, None)
        self._response_url(payload, channel, user, source)

    def _press(self, payload: dict[str, Any], actions: list[dict[str, Any]]) -> tuple[str, str | None]:
        question = self.people.question()
        if question is None:
            return CHANNEL, None
        channel_id, ts = question
        channel = self.store.channels[channel_id]
        shown = self.world.workspace.messages.render(channel.messages[ts], metadata=True)
        payload["message"] = shown
        payload["container"] = {**(payload.get("container") or {}), "message_ts": ts, "channel_id": channel_id}
        if isinstance(payload.get("channel"), dict):
            payload["channel"] = {**payload["channel"], "id": channel_id}
        for action in actions:
            for block in shown.get("blocks") or []:
                for element in block.get("elements") or []:
                    if isinstance(element, dict) and element.get("action_id") == action.get("action_id"):
                        strange = not isinstance(action.get("value"), str)
                        action["block_id"] = block.get("block_id", action.get("block_id"))
                        action["value"] = action.get("value") if strange else element.get("value")
        return channel_id, ts

    def _submit(self, payload: dict[str, Any], view: dict[str, Any], user: str) -> None:
        """Put a form that the app opens for this purpose into the place of the entry's."""
        person = self.stage.person(user)
        if not person.views() and str(view.get("callback_id", "")).startswith("approval"):
            question = self.people.question()
            if question is not None:
                channel = self.store.channels[question[0]]
                if user not in channel.members:
                    channel.members.append(user)
                opener = user if not self.store.users[user].is_stranger else JANE
                action = APPROVE if view["callback_id"] == APPROVE_FORM else DENY
                self.stage.person(opener).press(*question, action)
                self.world.settle(patience=2)
                person = self.stage.person(opener)
        opened = person.views()
        if not opened:
            return
        real = opened[-1].body
        kept = {name: value for name, value in view.items() if name in ("app_installed_team_id", "team_id")}
        state = view.get("state") if (view.get("state") or {}).get("values") else _state(real)
        payload["view"] = {**real, **kept, "state": state}

    def _trigger(self, form: dict[str, Any], user: str, view: str | None) -> None:
        name = form.get("trigger_id")
        if isinstance(name, str) and name:
            self.store.triggers[name] = Trigger(
                name, entries.APP, user, self.world.now() + TRIGGER_SECONDS, view, used=False
            )

    def _response_url(self, form: dict[str, Any], channel: str, user: str, source: str | None) -> None:
        address = form.get("response_url")
        if not isinstance(address, str) or not address.startswith("https://hooks.slack.com/"):
            return
        # Slack gives every request an address of its own; entries repeat theirs.
        path = (
            f"/{'actions' if source else 'commands'}/{self.store.team_id}/{len(self.store.response_urls) + 1}/EXAMPLE"
        )
        expires = self.world.now() + RESPONSE_URL_SECONDS
        self.store.response_urls[path] = ResponseUrl(path, entries.APP, channel, user, expires, source_ts=source)
        form["response_url"] = self.store.base_url + path

    def _place(self, channel_id: str, user: str, name: str) -> None:
        """Create the direct message or channel in which a user types a command, unless it is the case's or exists."""
        if channel_id in ("", entries.CHANNEL) or channel_id in self.store.channels:
            return
        if not channel_id.startswith("D"):
            self.stage.add_channel(channel_id, name, [user])
        else:
            made = self.world.workspace.channels.open_direct([user, entries.BOB if user != entries.BOB else JANE])
            del self.store.channels[made.id]
            made.id = channel_id
            self.store.channels[channel_id] = made

    # Events

    def _happen(self, event: dict[str, Any]) -> None:
        """Apply an event's change to the local Slack, without a second event."""
        kind = event.get("type")
        if isinstance(user := event.get("user"), str):
            self.stage.ensure_user(user, event.get("user_team") or event.get("team"))
        if kind == "channel_id_changed":
            self._move(str(event.get("old_channel_id")), str(event.get("new_channel_id")))
        channel = self.store.channels.get(str(event.get("channel") or event.get("channel_id")))
        if channel is None:
            return
        if kind in ("channel_archive", "group_archive", "channel_unarchive", "group_unarchive"):
            channel.is_archived = not str(kind).endswith("unarchive")
        elif kind in ("channel_left", "group_left") and entries.BOT_USER in channel.members:
            channel.members.remove(entries.BOT_USER)
        elif kind == "member_joined_channel" and isinstance(user, str) and user not in channel.members:
            channel.members.append(user)
        elif kind == "member_left_channel" and isinstance(user, str) and user in channel.members:
            channel.members.remove(user)
        elif kind == "message":
            self._message(channel.id, event)

    def _message(self, channel_id: str, event: dict[str, Any]) -> None:
        channel = self.store.channels[channel_id]
        subtype = event.get("subtype")
        if subtype == "message_deleted":
            channel.messages.pop(str(event.get("deleted_ts")), None)
            return
        shown = event.get("message") if subtype in ("message_changed", "message_replied") else event
        if not isinstance(shown, dict) or not shown.get("ts"):
            return
        body = {name: value for name, value in shown.items() if name not in _HIDDEN}
        author = str(shown.get("user") or shown.get("bot_id") or "")
        known = channel.messages.get(shown["ts"])
        if known is not None and _is_older(body, known.body):
            return
        app = shown.get("app_id") if shown.get("app_id") in self.store.apps else None
        thread = shown.get("thread_ts")
        broadcast = shown.get("subtype") == "thread_broadcast"
        channel.messages[shown["ts"]] = Message(shown["ts"], channel.id, author, body, app, thread, broadcast=broadcast)
        channel.messages = dict(sorted(channel.messages.items(), key=lambda one: float(one[0])))
        for file in _files(shown):
            self.stage.slack.keep_file(file, ts=shown["ts"], channel_id=channel.id)

    def _move(self, old: str, new: str) -> None:
        channel = self.store.channels.pop(old, None)
        if channel is None:
            return
        channel.id = new
        for message in channel.messages.values():
            message.channel_id = new
        channel.is_ext_shared = True
        self.store.channels[new] = channel


def _is_older(body: Mapping[str, Any], known: Mapping[str, Any]) -> bool:
    """Return whether a late change is older than the current message."""
    mine, theirs = ((one.get("edited") or {}).get("ts") or "0" for one in (body, known))
    return bool(float(mine) < float(theirs))


def _files(shown: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    found = list(shown.get("files") or [])
    for attachment in shown.get("attachments") or []:
        if isinstance(attachment, dict):
            found += attachment.get("files") or []
    return [one for one in found if isinstance(one, dict)]


def _state(view: Mapping[str, Any]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for block in view.get("blocks") or []:
        element = block.get("element") if block.get("type") == "input" else None
        if isinstance(element, dict):
            field = {"type": element.get("type"), "value": "planned rotation"}
            values[str(block.get("block_id"))] = {str(element.get("action_id")): field}
    return {"values": values}


def _shown(body: Any) -> Any:
    if not isinstance(body, str):
        return body
    try:
        return json.loads(body)
    except ValueError:
        return body
