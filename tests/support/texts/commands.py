"""Answers of `/security-ir`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

from ir_router.cases.models import Case, Person
from ir_router.commands import rendering
from ir_router.commands.catalogue import SUB_COMMANDS

_AT = datetime(2026, 1, 15, 12, 30, 59, tzinfo=UTC)
_CASE = Case(
    case_id="1234567890",
    case_arn="arn",
    title="t",
    description="d" * 1_001,
    case_status="Detection and Analysis",
    watchers=[Person(email="a@example.com")],
    created_date=_AT,
)
_LONG = "x" * 1_001
_SECONDS = (0, 59, 60, 119, 3_600, 12_600, 86_399, 86_400, 90_061, 176_400)


def texts() -> dict[str, object]:
    """Return each text by its situation."""
    return {
        "moments": "\n".join(map(rendering.moment, (None, _AT, _AT.astimezone(timezone(timedelta(hours=5)))))),
        "counts": "\n".join((rendering.people(0), rendering.people(1), rendering.files(2))),
        "durations": "\n".join(map(rendering.duration, _SECONDS)),
        "status": rendering.case_status(_CASE, "High"),
        "status updated": rendering.status_updated("Resolved", "jane", _AT),
        "description updated": rendering.description_updated(_LONG, "jane", _AT),
        "title updated": rendering.title_updated("old", "new", "jane", _AT),
        "unchanged": rendering.unchanged("title", _LONG),
        "closed": rendering.closed("1234567890", "jane", _AT),
        "already closed": rendering.already_closed(_CASE.model_copy(update={"closed_date": _AT})),
        "closed case": rendering.cannot_change_closed(_CASE),
        "invalid status": rendering.invalid_status(),
        "status of AWS": rendering.status_of_aws("Acknowledged"),
        "AWS-supported": rendering.aws_supported(),
        "no way": rendering.no_way("Submitted", "Closed", ("Detection and Analysis", "Ready to Close")),
        "no way at all": rendering.no_way("Closed", "Submitted", ()),
        "too long": rendering.too_long("title", 1_300, 1_000),
        "overtaken": rendering.overtaken("title", _LONG),
        "watchers": rendering.watchers_changed("added", "Jane (jane@example.com)", "bob", _AT),
        "already watching": rendering.already_watching("Jane"),
        "not watching": rendering.not_watching(),
        "too many watchers": rendering.too_many_watchers(29, 30),
        "no address": rendering.no_address("Jane"),
        "no person": rendering.not_a_person("x" * 41),
        "commented": rendering.commented("jane", _AT),
        "created": rendering.created("1234567890", "t", "jane", _AT, ["Bob", "Eve"]),
        "created with all watchers": rendering.created("1234567890", "t", "jane", _AT, []),
        "may not create": rendering.may_not_create(),
        "missing": "\n".join(rendering.missing(entry) for entry in SUB_COMMANDS.values() if entry.asks_for),
        "wrong channel": rendering.wrong_channel("security-ir-"),
        "not permitted": rendering.not_permitted(),
        "outside": rendering.outside_address("eve@example.org"),
        "service error": rendering.service_error("api-error-1", "update"),
        "connectivity": rendering.connectivity("network-error-1"),
        "outcome unknown": "\n\n".join(
            rendering.outcome_unknown(name, "id-1") for name in ("create", "approve", "deny", "update-title")
        ),
        "help": rendering.help_text(),
        "unknown": "\n\n".join(rendering.unknown(name) for name in ("stats", "zzz", "close" + "x" * 40)),
    }
