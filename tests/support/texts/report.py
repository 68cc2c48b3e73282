"""Reports about cases: their content, their page, and the page with the calls of contained credentials."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from ir_router.cases.activity import Activity, Scope
from ir_router.cases.lasting_changes import Lasting
from ir_router.cases.models import Attachment, Case, CaseEdit, Comment, Person
from ir_router.cases.timeline import STATUS, SlackChange
from ir_router.cases.trail_calls import TrailCall
from ir_router.report import activity_page, building, document, page, records

BEGIN = 1_768_480_000
USER = "arn:aws:iam::111122223333:user/carol"
WORKFLOW = "ir-router workflow"


def moment(seconds: float) -> datetime:
    """Return a time of the incident in a zone that is not UTC."""
    return datetime.fromtimestamp(BEGIN + seconds, timezone(timedelta(hours=2)))


def record(action: str, at: float, actor: str = WORKFLOW, **details: Any) -> dict[str, Any]:
    """Return a record of the audit."""
    return {
        "action": action,
        "actor": actor,
        "at": datetime.fromtimestamp(BEGIN + at, UTC).isoformat(),
        "details": json.dumps(details),
        "month": "2026-01",
        "sequence": int(at),
        "hash": f"h{at:g}<",
    }


def call(name: str, at: float, error: str = "", **more: Any) -> TrailCall:
    """Return a call of the contained user."""
    fields: dict[str, Any] = {
        "event_id": f"e{at:g}<",
        "at": BEGIN + at,
        "region": "us-east-1",
        "service": "iam",
        "name": name,
        "error": error,
        "address": "198.51.100.7",
        "agent": "<agent>",
        "key": "AKIA<1",
        "caller": f"{USER}<",
        "of": USER,
    }
    return TrailCall(**(fields | more))


_MADE = Lasting("user eve<", "user eve", "aws iam delete-user --user-name 'eve'")
CALLS = Activity(
    (
        call("CreateUser", -30, lasting=(_MADE,)),
        call(
            "GetSecretValue",
            -20,
            region="eu-west-1",
            service="secretsmanager",
            read=("secret s<", "parameter p"),
            address="",
        ),
        call("ListRoles", 60),
        call("ListUsers", 90.5, agent="", of=f"{USER}2"),
        call("ListUsers", 100),
        call("ListUsers", 110, "AccessDenied<"),
        call("PutRolePolicy", 120, "Throttling", address="203.0.113.9"),
    ),
    Scope(
        {USER: BEGIN + 60, f"{USER}2": BEGIN + 60},
        BEGIN - 3_600,
        BEGIN + 900,
        ("us-east-1", "eu-west-1"),
        ("AKIA<1", "x"),
    ),
)
PARTLY = Activity((), Scope({}, BEGIN, BEGIN + 60, ("us-east-1",), (), False, ("only 50 calls of <x",), lake=True))


def approval(number: int, kind: str, state: str, asked: float, **more: Any) -> dict[str, Any]:
    """Return the row of a request."""
    return {
        "approval_id": f"a{number}",
        "kind": kind,
        "state": state,
        "execution": f"x{number}",
        "created_at": BEGIN + asked,
        "decide_by": BEGIN + 86_400 + number,
        **more,
    }


def _comments() -> list[Comment]:
    tag = "[Slack Update] Jane <J> (2026-01-15 12:30:00 UTC)\n"
    found = {
        "aws": (10, "arn:aws:iam::1:user/dave", "one\n  <two>" + "x" * 491),
        "unknown": (11, "security-ir.amazonaws.com", "one\n  <two>" + "x" * 492),
        "slack": (12, "ir-router", f"{tag}some <text>\n\n(Slack C1/1.2)"),
        "slack2": (13, "ir-router", "no tag"),
        "system": (14, "ir-router", "hidden"),
        "private": (15, "ir-router", "hidden"),
        "undated": (None, None, "hidden"),
        "unnamed": (16, None, "short"),
        "rooted": (17, "dave", "by a name"),
        "early": (0.5, "dave", "in the second of the case, before it"),
        "slash": (18, "team/", "by a name that ends with a slash"),
    }
    return [
        Comment(comment_id=name, created_date=None if at is None else moment(at), creator=by, body=body)
        for name, (at, by, body) in found.items()
    ]


_ORIGINS = {
    "aws": "aws", "slack": "slack", "slack2": "slack", "system": "system", "private": "private", "undated": "aws",
    "unnamed": "aws", "rooted": "aws", "slash": "aws", "early": "aws",
}  # fmt: skip


def _files() -> list[Attachment]:
    found = [("a.txt", "Verified", USER), ("b<.txt", "Failed", "security-ir.amazonaws.com"), ("c", "Pending", "dave")]
    return [
        Attachment(
            attachment_id=f"f{index}",
            file_name=name,
            attachment_status=scan,
            creator=by,
            created_date=moment(20 + index),
        )
        for index, (name, scan, by) in enumerate(found)
    ]


def _case(**changes: Any) -> Case:
    fields: dict[str, Any] = {
        "case_id": "1234567890",
        "case_arn": "arn:case",
        "case_status": "Closed",
        "title": "A <case>",
        "resolver_type": "Self",
        "created_date": moment(0.9),
        "closed_date": moment(90_000.1),
        "closure_code": "Investigation Completed",
        "watchers": [Person(email="w<@example.com"), Person(email="v@example.com")],
        "impacted_accounts": ["111122223333", "<2>"],
        "impacted_services": ["IAM", "<S3>"],
        "impacted_aws_regions": [{"region": "us-east-1"}, {"region": "<eu>"}, {}],
        "threat_actor_ip_addresses": [{"ipAddress": "198.51.100.7"}, {"ipAddress": "<ip>"}, {}],
        "case_attachments": _files(),
    }
    return Case(**(fields | changes))


def _records() -> list[dict[str, Any]]:
    done = [{"what": "key AKIA1 disabled", "verified": True}, {"what": "deny <policy> attached", "verified": False}]
    times = {"event_time": "2026-01-15T12:26:30.900+00:00", "contained_at": "2026-01-15T12:27:41.100+00:00"}
    kept_key = [{"what": "key AKIA9 disabled", "verified": False}]
    parts = [{"principal": USER, "actions": [*done, *kept_key]}, {"principal": f"{USER}2", "actions": "none"}]
    kept = [{"principal": USER}]
    return [
        record("contained", 62.5, execution="x1", outcome="contained", principals=parts, **times),
        record("contained", 63, execution="x9", outcome="joined", principals=kept, event_time=times["event_time"]),
        record("contained", 64, execution="x9", outcome="off", principals=kept, contained_at=times["contained_at"]),
        record("contained", 65, outcome="contained", principals=kept, **dict.fromkeys(times, times["event_time"])),
        record("case_opened", 66) | {"chain": 3},
        record("decision_asked", 67, approve="deletes <the key>.", deny="restores."),
        record("decision_asked", 68),
        record("decision_recorded", 69, "Jane", approval_id="a1", joined_events_seen=1, decision="deny", notes="once"),
        record("decision_recorded", 70, "Jane", approval_id="a1", joined_events_seen=2, decision="approve", notes=None),
        record("decision_recorded", 71, "Joe", approval_id="a9", joined_events_seen=7, decision="deny"),
        record("decision_refused", 72, "Joe", approval_id="a1", joined_events_seen=8, reason="is barred"),
        record("release_requested", 73, "Joe", principal=USER, reason=""),
        record("command_executed", 74, "<Joe>", command="status", outcome="done"),
        record("command_refused", 75, "Joe", command="close", reason="not allowed"),
        record("released", 76, "<Jane>", principal=USER, actions=done, reason="a mistake"),
        record("released", 77.5, "Joe", principal=f"{USER}2", actions="none"),
        record("ended", 78, remediation=[{"what": "key <deleted>", "verified": False}]),
        record("step_failed", 79, step="Open <Case>", actions=[{"what": "noted"}, 7], principals=["no part", *parts]),
        record("other_action", 80, "Joe"),
    ]


def _approvals() -> list[dict[str, Any]]:
    shown = {
        "headline": "user <carol> contained",
        "what": "CreateUser <x>",
        "done": ["key disabled", "<policy>"],
        "approve_does": "deletes <the key>.",
        "deny_does": "restores <it>.",
        "principals": [f"{USER}3", USER],
        "joined_principals": {f"{USER}{number}" for number in range(4, 9)},
        "secret": "not shown",
    }
    jane = {"name": "Jane <J>", "email": "jane@example.com", "slack_user_id": "U1", "via": "slack<"}
    return [
        approval(
            1, "remediate", "done", 180, **shown, decided_at=BEGIN + 400, decision="approve", analyst=jane,
            notes="sure <x>", result="key <deleted>", why="not shown",
        ),
        approval(
            2,
            "remediate",
            "expired",
            170,
            principals=["p1", "p2", "p3"],
            joined_principals={"p3", "p4", "p5"},
            released={"p2": "r", "p4": "r"},
            who="user p",
        ),
        approval(3, "remediate", "done", 160, principals=["p4"], decision="deny", decided_at=BEGIN + 150, analyst={}),
        approval(4, "contain", "done", 150, principals=["p5"], decision="approve", analyst={"email": "", "name": "J"}),
        approval(5, "contain", "pending", 140, who="role <deploy>", headline="not shown", why="waits <here>"),
        approval(6, "contain", "decided", 130, headline="a headline", analyst={"email": "j@example.com", "via": "cli"}),
        approval(7, "remediate", "pending", 120, principals=["p6"], released={"p3": "r"}),
        approval(8, "remediate", "expired", 110, principals=["p2", "p3"]),
    ]  # fmt: skip


def sources(**changes: Any) -> building.Sources:
    """Return the sources of a report about a closed case."""
    fields: dict[str, Any] = {
        "case": _case(),
        "severity": "HIGH<",
        "version": 2,
        "made_at": BEGIN + 90_100.7,
        "reason": "closed",
        "requested_by": "",
        "region": "us-east-1",
        "edits": [CaseEdit(event_timestamp=moment(90_000.1), action="Status updated", message="to Closed")],
        "comments": _comments(),
        "origins": _ORIGINS,
        "changes": [SlackChange(moment(90_001), STATUS, "Closed", "Jane <J>")],
        "records": _records(),
        "spans": [
            {"chain": 0, "records": 4, "first": "2026-01 1", "last": "2026-01 4", "broken": None},
            {"chain": 3, "records": 1, "first": "2026-01 9", "last": "2026-01 9", "broken": "record 9 <changed>"},
        ],
        "ties": [record("chains_tied", 81)],
        "approvals": _approvals(),
        "hashes": {"a.txt": "0a<"},
        "activity": CALLS,
        "limits": ["the oldest records <expired>"],
    }
    return building.Sources(**(fields | changes))


def _open(**changes: Any) -> building.Sources:
    nothing: dict[str, Any] = dict.fromkeys(
        ("edits", "comments", "changes", "records", "spans", "ties", "approvals", "limits"), ()
    )
    case = _case(
        case_status="Detection and Analysis", created_date=None, closed_date=None, closure_code=None,
        pending_action="Customer", case_attachments=[], watchers=[],
    )  # fmt: skip
    fields = {"case": case, "hashes": {}, "reason": "requested", "requested_by": "Jane <J>", "activity": None}
    return sources(**(nothing | fields | changes))


def _written(value: Mapping[str, Any]) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False)


def texts() -> dict[str, Any]:
    """Return each text by its situation."""
    made = {
        "a closed case": building.build(sources()),
        "an open case": building.build(_open()),
        "a case that is closed soon": building.build(
            _open(
                case=_case(case_status="Ready to Close", closed_date=None, case_attachments=[]),
                reason="closing",
                requested_by="",
                comments=_comments()[2:4],
                activity=PARTLY,
                with_message_text=True,
            )
        ),
        "an open case that waits for AWS": building.build(_open(case=_case(case_status="Submitted", closed_date=None))),
    }
    head = document.head("")
    return {
        **{f"report about {name}": _written(report) for name, report in made.items()},
        **{
            f"page about {name}": page.render(report).replace(head.partition("<title>")[2], "")
            for name, report in made.items()
        },
        "page of calls": activity_page.render("12<", CALLS).replace(head[head.index("<style>") + 7 : -26], ""),
        "page of no calls": activity_page.render("12", PARTLY).rpartition("</style>")[2],
        "durations": "\n".join(
            f"{seconds}: {page.duration(seconds)}"
            for seconds in (0, 59, 60, 61, 3_599, 3_600, 3_661, 7_200, 86_399, 86_400, 90_061, 172_800, 180_000)
        ),
        "records that are shown": "\n".join(str(records.words(one)) for one in records.shown(_records())),
        "tables": "\n".join(
            [
                document.table(("<a>", "kind", "region", "time (UTC)", "what"), [["1", "2", "3", "4", "5"]], {0: "x"}),
                document.table(("a",), []),
                document.pairs([("<a>", "1"), ("b", "")]),
                document.section("<a>"),
                document.section("a", "b", "c"),
                document.listed([], "<none>"),
            ]
        ),
    }
