"""Sessions of roles, which moto gives to each caller and without limits.

A role must exist, and only `-workflow` can assume it. Each call of IAM is checked against the policy of its session,
and no function calls IAM with its own credentials, except `-operations`:
https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies.html#policies_session
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from moto.iam.models import iam_backends

from tests.terraform.iam import allows
from tests.trials.world.invocations import HttpAnswer
from tests.trials.world.wire import Wire

_POLICY = "simulator_session_policy"
_OWN_PERMISSIONS = "operations"


class Session(NamedTuple):
    """A session: its account, its end in seconds since the epoch, and the statements of its policy."""

    account: str
    until: float
    statements: list[dict[str, Any]]


class RoleSessions:
    """The sessions of one simulator by access key."""

    def __init__(self, wire: Wire, deployment: Callable[[], str], now: Callable[[], float]) -> None:
        """Start without sessions. `deployment` names the running function, `now` is the time of the simulator."""
        self._wire, self._deployment, self._now = wire, deployment, now
        self.sessions: dict[str, Session] = {}

    def attach(self, hooks: Any) -> None:
        """Check the calls of functions from now on."""
        hooks.register("before-call.sts.AssumeRole", self._assume)
        hooks.register("after-call.sts.AssumeRole", self._assumed)
        hooks.register("before-call.iam", self._authorize)

    def _assume(self, params: Mapping[str, Any], context: dict[str, Any], **_: Any) -> Any:
        role: str = params["body"]["RoleArn"]
        account, name = role.split(":")[4], role.rpartition("/")[2]
        roles = iam_backends[account]["aws"].roles.values()
        if not self._wire.is_invoking or (
            self._deployment() == "workflow" and any(known.name == name for known in roles)
        ):
            context[_POLICY] = (account, params["body"])
            return None
        with self._wire.call("sts", "AssumeRole"):
            return _denied(f"sts:AssumeRole on resource: {role}")

    def _assumed(self, parsed: Mapping[str, Any], context: Mapping[str, Any], **_: Any) -> None:
        if "Credentials" in parsed and _POLICY in context:
            account, asked = context[_POLICY]
            until = self._now() + float(asked["DurationSeconds"])
            statements = json.loads(asked["Policy"])["Statement"]
            self.sessions[parsed["Credentials"]["AccessKeyId"]] = Session(account, until, statements)

    def _authorize(self, params: Mapping[str, Any], model: Any, request_signer: Any, **_: Any) -> Any:
        if not self._wire.is_invoking or self._deployment() == _OWN_PERMISSIONS:
            return None
        session = self.sessions.get(request_signer._credentials.access_key)
        action = f"iam:{model.name}"
        if session is None:
            return self._refused(model.name, f"{action} because no identity-based policy allows the {action} action")
        if session.until <= self._now():
            return HttpAnswer(403), _error("ExpiredToken", "The security token included in the request is expired")
        resource = _resource(session.account, params["body"])
        policy = params["body"].get("PolicyArn")
        keys = {"iam_PolicyARN": policy} if policy else {}
        if allows(session.statements, action, resource, **keys):
            return None
        why = f"{action} on resource: {resource} because no session policy allows the {action} action"
        return self._refused(model.name, why)

    def _refused(self, operation: str, why: str) -> Any:
        with self._wire.call("iam", operation):
            return _denied(why)


def _resource(account: str, params: Mapping[str, Any]) -> str:
    """Return the ARN of the user or role with its path, as IAM compares it."""
    backend = iam_backends[account]["aws"]
    if "UserName" in params:
        user = backend.users.get(params["UserName"])
        return str(user.arn) if user else f"arn:aws:iam::{account}:user/{params['UserName']}"
    if "RoleName" in params:
        found = [role for role in backend.roles.values() if role.name == params["RoleName"]]
        return str(found[0].arn) if found else f"arn:aws:iam::{account}:role/{params['RoleName']}"
    return str(params.get("PolicyArn") or f"arn:aws:iam::{account}:user/owner-of-{params.get('AccessKeyId')}")


def _denied(why: str) -> tuple[HttpAnswer, dict[str, Any]]:
    caller = "arn:aws:sts::123456789012:assumed-role/security-incident-workflow/security-incident-workflow"
    return HttpAnswer(403), _error("AccessDenied", f"User: {caller} is not authorized to perform: {why}")


def _error(code: str, message: str) -> dict[str, Any]:
    return {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": 403}}
