"""Reports to people: alerts, lines about the Slack app, members of a channel, and replayed entries."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from ir_router import aws, bus, clock
from ir_router.cases.models import Person
from ir_router.errors import RefusedError, UncertainError
from ir_router.ledger import audit, groups, table
from ir_router.ops import names, replay, slack_app
from ir_router.ops.envelopes import Handback
from ir_router.settings import settings
from ir_router.sync import members
from ir_router.workflow import event_claims, notices, report_failure, severity
from ir_router.workflow.severity import Assessment
from tests.support.texts import facts
from tests.unit.test_steps import Fake

# Severity


def detection(grade: str, whom: str | None = None) -> Any:
    return SimpleNamespace(
        id=f"d-{grade}", severity=grade, title=f"title {grade}", whom=whom, contains=whom is not None
    )


HIGH, MEDIUM, LOW = detection("HIGH", "caller"), detection("MEDIUM"), detection("LOW")


@pytest.mark.parametrize(
    ("found", "kind", "quiet", "grade", "action", "title"),
    [
        ([], "user", None, "NONE", "log", "No detection matches"),
        ([HIGH, LOW], "user", None, "HIGH", "contain", "title HIGH"),
        ([MEDIUM, HIGH], "role", None, "MEDIUM", "contain", "title MEDIUM"),
        ([MEDIUM], "user", None, "MEDIUM", "alert", "title MEDIUM"),
        ([LOW], "user", None, "LOW", "log", "title LOW"),
        ([HIGH], "root", None, "CRITICAL", "alert", "title HIGH"),
        ([MEDIUM], "root", None, "MEDIUM", "alert", "title MEDIUM"),
        ([detection("CRITICAL", "caller")], "account", None, "CRITICAL", "alert", "title CRITICAL"),
        ([detection("CRITICAL", "caller")], "user", None, "CRITICAL", "contain", "title CRITICAL"),
        ([HIGH], "account", None, "HIGH", "contain", "title HIGH"),
        ([HIGH], "user", "sample", "LOW", "alert", "SAMPLE finding: title HIGH"),
        ([HIGH], "root", "closed", "LOW", "alert", "AWS closed its event: title HIGH"),
    ],
)
def test_given_detections_when_assessed_then_severity_action_and_title_follow(
    found: list[Any], kind: str, quiet: Any, grade: str, action: str, title: str
) -> None:
    subject: Any = {"kind": kind}
    assessment = severity.assess(found, subject, quiet)
    assert (assessment.severity, assessment.action, assessment.title) == (grade, action, title)
    assert assessment.detections == tuple(one.id for one in found)
    assert severity.band(found, quiet) == ("NONE" if not found else "LOW" if quiet else found[0].severity)


def test_given_a_change_to_a_contained_principal_when_assessed_then_it_is_high_or_above() -> None:
    grades: Any = (("LOW", "HIGH"), ("HIGH", "HIGH"), ("CRITICAL", "CRITICAL"), ("NONE", "HIGH"))
    for grade, after in grades:
        assert severity.of_tampering(Assessment(grade, "log", "t", ("d",))) == Assessment(
            after, "contain", "Change to a contained principal: t", ("d",)
        )
    assert severity.whom([LOW, HIGH, detection("HIGH", "key_owner")]) == "caller"
    assert severity.whom([LOW]) is None


# Alerts


def test_given_an_alert_when_sent_then_subject_attributes_and_id_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[dict[str, Any]] = []
    monkeypatch.setattr(aws, "client", {"sns": SimpleNamespace(publish=lambda **message: sent.append(message))}.get)
    monkeypatch.setenv("IR_ALERT_TOPIC_ARN", "arn:topic")
    settings.cache_clear()
    notices.alert("x/alert", "HIGH", " é\nb ", "text")
    settings.cache_clear()
    assert sent == [
        {
            "TopicArn": "arn:topic",
            "Subject": "e b",
            "Message": "text\n\nAlert id: x/alert",
            "MessageAttributes": {
                "severity": {"DataType": "String", "StringValue": "HIGH"},
                "alert_id": {"DataType": "String", "StringValue": "x/alert"},
            },
        }
    ]
    assert notices._subject("x" * 100) == "x" * 100
    assert notices._subject("x" * 101) == "x" * 97 + "..."


@pytest.mark.parametrize("step", ["alert", "audit", "group"])
@pytest.mark.parametrize(
    "failure",
    [
        UncertainError("SNS", "Publish", "timeout"),
        ReadTimeoutError(endpoint_url="x"),
        ClientError({"Error": {"Code": "Throttled"}}, "Publish"),
    ],
    ids=type,
)
def test_given_two_events_with_one_id_when_the_report_fails_then_the_containment_goes_on(
    monkeypatch: pytest.MonkeyPatch, step: str, failure: Exception
) -> None:
    done: list[str] = []

    def work(name: str) -> Any:
        def act(*arguments: Any, **_: Any) -> Any:
            done.append(name)
            if name == step:
                raise failure
            return {"execution": "arn:execution:1"}

        return act

    monkeypatch.setattr(groups, "enter", work("group"))
    monkeypatch.setattr(notices, "alert", work("alert"))
    monkeypatch.setattr(audit, "append", work("audit"))

    event_claims.report_conflict(facts.INCIDENT, "name", "arn:execution:2")

    assert done == ["group", "alert", "audit"][: ["group", "alert", "audit"].index(step) + 1]


def test_given_two_events_with_one_id_when_reported_then_once_with_both_executions(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    alerts: list[Any] = []
    records: list[Any] = []
    opener = ["arn:execution:1"]
    monkeypatch.setattr(groups, "enter", lambda *_: {"execution": opener[0]})
    monkeypatch.setattr(notices, "alert", lambda *alert: alerts.append(alert))
    monkeypatch.setattr(audit, "append", lambda *record, **once: records.append((record, once)))

    event_claims.report_conflict(facts.INCIDENT, "name", "arn:execution:2")
    opener[0] = "arn:execution:0"
    event_claims.report_conflict(facts.INCIDENT, "name", "arn:execution:2")

    ((alert_id, grade, subject, text),) = alerts
    assert (alert_id, grade, subject) == (
        "1/conflict",
        "HIGH",
        "HIGH: Two events have the same id and different content",
    )
    assert "Execution of the other event: arn:execution:2" in text
    (((action, actor, details), once),) = records
    assert (action, actor, details["other"], details["event_id"]) == (
        "event_conflict",
        "ir-router workflow",
        "arn:execution:2",
        "e-1",
    )
    assert once == {"once": "arn:execution:1/conflict"}


def test_given_a_step_that_failed_when_reported_then_the_text_names_step_principal_cause_and_event() -> None:
    text = report_failure._text("Open Case", "E", "m", facts.INCIDENT, "arn:execution:1", [facts.MALLORY])
    assert text.startswith("The step Open Case failed, and ir-router does not retry it. ")
    for line in (f"Principal: {facts.MALLORY['arn']}", "Error: E - m", "Event: e-1", "Execution: arn:execution:1"):
        assert line in text.splitlines()
    bare = report_failure._text("Immediate Containment", "E", "", None, "arn:execution:1")
    assert bare.splitlines()[-4:] == [report_failure._OWNER_UNKNOWN, "Error: E", "", "Execution: arn:execution:1"]


# The Slack app


def line(checks: Any) -> tuple[str, str, str]:
    (found,) = checks
    return found.name, found.state, found.detail


class Pages(Fake):
    def pages(self, method: str, member: str) -> Any:
        return self.read(method, member=member)


@pytest.mark.parametrize(
    ("teams", "state", "detail"),
    [
        ([], "failed", "the app was added to no workspace of the organisation"),
        ([{"name": "acme", "id": "T1"}], "ok", "created in acme"),
        ([{"id": "T1"}, {"name": "b"}], "warning", "created in T1, the first of 2 workspaces with the app"),
    ],
)
def test_given_workspaces_of_an_organisation_when_verified_then_the_one_of_the_channels_is_named(
    teams: list[Any], state: str, detail: str
) -> None:
    slack: Any = Pages(teams)
    assert line(slack_app._case_channels(slack)) == ("case channels", state, detail)
    assert slack.asked == [("auth.teams.list", {"member": "teams"})]


@pytest.mark.parametrize(
    ("channel", "mode", "answer", "state", "detail"),
    [
        ("", "enforce", None, "warning", "none is set; approval requests appear in case channels only"),
        ("", "dry_run", None, "ok", "none is set"),
        ("C1", "enforce", {"channel": {"name": "sec", "is_member": True}}, "ok", "#sec"),
        ("C1", "enforce", {"channel": {"name": "sec"}}, "failed", "the app is not in #sec"),
        (
            "C1",
            "enforce",
            {"channel": {"name": "sec", "is_archived": True, "is_member": True}},
            "failed",
            "#sec is archived",
        ),
        (
            "C1",
            "enforce",
            RefusedError("Slack", "conversations.info", "channel_not_found"),
            "failed",
            "the app cannot see C1: Slack returned channel_not_found",
        ),
        (
            "C1",
            "enforce",
            RefusedError("Slack", "conversations.info", "missing_scope", "needs channels:read"),
            "failed",
            "the app cannot see C1: Slack returned missing_scope: needs channels:read",
        ),
    ],
)
def test_given_the_security_channel_when_verified_then_the_app_must_be_in_it(
    monkeypatch: pytest.MonkeyPatch, channel: str, mode: str, answer: Any, state: str, detail: str
) -> None:
    monkeypatch.setenv("IR_SECURITY_CHANNEL_ID", channel)
    monkeypatch.setenv("IR_CONTAINMENT_MODE", mode)
    settings.cache_clear()
    slack: Any = Fake(answer)
    found = list(slack_app._security_channel(slack))
    settings.cache_clear()
    assert line(found) == ("security channel", state, detail)
    assert bool(found[0].fix) is (state != "ok")
    assert slack.asked == ([("conversations.info", {"channel": "C1"})] if channel else [])


@pytest.mark.parametrize(
    ("chosen", "team", "mode", "known", "state", "detail"),
    [
        ('["a@x", "b@x"]', [], "enforce", {"a@x", "b@x"}, "ok", "all 2 of slack_approvers found"),
        ('["a@x", "b@x"]', [], "enforce", {"b@x"}, "warning", "1 of slack_approvers found; 1 not in the workspace"),
        ('["a@x"]', ["c@x"], "enforce", set(), "failed", "no user of slack_approvers is in the workspace"),
        ("", ["c@x"], "enforce", {"c@x"}, "ok", "all 1 of the membership's response team found"),
        ("", [], "enforce", set(), "failed", "the membership's response team is empty, so no user can decide"),
        ("", [], "dry_run", set(), "warning", "the membership's response team is empty, so no user can decide"),
    ],
)
def test_given_approvers_when_verified_then_one_must_be_in_the_workspace(
    monkeypatch: pytest.MonkeyPatch, chosen: str, team: list[str], mode: str, known: set[str], state: str, detail: str
) -> None:
    monkeypatch.setenv("IR_APPROVERS", chosen)
    monkeypatch.setenv("IR_CONTAINMENT_MODE", mode)
    settings.cache_clear()
    monkeypatch.setattr(slack_app, "_reachable", lambda _slack, who: who in known)
    slack: Any = None
    found = slack_app._approvers(slack, [Person(email=email) for email in team])
    assert line(found) == ("approvers", state, detail)
    settings.cache_clear()


@pytest.mark.parametrize(
    ("who", "answer", "call", "is_reachable"),
    [
        ("a@x", {"user": {"id": "U1"}}, ("users.lookupByEmail", {"email": "a@x"}), True),
        ("a@x", {"user": {"deleted": True}}, ("users.lookupByEmail", {"email": "a@x"}), False),
        ("U1", {"user": {"id": "U1", "is_bot": True}}, ("users.info", {"user": "U1"}), False),
        ("U1", {"user": {"id": "U1"}}, ("users.info", {"user": "U1"}), True),
        ("U1", {}, ("users.info", {"user": "U1"}), False),
        ("S1", {"users": ["U1"]}, ("usergroups.users.list", {"usergroup": "S1"}), True),
        ("S1", {"users": []}, ("usergroups.users.list", {"usergroup": "S1"}), False),
        ("U1", RefusedError("Slack", "users.info", "user_not_found"), ("users.info", {"user": "U1"}), False),
    ],
)
def test_given_an_approver_when_looked_up_then_only_an_active_user_counts(
    who: str, answer: Any, call: Any, is_reachable: bool
) -> None:
    slack: Any = Fake(answer)
    assert slack_app._reachable(slack, who) is is_reachable
    assert slack.asked == [call]


# Members of a channel


@pytest.fixture
def stored(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, Any]]]:
    """Return the rows of members that were stored, without their keys."""
    rows: list[tuple[str, dict[str, Any]]] = []
    monkeypatch.setattr(table, "put", lambda key, row: rows.append((key.sk, row)))
    monkeypatch.setattr(clock, "now", lambda: 1_000.0)
    return rows


def syncing(*answers: Any) -> Any:
    return SimpleNamespace(
        case_id="1", channel_id="C1", slack=Fake(*answers), deadline=SimpleNamespace(check=lambda: None)
    )


USER = {"user": {"id": "U1", "name": "jane", "profile": {"real_name": "Jane Smith"}}}
JANE = Person(email="Jane@x", name="J")
FOUND = {"email": "jane@x", "watchers": "w", "looked_up_at": 1_000, "since": 1_000}
SHOWN = {"slack_user_id": "U1", "shown": "Jane Smith"}


def refused(code: str) -> RefusedError:
    return RefusedError("Slack", "any", code)


@pytest.mark.parametrize(
    ("before", "answer", "state", "more", "writes"),
    [
        (None, {}, "invited", {}, ["inviting", "invited"]),
        (None, refused("already_in_channel"), "present", {}, ["inviting", "present"]),
        (None, refused("cant_invite_self"), "present", {}, ["inviting", "present"]),
        ({"state": "inviting"}, refused("already_in_channel"), "invited", {}, ["invited"]),
        ({"state": "inviting"}, {}, "invited", {}, ["invited"]),
        ({"state": "former"}, refused("already_in_channel"), "back", {"returns": True}, ["inviting", "back"]),
        ({"state": "former"}, {}, "invited", {"returns": True}, ["inviting", "invited"]),
        ({"state": "former", "quiet": True}, refused("already_in_channel"), "present", {}, ["inviting", "present"]),
        (
            {"state": "inviting", "returns": True},
            refused("already_in_channel"),
            "back",
            {"returns": True},
            ["back"],
        ),
    ],
)
def test_given_a_watcher_when_invited_then_the_state_shows_how_the_person_came(
    stored: list[Any], before: Any, answer: Any, state: str, more: dict[str, Any], writes: list[str]
) -> None:
    sync = syncing(USER, answer)
    row = members._add(sync, JANE, before, "w")
    assert row == {**FOUND, **SHOWN, **more, "state": state}
    assert [one["state"] for _, one in stored] == writes
    assert stored[-1][1] == row
    assert sync.slack.asked == [
        ("users.lookupByEmail", {"email": "Jane@x"}),
        ("conversations.invite", {"channel": "C1", "users": "U1"}),
    ]


def test_given_a_watcher_whom_slack_does_not_know_when_invited_then_the_fix_is_stored_and_other_errors_are_raised(
    stored: list[Any],
) -> None:
    row = members._add(syncing(refused("users_not_found")), JANE, None, "w")
    assert (row["state"], row["since"]) == ("missing", 1_000)
    assert row["shown"].startswith("jane@x (")
    assert row["fix"]
    again = members._add(syncing(refused("users_not_found")), JANE, {"state": "missing", "since": 7}, "w")
    assert again["since"] == 7
    cannot = members._add(syncing(USER, refused("user_is_restricted")), JANE, {"state": "former", "since": 7}, "w")
    assert (cannot["state"], cannot["since"]) == ("missing", 1_000)
    with pytest.raises(RefusedError, match="missing_scope"):
        members._add(syncing(refused("missing_scope")), JANE, None, "w")
    unnamed = members._add(syncing({"user": {"id": "U1"}}, {}), Person(email="a@x"), None, "w")
    assert unnamed["shown"] == "a@x"
    named = members._add(syncing({"user": {"id": "U1", "name": "n"}}, {}), JANE, None, "w")
    assert named["shown"] == "J"


@pytest.mark.parametrize(
    ("removes", "answer", "before", "more"),
    [
        ("false", {}, {"state": "invited", "slack_user_id": "U1"}, {"quiet": False}),
        ("true", {}, {"state": "invited", "slack_user_id": "U1"}, {"quiet": False, "removed": True}),
        (
            "true",
            refused("not_in_channel"),
            {"state": "back", "slack_user_id": "U1"},
            {"quiet": False, "removed": True},
        ),
        (
            "true",
            refused("restricted_action"),
            {"state": "present", "slack_user_id": "U1"},
            {"quiet": False, "removed": False},
        ),
        ("true", {}, {"state": "missing"}, {"quiet": True}),
        ("true", {}, {"state": "outside"}, {"quiet": True}),
    ],
)
def test_given_a_former_watcher_when_marked_then_removed_only_if_the_variable_says_so(
    monkeypatch: pytest.MonkeyPatch, stored: list[Any], removes: str, answer: Any, before: Any, more: Any
) -> None:
    monkeypatch.setenv("IR_REMOVE_FORMER_WATCHERS", removes)
    settings.cache_clear()
    sync = syncing(answer)
    row = members._mark_former(sync, {"email": "jane@x", "since": 1, **before})
    settings.cache_clear()
    assert row == {"email": "jane@x", **before, "state": "former", "since": 1_000, **more}
    kicked = [("conversations.kick", {"channel": "C1", "user": "U1"})]
    assert sync.slack.asked == (kicked if "removed" in more else [])


@pytest.mark.parametrize(
    ("row", "due"),
    [
        ({"state": "invited", "watchers": "old", "looked_up_at": 0}, False),
        ({"state": "missing", "watchers": "old", "looked_up_at": 1_000}, True),
        ({"state": "missing", "watchers": "w", "looked_up_at": 1_000 - 86_400}, True),
        ({"state": "missing", "watchers": "w", "looked_up_at": 1_001 - 86_400}, False),
    ],
)
def test_given_a_missing_member_when_a_day_has_passed_or_the_watchers_changed_then_it_is_looked_up(
    stored: list[Any], row: Any, due: bool
) -> None:
    assert members._is_due(row, "w") is due


# Replays


def test_given_entries_of_the_failures_queue_when_delivered_then_only_sync_is_invoked_and_the_reason_is_given(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    invoked: list[Any] = []
    monkeypatch.setattr(names, "function", lambda part: f"acme-{part}")
    monkeypatch.setattr(aws, "invoke_later", lambda *call: invoked.append(call))
    for source, target, outcome, why in (
        ("security-ir", "acme-sync", "moved", ""),
        ("aws.security-ir", "acme-sync", "moved", ""),
        ("aws.iam", "acme-sync", "kept", "it is no event of a case or an approval"),
        ("security-ir", "acme-slack", "kept", "no rule of this deployment invokes acme-slack"),
    ):
        event = {"source": source}
        found = replay._invoke("failures", Handback("invoke", "what", event, target=target))
        assert (found.outcome, found.queue, found.what, found.why) == (outcome, "failures", "what", why)
        assert found.to == (target if outcome == "moved" else "")
    assert invoked == [("acme-sync", {"source": "security-ir"}), ("acme-sync", {"source": "aws.security-ir"})]


@pytest.mark.parametrize(
    ("codes", "outcome", "to", "why"),
    [([], "moved", "the event bus", ""), (["InternalFailure"], "kept", "", "PutEvents returned InternalFailure")],
)
def test_given_a_notification_when_published_again_then_a_rejected_one_is_kept(
    monkeypatch: pytest.MonkeyPatch, codes: list[str], outcome: str, to: str, why: str
) -> None:
    sent: list[Any] = []

    def put(events: Any) -> list[str]:
        sent.append(events)
        return codes

    monkeypatch.setattr(bus, "put", put)
    event = {"source": "security-ir", "detail-type": "K", "detail": {"a": 1}, "resources": ["r"]}
    found = replay._publish("failures", Handback("publish", "what", event))
    assert (found.outcome, found.to, found.why) == (outcome, to, why)
    replay._publish("failures", Handback("publish", "what", {}))
    assert sent == [[bus.Event("security-ir", "K", {"a": 1}, ["r"])], [bus.Event("", "", {}, [])]]


def test_given_an_event_when_the_workflow_is_started_again_then_its_name_makes_it_start_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    started: list[dict[str, Any]] = []
    codes = ["ExecutionAlreadyExists", "AccessDeniedException"]

    def start_execution(**arguments: Any) -> None:
        started.append(arguments)
        if len(started) > 2:
            raise ClientError({"Error": {"Code": codes.pop(0)}}, "StartExecution")

    monkeypatch.setattr(aws, "client", lambda _name: SimpleNamespace(start_execution=start_execution))
    monkeypatch.setenv("IR_STATE_MACHINE_ARN", "arn:machine")
    settings.cache_clear()
    replay.start({"id": "e" * 80}, "m1")
    replay.start({"a": 1}, "m1")
    replay.start({"id": "e"}, "m1")
    with pytest.raises(ClientError, match="AccessDenied"):
        replay.start({"id": "e"}, "m1")
    settings.cache_clear()
    assert [one["name"] for one in started] == ["replay-" + "e" * 73, "replay-m1", "replay-e", "replay-e"]
    assert (started[1]["stateMachineArn"], started[1]["input"]) == ("arn:machine", '{"a": 1}')
