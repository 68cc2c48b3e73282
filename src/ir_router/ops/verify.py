"""The verification: everything that a deployment needs, as the -sync function sees it, one line each."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Mapping
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from ir_router import clock
from ir_router.cases.models import Person
from ir_router.deadline import LambdaContext, of_invocation
from ir_router.observability import logger
from ir_router.ops import activity, credentials, membership, resources, rules, slack_app, trails, watching
from ir_router.ops.checks import APPLY, Check, failed, ok, run
from ir_router.settings import settings
from ir_router.slack import signature
from ir_router.slack.gateway import Slack

_RESERVE_SECONDS = 20
_NEEDED = (
    "table_name",
    "event_bus_name",
    "slack_events_queue_url",
    "files_queue_url",
    "approval_queue_url",
    "alert_topic_arn",
    "state_machine_arn",
    "slack_function",
    "approval_function",
    "deny_policy_arn",
)


def handle(event: Mapping[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001 - `task` says it all
    """`{"task": "verify"}`: read everything, change nothing.

    Returns `{"ok", "checks": [{"name", "ok", "state", "detail", "mend"}], "probe"}`. `state` is ok, warning, waiting
    (not set up yet) or failed; the whole is ok unless a check is waiting or failed. `probe` is a signed request that
    only asks the door for an echo, for whoever can reach the door from outside, or None without a signing secret.
    """
    found = list(_checks(Slack(of_invocation(context, reserve=_RESERVE_SECONDS))))
    bad = [check.name for check in found if check.state in ("waiting", "failed")]
    logger.info("verified", extra={"checks": len(found), "not_ok": bad})
    return {"ok": not bad, "checks": [check.as_answer() for check in found], "probe": _probe()}


def _checks(slack: Slack) -> Iterator[Check]:
    team: list[Person] = []
    yield from run("environment", _environment)
    yield from run("resources", resources.checks)
    yield from run("rules", rules.checks)
    yield from run("watching", watching.checks)
    yield from run("parameters", credentials.checks)
    yield from run("membership", lambda: membership.checks(team))
    yield from run("Slack app", lambda: slack_app.checks(slack, team))
    yield from run("trail", trails.checks)
    yield from run("activity", activity.checks)


def _environment() -> Iterator[Check]:
    missing = [f"IR_{name.upper()}" for name in _NEEDED if not getattr(settings(), name)]
    if missing:
        yield failed("environment", f"not set: {', '.join(missing)}", APPLY)
        return
    chosen = settings()
    yield ok("environment", f"{chosen.name_prefix} in {chosen.region}, containment mode {chosen.containment_mode}")


def _probe() -> dict[str, str] | None:
    """A signed `url_verification`: its only effect is the echo of its challenge (docs.slack.dev/reference/events)."""
    try:
        secret = credentials.read(settings().signing_secret_parameter)
    except (BotoCoreError, ClientError):
        return None  # the line of the signing secret says why
    if not secret.is_set:
        return None
    challenge = secrets.token_hex(16)
    body = json.dumps({"type": "url_verification", "challenge": challenge})
    timestamp = str(int(clock.now()))
    signed = signature.sign(secret.value, timestamp, body.encode())
    return {"body": body, "timestamp": timestamp, "signature": signed, "challenge": challenge}
