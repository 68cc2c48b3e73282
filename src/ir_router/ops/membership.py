"""Verification of AWS Security Incident Response: an active membership with a response team, and cases that can be
read."""

from __future__ import annotations

from collections.abc import Iterator

from ir_router import aws
from ir_router.cases.models import Person
from ir_router.errors import RefusedError
from ir_router.ops.checks import Check, count, failed, ok, run, warning
from ir_router.security_ir import gateway as security_ir
from ir_router.settings import settings

_TEAM = "Name the incident response team in the Security Incident Response console."


def checks(team: list[Person]) -> Iterator[Check]:
    """Lines about membership, team and cases. `team` is filled with the response team."""
    yield from run("membership", lambda: _membership(team))
    yield from run("cases", _cases)


def _membership(team: list[Person]) -> Iterator[Check]:
    statuses = _statuses()
    if "Active" not in statuses:
        shown = f"it is {', '.join(statuses)}" if statuses else "there is none in this account and region"
        mend = "Enable the service in its console, in this account and region (or apply in the region where it is)."
        yield failed("membership", f"{shown} ({settings().region})", mend)
        return
    yield ok("membership", "active")
    team += security_ir.response_team()
    if team:
        yield ok("response team", count(len(team), "person", "people"))
    else:
        yield warning("response team", "nobody: only a case's watchers are invited to its channel", _TEAM)


def _statuses() -> list[str]:
    pages = aws.client("security-ir").get_paginator("list_memberships").paginate()
    return sorted({str(item.get("membershipStatus", "Active")) for page in pages for item in page.get("items", [])})


def _cases() -> Iterator[Check]:
    try:
        rows, more = security_ir.list_cases()
    except RefusedError as error:
        mend = "Look at the line membership; the role's rights come back with make deploy."
        yield failed("cases", f"they cannot be read: {error.code}", mend)
        return
    yield ok("cases", f"can be read; {len(rows)}{' and more' if more else ''} there")
