"""The state after an entry: cases, Slack, IAM, alerts, audit, executions, dead letters, log events."""

from __future__ import annotations

import json
import logging
from collections import Counter
from datetime import UTC, datetime
from typing import Any, Self

import boto3

from ir_router.observability import logger
from tests.trials.shapes.entries import BEGIN, from_world
from tests.trials.world import World, incidents, queues
from tests.trials.world.state_machine import StateMachine
from tests.trials.world.unexpected import event_kind

_LOGGER = "ir-router"


class LogLines:
    """Counts the event ids of the functions' log lines by level."""

    def __init__(self) -> None:
        """Start without lines."""
        self._lines: Counter[tuple[str, str]] = Counter()

    def filter(self, record: logging.LogRecord) -> bool:
        """Count a line by the event id with which it begins, and pass it on."""
        words = record.getMessage().split()
        self._lines[(words[0].rstrip(":") if words else "", record.levelname)] += 1
        return True

    def counted(self) -> list[dict[str, Any]]:
        """Return each event id with its level and count."""
        return [{"event": name, "level": level, "count": count} for (name, level), count in sorted(self._lines.items())]

    def __enter__(self) -> Self:
        """Listen to the functions' logger, from level INFO on."""
        logger.setLevel(logging.INFO)
        logging.getLogger(_LOGGER).addFilter(self)
        return self

    def __exit__(self, *_: object) -> None:
        """Stop listening."""
        logging.getLogger(_LOGGER).removeFilter(self)


def _at(value: Any) -> Any:
    """Return a time in seconds since the entry began."""
    if isinstance(value, datetime):
        return round(value.astimezone(UTC).timestamp() - BEGIN, 3)
    try:
        return round(float(value) - BEGIN, 3)
    except (TypeError, ValueError):
        return value


def of_cases(world: World) -> dict[str, Any]:
    """Return the comments, attachments and fields of every case."""
    comments, cases = {}, {}
    for case_id, case in world.security_ir.snapshot()["cases"].items():
        comments[case_id] = [
            {
                "author": one["creator"],
                "at": _at(one["created"]),
                "edited": _at(one["last_updated"]),
                "body": one["body"],
            }
            for one in case["comments"].values()
        ]
        attachments = [
            {
                "name": one["file_name"],
                "status": one["status"],
                "size": one["size"],
                "author": one["creator"],
                "at": _at(one["created"]),
                "content_type": one["content_type"],
                "sha256": one["sha256"],
            }
            for one in case["attachments"].values()
        ]
        skipped = ("comments", "attachments", "edits", "arn", "case_id")
        fields = {name: value for name, value in case.items() if name not in skipped}
        edits = [
            {"at": _at(one["at"]), "by": one["principal"], "what": one["message"]} for one in case.get("edits", [])
        ]
        cases[case_id] = {"status": case["status"], "fields": fields, "attachments": attachments, "edits": edits}
    return {"comments": comments, "case": cases}


def of_slack(world: World) -> dict[str, Any]:
    """Return the messages of every channel, and the messages to single users."""
    workspace = world.workspace
    store = workspace.store
    channels = {}
    for channel in store.channels.values():
        shown = [_message(world, one) for one in workspace.channel_messages(channel.id)]
        channels[channel.id] = {
            "name": channel.name,
            "kind": channel.kind,
            "archived": channel.is_archived,
            "topic": channel.topic["value"],
            "members": list(channel.members),
            "messages": shown,
        }
    return {
        "channel_messages": channels,
        "ephemeral": [
            {
                "at": _at(one["ts"]),
                "user": one["user_shown"],
                "channel": one["channel"],
                "via": one["via"],
                **_words(one),
            }
            for one in workspace.ephemerals()
        ],
        "response_url_posts": [
            {"at": _at(post["at"]), **{name: post[name] for name in ("via", "user", "channel", "body")}}
            for post in store.response_posts
        ],
        "views": [
            {"user": view.user_id, "open": view.open, "callback_id": view.body.get("callback_id"), **_words(view.body)}
            for view in store.views.values()
        ],
        "files": {
            file.id: {"name": file.name, "size": file.size, "user": file.user, "channels": list(file.shares)}
            for file in store.files.values()
        },
    }


def _message(world: World, message: dict[str, Any]) -> dict[str, Any]:
    user = world.workspace.store.users.get(str(message.get("user")))
    shown: dict[str, Any] = {
        "ts": message["ts"],
        "at": _at(message["ts"]),
        "author": user.name if user is not None else message.get("user") or message.get("bot_id"),
        "by_app": message.get("app_id") == world.app.app_id,
        **_words(message),
    }
    for name in ("subtype", "thread_ts", "edited"):
        if message.get(name):
            shown[name] = message[name]
    if files := message.get("files"):
        shown["files"] = [{"id": one.get("id"), "name": one.get("name"), "size": one.get("size")} for one in files]
    return shown


def _words(body: dict[str, Any]) -> dict[str, Any]:
    shown: dict[str, Any] = {"text": body.get("text", "")}
    if words := list(_texts(body.get("blocks") or [])):
        shown["blocks"] = "\n".join(words)
    if words := list(_texts(body.get("attachments") or [])):
        shown["attachments"] = "\n".join(words)
    return shown


