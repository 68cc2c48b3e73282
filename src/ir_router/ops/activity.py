"""Verify from the logs that polls succeed and that Slack's requests are accepted.

Logs show both within seconds; metrics are minutes late.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from ir_router import aws, clock, json_text
from ir_router.ops import credentials, names, regions
from ir_router.ops.checks import Check, failed, ok, run_checks, warning
from ir_router.settings import settings

_POLL_SECONDS = 15 * 60
# The schedule's first tick comes within a minute after a deployment.
_FIRST_POLL_SECONDS = 3 * 60
# Access logs are kept for a week; usually the last hour is enough.
_WINDOWS_SECONDS = (3600, 24 * 3600, 7 * 24 * 3600)
# A page of FilterLogEvents covers about a megabyte of log and may be empty.
_PAGES = 20
# The user agent of Slack's servers (https://docs.slack.dev/robots).
_SLACKS_AGENT = "Slackbot"


def checks() -> Iterator[Check]:
    """Yield a line about the last poll, and one about Slack's requests."""
    yield from run_checks("last poll", _last_poll)
    yield from run_checks("Slack's requests", _requests)


def _last_poll() -> Iterator[Check]:
    label = "last poll"
    # The poll writes this line at every log level.
    found = _events(names.log_group("sync"), '"poll.completed"', clock.now() - _POLL_SECONDS)
    if found:
        ago = int(clock.now() - max(event["timestamp"] for event in found) / 1000)
        yield ok(label, f"succeeded {max(0, ago)} s ago")
        return
    modified = aws.client("lambda").get_function_configuration(FunctionName=names.function("sync"))["LastModified"]
    since = clock.now() - datetime.fromisoformat(modified).timestamp()
    if since < _FIRST_POLL_SECONDS:
        yield ok(label, f"none yet; the function was deployed {max(0, int(since))} s ago")
        return
    fix = f"Read the log group {names.log_group('sync')}, and check the line of rule {names.poll_rule()}."
    yield failed(label, f"no poll succeeded in {_POLL_SECONDS // 60} minutes", fix)


def _requests() -> Iterator[Check]:
    """Check that the webhook has accepted Slack's requests since the signing secret was written.

    Only this proves that the secret is right.
    """
    label = "Slack's requests"
    if not settings().api_access_logs:
        yield warning(label, "unknown, because the API writes no access log", "Set api_access_logs = true.")
        return
    secret = credentials.read(settings().signing_secret_parameter)
    if not secret.is_set:
        return
    began = secret.changed.timestamp()
    both_until = began + settings().previous_signing_secret_hours * 3600 if secret.version > 1 else began
    if both_until < clock.now():
        # Slack may have signed earlier requests with the previous secret.
        began = both_until
    accepted, refused = _slacks_requests(began)
    if accepted and both_until > clock.now():
        until = datetime.fromtimestamp(both_until, UTC)
        yield ok(label, f"accepted; the previous signing secret also works until {until:%Y-%m-%d %H:%M} UTC")
    elif accepted:
        yield ok(label, f"{accepted} accepted recently")
    elif refused:
        fix = "Run make rotate with the Signing Secret from Basic Information in the app's settings."
        yield failed(label, f"all {refused} were rejected: the signing secret does not belong to this app", fix)
    else:
        fix = "If users have written in a case channel, check the Request URL in the app (Event Subscriptions)."
        yield Check(label, "ok", "none since the signing secret was written", fix)


def _slacks_requests(began: float) -> tuple[int, int]:
    """Return how many requests were answered 200 and 401, in the shortest window up to now that has any."""
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
        entry = json_text.parsed(event["message"])
    except ValueError:
        return {}
    return entry if isinstance(entry, dict) else {}


def _is_slacks(entry: dict[str, Any]) -> bool:
    return str(entry.get("userAgent", "")).startswith(_SLACKS_AGENT)


def _events(group: str, pattern: str, since: float) -> list[dict[str, Any]]:
    """Return matching log events, oldest first, from at most _PAGES pages."""
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
