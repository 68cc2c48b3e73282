"""Verify everything that a deployment needs, from within the -operations function. Each fact gives one line."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Mapping
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from ir_router import __version__, clock
from ir_router.cases.models import Person
from ir_router.deadline import LambdaContext, of_invocation
from ir_router.observability import logger
from ir_router.ops import (
    activity,
    credentials,
    failing_cases,
    members,
    membership,
    protected,
    resources,
    rules,
    slack_app,
    trails,
    watching,
)
from ir_router.ops.checks import APPLY, Check, failed, ok, run_checks
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
    "key_arn",
)


def run_operation(event: Mapping[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001 - `task` says it all
    """Verify the deployment (`{"task": "verify"}`) without changing anything.

    Returns:
        `{"ok", "checks": [{"name", "ok", "state", "detail", "mend"}], "probe", "version"}`. `ok` is false if a check is
        waiting (not set up yet) or failed. `probe` is a signed request with which a caller outside AWS can test the
        webhook; its only effect is an echo. It is None without a signing secret. `version` is the version of the
        deployed package.
    """
    found = list(_checks(Slack(of_invocation(context, reserve=_RESERVE_SECONDS))))
    bad = [check.name for check in found if check.state in ("waiting", "failed")]
    logger.info("verify.completed: all lines are checked", extra={"checks": len(found), "not_ok": bad})
    checks = [check.as_answer() for check in found]
    return {"ok": not bad, "checks": checks, "probe": _probe(), "version": __version__}


def _checks(slack: Slack) -> Iterator[Check]:
    team: list[Person] = []
    yield from run_checks("environment", _environment)
    yield from run_checks("resources", resources.checks)
    yield from run_checks("rules", rules.checks)
    yield from run_checks("members", members.checks)
    yield from run_checks("protected principals", protected.checks)
    yield from run_checks("watching", watching.checks)
    yield from run_checks("parameters", credentials.checks)
    yield from run_checks("membership", lambda: membership.checks(team))
    yield from run_checks("Slack app", lambda: slack_app.checks(slack, team))
    yield from run_checks("synchronisation", failing_cases.checks)
    yield from run_checks("trail", trails.checks)
    yield from run_checks("activity", activity.checks)


def _environment() -> Iterator[Check]:
    missing = [f"IR_{name.upper()}" for name in _NEEDED if not getattr(settings(), name)]
    if missing:
        yield failed("environment", f"not set: {', '.join(missing)}", APPLY)
        return
    chosen = settings()
    yield ok("environment", f"{chosen.name_prefix} in {chosen.region}, containment mode {chosen.containment_mode}")


def _probe() -> dict[str, str] | None:
    """Return a signed `url_verification`. Its only effect is an echo (docs.slack.dev/reference/events)."""
    try:
        secret = credentials.read(settings().signing_secret_parameter)
    except (BotoCoreError, ClientError):
        return None  # the line of the signing secret has the reason
    if not secret.is_set:
        return None
    challenge = secrets.token_hex(16)
    body = json.dumps({"type": "url_verification", "challenge": challenge})
    timestamp = str(int(clock.now()))
    signed = signature.sign(secret.value, timestamp, body.encode())
    return {"body": body, "timestamp": timestamp, "signature": signed, "challenge": challenge}
