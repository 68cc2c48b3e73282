"""Slash commands, buttons and modals: the signed requests with their `trigger_id` and `response_url`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from urllib.parse import urlencode

from ir_sandbox.slack.blocks import check_blocks
from ir_sandbox.slack.delivery import Attempt, Deliveries
from ir_sandbox.slack.errors import SlackError, invalid_arguments
from ir_sandbox.slack.messages import Messages, as_kept, bot_content
from ir_sandbox.slack.model import App, Channel, Ephemeral, Json, ResponseUrl, Trigger, User
from ir_sandbox.slack.quirks.errors import EXPIRY_AS_TRIGGER_EXPIRED, EXPIRY_IN_ARGUMENTS, TRIGGER_ALWAYS_EXPIRED
from ir_sandbox.slack.quirks.identity import INTERACTION_NAMES_SENDER, ORG_WIDE_INSTALLATION
from ir_sandbox.slack.rich_text import rich_text
from ir_sandbox.slack.store import Store, random_word

TRIGGER_SECONDS = 3.0
RESPONSE_URL_SECONDS = 30 * 60.0
RESPONSE_URL_USES = 5
FORM = "application/x-www-form-urlencoded"


@dataclass
class Interaction:
    """The result of a slash command or a button press.

    Attributes:
        attempt: The request to the app.
        error: The error that Slack shows to the user, or None if the app responded correctly.
        answer: The JSON object of the app's response; None if the response was empty or text.
        trigger_id: The request's trigger.
        response_url: The request's response URL, if it has one.
    """

    attempt: Attempt
    error: str | None
    answer: Json | None
    trigger_id: str
    response_url: str | None = None

    @property
    def status(self) -> int | None:
        """The HTTP status of the app's response."""
        return self.attempt.status