def _texts(value: Any) -> list[str]:
    """Return the texts of blocks in reading order, buttons in brackets."""
    if isinstance(value, list):
        return [text for one in value for text in _texts(one)]
    if not isinstance(value, dict):
        return []
    if value.get("type") == "button":
        label = value.get("text")  # a string in the actions of an attachment
        return [f"[{label.get('text', '') if isinstance(label, dict) else label or ''}]"]
    if value.get("type") == "rich_text_section":
        return ["".join(_piece(one) for one in value.get("elements") or [] if isinstance(one, dict))]
    found = [value["text"]] if isinstance(value.get("text"), str) else []
    for name, item in value.items():
        if isinstance(item, dict | list):
            found += _texts(item)
        elif name in ("fallback", "pretext", "title", "alt_text", "initial_value") and isinstance(item, str):
            found.append(item)
    return found


def _piece(element: dict[str, Any]) -> str:
    for name in ("text", "url", "user_id", "channel_id", "usergroup_id", "name", "fallback", "range"):
        if isinstance(element.get(name), str):
            return str(element[name])
    return ""


def iam(world: World) -> dict[str, Any]:
    """Return the keys and policies of every user, and the policies of every role."""
    client = boto3.client("iam")
    found: dict[str, Any] = {"users": {}, "roles": {}}
    for user in client.list_users()["Users"]:
        name = user["UserName"]
        keys = client.list_access_keys(UserName=name)["AccessKeyMetadata"]
        attached = client.list_attached_user_policies(UserName=name)["AttachedPolicies"]
        found["users"][name] = {
            "keys": {key["AccessKeyId"]: key["Status"] for key in keys},
            "attached": [policy["PolicyName"] for policy in attached],
            "inline": client.list_user_policies(UserName=name)["PolicyNames"],
        }
    for role in client.list_roles()["Roles"]:
        name = role["RoleName"]
        attached = client.list_attached_role_policies(RoleName=name)["AttachedPolicies"]
        found["roles"][name] = {
            "attached": [policy["PolicyName"] for policy in attached],
            "inline": client.list_role_policies(RoleName=name)["PolicyNames"],
        }
    return found


class Messages:
    """The alerts and the questions of the approval queue, taken out of their queues before they expire."""

    def __init__(self, world: World) -> None:
        """Start without messages."""
        self._world = world
        self._alerts: list[dict[str, Any]] = []
        self._asked: list[dict[str, Any]] = []

    def collect(self) -> None:
        """Take the waiting messages."""
        self._alerts += incidents.alerts(self._world)
        self._asked += incidents.asked(self._world)

    def shown(self) -> dict[str, Any]:
        """Return the alerts, the questions without their tokens, and the audit records."""
        self.collect()
        return {
            "alerts": [{"subject": one.get("Subject"), "message": one.get("Message")} for one in self._alerts],
            "asked": [{name: value for name, value in one.items() if name != "taskToken"} for one in self._asked],
            "audit": [_plain(row) for row in incidents.audit_rows()],
        }


def _plain(row: Any) -> Any:
    return json.loads(json.dumps(row, default=str))


def executions(machine: StateMachine) -> list[dict[str, Any]]:
    """Return each execution with its event, its last state and its status."""
    return [
        {
            "event": one.input.get("id") if isinstance(one.input, dict) else None,
            "status": one.status,
            "state": one.path[-1] if one.path else None,
            "error": one.error,
            "path": one.path,
        }
        for one in machine.executions.values()
    ]


def dead_letters(world: World) -> list[dict[str, Any]]:
    """Return the abandoned work: invocations after Lambda's attempts, and messages of dead-letter queues."""
    found: list[dict[str, Any]] = [{"function": name, "event": event_kind(event)} for name, event in world.dead]
    for name in ("slack-events", "files"):
        found += [{"queue": f"{name}-dlq", "body": body} for body in world.dead_letters(name)]
    waiting = boto3.client("sqs").get_queue_url(QueueName="security-incident-failures")["QueueUrl"]
    found += [{"queue": "failures", "event": event_kind(event)} for event in queues.dead_letters(waiting)]
    return found


def unexpected(world: World) -> list[dict[str, Any]]:
    """Return the exceptions that functions raised, each kind once with its count, and mistakes that they logged."""
    raised: Counter[tuple[str, str, str, str]] = Counter()
    for one in world.invocations:
        if one.error is not None:
            raised[(one.deployment, event_kind(one.event), type(one.error).__name__, str(one.error)[:300])] += 1
    found: list[dict[str, Any]] = [
        {"function": name, "event": event, "error": kind, "words": words, "count": count}
        for (name, event, kind, words), count in raised.items()
    ]
    return found + [{"logged": line} for line in world.unexpected.lines() if " in logged " in line.partition("\n")[0]]


def neutral(result: dict[str, Any], base_url: str) -> dict[str, Any]:
    """Return the result with the entries' account and Slack's addresses."""
    translated: dict[str, Any] = from_world(result, base_url)
    return translated
