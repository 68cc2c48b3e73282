"""Verify AWS Security Incident Response: an active membership with a response team, and readable cases."""

from __future__ import annotations

from collections.abc import Iterator

from botocore.exceptions import EndpointConnectionError

from ir_router import aws, clock
from ir_router.cases import quotas
from ir_router.cases.models import CaseRow, Person
from ir_router.errors import RefusedError, UncertainError
from ir_router.ops.checks import Check, count, failed, ok, run_checks, warning
from ir_router.security_ir import gateway as security_ir
from ir_router.settings import settings

_PAGES = 20
_NEAR = 0.8
_QUOTA = "Close cases that are finished, or request a higher quota in the Service Quotas console."
_ENABLE = "Enable the service in its console in this account and region, or deploy in the membership's region."
_ELSEWHERE = (
    "If the service does not exist in this region, deploy in a region that has it: until then there are no cases. "
    "Otherwise run make verify again in a few minutes."
)
_NO_MEMBERSHIP = "SecurityIncidentResponseNotActiveException"
_TEAM = "Add the incident response team in the Security Incident Response console."


def checks(team: list[Person]) -> Iterator[Check]:
    """Yield lines about membership, team and cases, and fill `team` with the response team."""
    yield from run_checks("membership", lambda: _membership(team))
    yield from run_checks("cases", _cases)


def _membership(team: list[Person]) -> Iterator[Check]:
    try:
        statuses = _statuses()
    except EndpointConnectionError:
        yield _unreachable("membership")
        return
    if "Active" not in statuses:
        shown = f"the membership is {', '.join(statuses)}" if statuses else "no membership in this account and region"
        yield failed("membership", f"{shown} ({settings().region})", _ENABLE)
        return
    yield ok("membership", "active")
    team += security_ir.response_team()
    if team:
        yield ok("response team", count(len(team), "person", "people"))
    else:
        yield warning("response team", "the team is empty: only a case's watchers are invited to its channel", _TEAM)


def _unreachable(label: str) -> Check:
    detail = f"AWS Security Incident Response has no reachable endpoint in this region ({settings().region})"
    return failed(label, detail, _ELSEWHERE)


def _statuses() -> list[str]:
    pages = aws.client("security-ir").get_paginator("list_memberships").paginate()
    return sorted({str(item.get("membershipStatus", "Active")) for page in pages for item in page.get("items", [])})


def _cases() -> Iterator[Check]:
    rows: list[CaseRow] = []
    token: str | None = None
    try:
        for _ in range(_PAGES):
            page, token = security_ir.list_cases(token)
            rows += page
            if token is None:
                break
    except UncertainError as error:
        if error.cause != EndpointConnectionError.__name__:
            raise
        yield _unreachable("cases")
        return
    except RefusedError as error:
        if error.code == _NO_MEMBERSHIP:
            detail = (
                f"no active membership of the service in this account and region ({settings().region}), so no cases"
            )
            yield failed("cases", detail, _ENABLE)
            return
        fix = "Check the line membership. To restore the role's permissions, run make deploy."
        yield failed("cases", f"cases cannot be read ({error.code})", fix)
        return
    more = " or more" if token else ""
    active = quotas.count(rows, clock.now())
    kinds = {
        quotas.SELF_MANAGED: "active self-managed",
        quotas.AWS_SUPPORTED: "active AWS-supported",
        quotas.NEW_AWS_SUPPORTED: "AWS-supported of the last day",
    }
    of_quotas = [
        (active[name], quota, shown) for (name, shown), quota in zip(kinds.items(), settings().case_quotas, strict=True)
    ]
    shown = ", ".join(f"{number} of {quota} {kind}" for number, quota, kind in of_quotas)
    detail = f"readable; {len(rows)}{more} found: {shown}"
    if any(number >= quota for number, quota, _ in of_quotas):
        yield warning("cases", f"{detail}. A quota is reached, so AWS opens no more cases", _QUOTA)
    elif any(number >= quota * _NEAR for number, quota, _ in of_quotas):
        yield warning("cases", f"{detail}. A quota is near. At the quota, AWS opens no more cases", _QUOTA)
    else:
        yield ok("cases", detail)
