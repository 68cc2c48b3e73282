"""Sessions of roles, which moto gives to each caller and without limits.

A role must exist in its account and trust `-workflow`. The permissions of `-workflow` name the role of its own account,
or those of its organisation, and a closed account lets no role be assumed. Each call of IAM is checked against the
policy of its session and the policies of the organisation, and no function calls IAM with its own credentials, except
`-operations`: https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies.html#policies_session
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from moto.iam.models import iam_backends

from tests.terraform.iam import allows, strings
from tests.trials.world.deployment import ACCOUNT, CONTAINMENT_ROLE, WORKFLOW_ROLE
from tests.trials.world.invocations import HttpAnswer
from tests.trials.world.organisation import ORGANIZATION, Organisation
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

    def __init__(
        self, wire: Wire, deployment: Callable[[], str], now: Callable[[], float], organisation: Organisation
    ) -> None:
        """Start without sessions. `deployment` names the running function, `now` is the time of the simulator."""
        self._wire, self._deployment, self._now, self._organisation = wire, deployment, now, organisation
        self.sessions: dict[str, Session] = {}

    def attach(self, hooks: Any) -> None:
        """Check the calls of functions from now on."""
        hooks.register("before-call.sts.AssumeRole", self._assume)
        hooks.register("after-call.sts.AssumeRole", self._assumed)
        hooks.register("before-call.iam", self._authorize)
        hooks.register("before-call.events", self._authorize_in_member)
        hooks.register("before-call.sqs", self._authorize_in_member)
        hooks.register("before-call.cloudtrail.LookupEvents", self._authorize_in_member)

    def account_of(self, access_key: str) -> str:
        """Return the account whose resources a call with this key can use: the hub's without a session."""
        return self.sessions[access_key].account if access_key in self.sessions else ACCOUNT

    def _assume(self, params: Mapping[str, Any], context: dict[str, Any], **_: Any) -> Any:
        if not self._wire.is_invoking:
            return None
        role: str = params["body"]["RoleArn"]
        if self._organisation.throttled > 0:
            self._organisation.throttled -= 1
            with self._wire.call("sts", "AssumeRole"):
                return HttpAnswer(400), _error("Throttling", "Rate exceeded")
        denied = self._why_not(role)
        if denied is None:
            context[_POLICY] = (role.split(":")[4], params["body"])
            return None
        with self._wire.call("sts", "AssumeRole"):
            return _denied(f"sts:AssumeRole on resource: {role}{denied}")

    def _why_not(self, role: str) -> str | None:
        """Return the end of AWS's message if the role cannot be assumed, else None."""
        account, name = role.split(":")[4], role.rpartition("/")[2]
        known = self._organisation.accounts.get(account)
        is_member = len(self._organisation.accounts) > 1 and os.environ.get("IR_ORGANIZATION_ID") == ORGANIZATION
        permitted = self._deployment() == "workflow" and name == CONTAINMENT_ROLE
        if not permitted or known is None or not (account == ACCOUNT or is_member):
            return " because no identity-based policy allows the sts:AssumeRole action"
        for affected in {ACCOUNT: self._organisation.accounts[ACCOUNT], account: known}.values():
            if (kind := affected.denial("sts:AssumeRole", role)) is not None:
                return f" with an explicit deny in {_with_article(kind)}"
        found = [one for one in iam_backends[account]["aws"].roles.values() if one.name == name]
        if not found or known.status != "ACTIVE" or not _trusts(found[0].assume_role_policy_document, is_member):
            return ""  # AWS does not state whether the role exists
        return None

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
        kind = self._organisation.accounts[session.account].denial(action, resource, **keys)
        if kind is not None:
            return self._refused(
                model.name, f"{action} on resource: {resource} with an explicit deny in {_with_article(kind)}"
            )
        if allows(session.statements, action, resource, **keys):
            return None
        why = f"{action} on resource: {resource} because no session policy allows the {action} action"
        return self._refused(model.name, why)

    def _authorize_in_member(self, model: Any, request_signer: Any, **_: Any) -> Any:
        """Check a call with a role's session against the session's policy and the role's."""
        session = self.sessions.get(request_signer._credentials.access_key) if self._wire.is_invoking else None
        if session is None:
            return None
        action = f"{model.service_model.service_name}:{model.name}"
        (role,) = [one for one in iam_backends[session.account]["aws"].roles.values() if one.name == CONTAINMENT_ROLE]
        permissions = json.loads(role.policies["containment"])["Statement"]
        if allows(session.statements, action, "*") and allows(permissions, action, "*"):
            return None
        return self._refused(
            model.name,
            f"{action} because no identity-based policy allows the {action} action",
            model.service_model.service_id.hyphenize(),
            "AccessDeniedException",
        )

    def _refused(self, operation: str, why: str, service: str = "iam", code: str = "AccessDenied") -> Any:
        with self._wire.call(service, operation):
            return _denied(why, code)


def _with_article(kind: str) -> str:
    return f"{'an' if kind.startswith('i') else 'a'} {kind}"


def _trusts(document: Any, is_member: bool) -> bool:
    """Return whether a trust policy allows the role of `-workflow` to assume the role."""
    policy = json.loads(document) if isinstance(document, str) else document
    keys = {"aws_PrincipalArn": f"arn:aws:iam::{ACCOUNT}:role/{WORKFLOW_ROLE}"}
    if is_member:
        keys["aws_PrincipalOrgID"] = ORGANIZATION
    trusted = f"arn:aws:iam::{ACCOUNT}:root"
    statements = [
        {**statement, "Resource": "*"}
        for statement in policy.get("Statement", [])
        if trusted in strings(statement["Principal"].get("AWS", []))
    ]
    return allows(statements, "sts:AssumeRole", "*", **keys)


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


def _denied(why: str, code: str = "AccessDenied") -> tuple[HttpAnswer, dict[str, Any]]:
    caller = "arn:aws:sts::123456789012:assumed-role/security-incident-workflow/security-incident-workflow"
    return HttpAnswer(403), _error(code, f"User: {caller} is not authorized to perform: {why}")


def _error(code: str, message: str) -> dict[str, Any]:
    return {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": 403}}
