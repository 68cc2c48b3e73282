"""Verification by traces of what really happened: polls end well, Slack's requests are accepted.

Both are read from log groups, which hold them within seconds; metrics come minutes later.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from ir_router import aws, clock
from ir_router.ops import credentials, names, regions
from ir_router.ops.checks import Check, failed, ok, run
from ir_router.settings import settings

_POLL_SECONDS = 15 * 60
# The schedule's first tick comes within a minute of a deployment.
_FIRST_POLL_SECONDS = 3 * 60
# Access logs are kept a week; most often the last hour says enough.
_WINDOWS_SECONDS = (3600, 24 * 3600, 7 * 24 * 3600)
# A page of FilterLogEvents may be empty: it stands for about a megabyte of log.
_PAGES = 20
# https://docs.slack.dev/robots: Slack's servers call themselves Slackbot.
_SLACKS_AGENT = "Slackbot"


def checks() -> Iterator[Check]:
    """A line about the last poll, and one about Slack's requests."""
    yield from run("last poll", _last_poll)
    yield from run("Slack's requests", _requests)


def _last_poll() -> Iterator[Check]:
    label = "last poll"
    # observability.measure writes the metric's name into the log, whatever the log level.
    found = _events(names.log_group("sync"), '"PollCompleted"', clock.now() - _POLL_SECONDS)
    if found:
        ago = int(clock.now() - max(event["timestamp"] for event in found) / 1000)
        yield ok(label, f"ended well {max(0, ago)} s ago")
        return
    modified = aws.client("lambda").get_function_configuration(FunctionName=names.function("sync"))["LastModified"]
    since = clock.now() - datetime.fromisoformat(modified).timestamp()
    if since < _FIRST_POLL_SECONDS:
        yield ok(label, f"none yet: the function was deployed {max(0, int(since))} s ago")
        return
    mend = f"Read the log group {names.log_group('sync')}; the line of rule {names.poll_rule()} says if it is started."
    yield failed(label, f"none ended well in {_POLL_SECONDS // 60} minutes", mend)


def _requests() -> Iterator[Check]:
    """The only proof of a signing secret: Slack's own requests pass since it was written."""
    label = "Slack's requests"
    secret = credentials.read(settings().signing_secret_parameter)
    if not secret.is_set:
        return
    began = secret.changed.timestamp()
    both_until = began + settings().previous_signing_secret_hours * 3600 if secret.version > 1 else began
    if both_until < clock.now():
        # What was accepted before may have been signed with the secret before this one.
        began = both_until
    accepted, refused = _slacks_requests(began)
    if accepted and both_until > clock.now():
        until = datetime.fromtimestamp(both_until, UTC)
        yield ok(label, f"accepted; until {until:%Y-%m-%d %H:%M} UTC the signing secret before this one is as well")
    elif accepted:
        yield ok(label, f"accepted: {accepted} lately")
    elif refused:
        mend = "Run make rotate and give the Signing Secret that Basic Information in the app's settings shows."
        yield failed(label, f"all {refused} were refused: the signing secret is not this app's", mend)
    else:
        mend = "Check the Request URL in the app's settings (Event Subscriptions) if somebody wrote in a case channel."
        yield Check(label, "ok", "none came since the signing secret was written", mend)


def _slacks_requests(began: float) -> tuple[int, int]:
    """How many were answered 200, and how many 401, in the shortest time before now that has any."""
    for window in _WINDOWS_SECONDS:
        since = max(began, clock.now() - window)
        found = _events(names.access_log_group(), f'{{ $.userAgent = "{_SLACKS_AGENT}*" }}', since)
        statuses = [str(entry.get("status")) for entry in map(_entry, found) if _is_slacks(entry)]
        accepted, refused = statuses.count("200"), statuses.count("401")
        if accepted or refused or since == began:
            return accepted, refused
    return 0, 0


def _entry(event: dict[str, Any]) -> dict[str, Any]:
    try:
        entry = json.loads(event["message"])
    except ValueError:
        return {}
    return entry if isinstance(entry, dict) else {}


def _is_slacks(entry: dict[str, Any]) -> bool:
    return str(entry.get("userAgent", "")).startswith(_SLACKS_AGENT)


def _events(group: str, pattern: str, since: float) -> list[dict[str, Any]]:
    """Log events that match, oldest first, of at most _PAGES pages."""
    logs = regions.client("logs", settings().region)
    found: list[dict[str, Any]] = []
    more: dict[str, str] = {}
    for _ in range(_PAGES):
        answer = logs.filter_log_events(
            logGroupName=group,
            filterPattern=pattern,
            startTime=int(since * 1000),
            **more,  # type: ignore[arg-type]
        )
        found += [dict(event) for event in answer.get("events", [])]
        if not answer.get("nextToken"):
            break
        more = {"nextToken": answer["nextToken"]}
    return found