class Interactions:
    """Sends users' actions to the app and handles the app's posts to a `response_url`."""

    def __init__(self, store: Store, deliveries: Deliveries, messages: Messages) -> None:
        """Send requests through `deliveries`; the app's responses become messages."""
        self._store = store
        self._deliveries = deliveries
        self._messages = messages

    def command(self, user: User, channel: Channel, command: str, text: str) -> Interaction:
        """Run a slash command; raises SlackError `unknown_command` if no app has it."""
        with self._store.lock:
            app = next((app for app in self._store.apps.values() if command in app.commands), None)
            if app is None:
                raise SlackError("unknown_command")
            trigger = self.new_trigger(app, user.id)
            url = self._new_response_url(app, channel.id, user.id, "commands")
            form = {
                "token": app.verification_token,
                "team_id": self._team_of(user),
                "team_domain": self._store.domain,
                **self._enterprise_fields(user),
                "channel_id": channel.id,
                "channel_name": self._command_channel_name(channel),
                "user_id": user.id,
                "user_name": user.name,
                "command": command,
                "text": text,
                "api_app_id": app.app_id,
                "is_enterprise_install": str(self._store.quirks.is_on(ORG_WIDE_INSTALLATION)).lower(),
                "response_url": self._store.base_url + url.path,
                "trigger_id": trigger.id,
            }
        attempt = self._deliveries.send(app, "command", urlencode(form).encode(), FORM)
        result = self._outcome(attempt, trigger, self._store.base_url + url.path)
        with self._store.lock:
            plain = attempt.answer.decode("utf-8", "replace").strip()
            if result.error is None and (result.answer or plain):
                self._answer(url, result.answer or {"text": plain}, via="command")
        return result

    def action(
        self,
        app: App,
        user: User,
        actions: list[Json],
        *,
        container: Json,
        fields: Json,
        response_url: ResponseUrl | None,
    ) -> Interaction:
        """Send a `block_actions` payload.

        Args:
            app: The app that receives it.
            user: The user who acts.
            actions: The payload's actions.
            container: The message or view that contains the element.
            fields: Further fields of the payload.
            response_url: The response URL of an action on a message.
        """
        with self._store.lock:
            trigger = self.new_trigger(app, user.id, view_id=container.get("view_id"))
            payload = {
                **self.payload_head("block_actions", app, user),
                "container": container,
                "trigger_id": trigger.id,
                **fields,
                "actions": actions,
            }
            address = None
            if response_url is not None:
                address = self._store.base_url + response_url.path
                payload["response_url"] = address
        attempt = self.send_payload(app, payload)
        return self._outcome(attempt, trigger, address)

    def send_payload(self, app: App, payload: Json) -> Attempt:
        """Send an interaction as Slack does: a form with the single field `payload`."""
        return self._deliveries.send(app, "interaction", urlencode({"payload": json.dumps(payload)}).encode(), FORM)

    def payload_head(self, kind: str, app: App, user: User) -> Json:
        """Return the fields that every interaction has."""
        store = self._store
        organisation = self._organisation_of(user)
        enterprise = {"id": organisation, "name": store.team_name} if organisation else None
        is_org_wide = store.quirks.is_on(ORG_WIDE_INSTALLATION)
        person = {"id": user.id, "username": user.name, "name": user.name, "team_id": user.team_id}
        return {
            "type": kind,
            "team": None if is_org_wide else {"id": self._team_of(user), "domain": store.domain},
            "user": person,
            "api_app_id": app.app_id,
            "token": app.verification_token,
            "enterprise": enterprise,
            "is_enterprise_install": is_org_wide,
        }

    def new_trigger(self, app: App, user_id: str, *, view_id: str | None = None) -> Trigger:
        """Create a `trigger_id` for a user's action."""
        number = len(self._store.triggers) + 1
        trigger_id = f"{int(self._store.now() * 1000)}.{number}.{random_word(32)}"
        trigger = Trigger(trigger_id, app.app_id, user_id, self._store.now() + TRIGGER_SECONDS, view_id)
        self._store.triggers[trigger_id] = trigger
        return trigger

    def use_trigger(self, app: App, trigger_id: str) -> Trigger:
        """Exchange a trigger.

        Raises SlackError `invalid_trigger_id`, `expired_trigger_id` or `exchanged_trigger_id`.
        """
        trigger = self._store.triggers.get(trigger_id)
        if trigger is None or trigger.app_id != app.app_id:
            raise SlackError("invalid_trigger_id")
        if trigger.used:
            raise SlackError("exchanged_trigger_id")
        quirks = self._store.quirks
        if self._store.now() > trigger.expires or quirks.is_on(TRIGGER_ALWAYS_EXPIRED):
            if quirks.is_on(EXPIRY_IN_ARGUMENTS):
                raise invalid_arguments("`trigger_id` expired [json-pointer:/trigger_id]")
            raise SlackError("trigger_expired" if quirks.is_on(EXPIRY_AS_TRIGGER_EXPIRED) else "expired_trigger_id")
        trigger.used = True
        return trigger

    def message_response_url(
        self, app: App, channel_id: str, user_id: str, source_ts: str, *, is_ephemeral: bool
    ) -> ResponseUrl:
        """Create the `response_url` for a button press on a message."""
        url = self._new_response_url(app, channel_id, user_id, "actions")
        url.source_ts = source_ts
        url.source_is_ephemeral = is_ephemeral
        return url

    def respond(self, path: str, body: Json | None) -> None:
        """Handle a POST to a `response_url`.

        Raises SlackError `used_url`, `expired_url`, `no_text`, `invalid_payload`, `invalid_blocks`...
        """
        if body is None:
            raise SlackError("invalid_payload")
        url = self._store.response_urls.get(path)
        if url is None or self._store.now() >= url.expires:
            raise SlackError("expired_url")
        if url.uses >= RESPONSE_URL_USES:
            raise SlackError("used_url")
        self._answer(url, body, via="response_url")
        url.uses += 1

    def _answer(self, url: ResponseUrl, body: Json, *, via: str) -> None:
        store = self._store
        app = store.apps[url.app_id]
        channel = store.channel(url.channel_id)
        post = {"response_url": url.path, "channel": channel.id, "user": url.user_id, "at": store.now(), "body": body}
        if body.get("delete_original"):
            self._delete_original(url, channel)
            store.response_posts.append({**post, "via": via})
            return
        blocks = check_blocks(body["blocks"]) if body.get("blocks") else None
        text = as_kept(str(body.get("text") or ""))
        if not text and not blocks and not body.get("attachments"):
            raise SlackError("no_text")
        shown: Json = {"text": text, "blocks": blocks or rich_text(text)}
        if body.get("attachments"):
            shown["attachments"] = body["attachments"]
        store.response_posts.append({**post, "via": via})
        if body.get("replace_original") and url.source_ts is not None:
            self._replace_original(url, channel, shown)
            return
        bot = store.user(app.bot_user_id)
        content = {**bot_content(app, bot, text), "subtype": "bot_message", **shown}
        if body.get("response_type") == "in_channel":
            self._messages.post(
                channel,
                app.bot_user_id,
                content,
                app=app,
                thread_ts=body.get("thread_ts"),
                metadata=body.get("metadata"),
            )
            return
        ts = store.next_ts(channel)
        store.ephemerals.append(Ephemeral(ts, channel.id, url.user_id, app.app_id, {"ts": ts, **content}, via))

    def _replace_original(self, url: ResponseUrl, channel: Channel, shown: Json) -> None:
        if url.source_is_ephemeral:
            self._source_ephemeral(url).body.update(shown)
        else:
            message = self._messages.find(channel, str(url.source_ts))
            self._messages.edit(message, shown, editor=self._store.apps[url.app_id].bot_user_id)

    def _delete_original(self, url: ResponseUrl, channel: Channel) -> None:
        if url.source_ts is None:
            raise SlackError("message_not_found")
        if url.source_is_ephemeral:
            self._source_ephemeral(url).deleted = True
        else:
            self._messages.delete(self._messages.find(channel, url.source_ts))

    def _source_ephemeral(self, url: ResponseUrl) -> Ephemeral:
        for ephemeral in self._store.ephemerals:
            if ephemeral.ts == url.source_ts and ephemeral.channel_id == url.channel_id:
                return ephemeral
        raise SlackError("message_not_found")

    def _new_response_url(self, app: App, channel_id: str, user_id: str, kind: str) -> ResponseUrl:
        store = self._store
        path = f"/{kind}/{store.team_id}/{len(store.response_urls) + 1}/{random_word(24)}"
        url = ResponseUrl(path, app.app_id, channel_id, user_id, store.now() + RESPONSE_URL_SECONDS)
        store.response_urls[path] = url
        return url

    def _outcome(self, attempt: Attempt, trigger: Trigger, response_url: str | None) -> Interaction:
        error = None
        if attempt.reason == "http_timeout":
            error = "operation_timeout"
        elif attempt.reason is not None:
            error = "dispatch_failed"
        return Interaction(attempt, error, json_object(attempt.answer), trigger.id, response_url)

    def _team_of(self, user: User) -> str:
        return user.team_id if self._store.quirks.is_on(INTERACTION_NAMES_SENDER) else self._store.team_id

    def _organisation_of(self, user: User) -> str | None:
        return user.enterprise_id if self._store.quirks.is_on(INTERACTION_NAMES_SENDER) else self._store.enterprise_id

    def _enterprise_fields(self, user: User) -> Json:
        organisation = self._organisation_of(user)
        return {"enterprise_id": organisation, "enterprise_name": self._store.team_name} if organisation else {}

    def _command_channel_name(self, channel: Channel) -> str:
        return {"public": channel.name, "private": "privategroup", "im": "directmessage", "mpim": channel.name}[
            channel.kind
        ]


def json_object(body: bytes) -> Json | None:
    """Return the JSON object in a body, or None if the body is not a JSON object."""
    try:
        value = json.loads(body)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None
