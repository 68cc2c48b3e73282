"""Commands that read, and presses of buttons: their requests to AWS and Slack, and their answers."""

from __future__ import annotations

import io
import json
from types import SimpleNamespace
from typing import Any

import pytest

from ir_router.commands import (
    activity,
    alert_button,
    approval_buttons,
    approvals,
    close,
    create,
    creator_button,
    escalate,
    execution,
    feedback,
    incident_details,
    release,
    report,
    request_buttons,
    status,
    sync,
)
from ir_router.commands import list as list_command
from ir_router.ledger import keys
from ir_router.sync import approval_message, findings, request_people
from ir_router.sync.life_cycle import CLOSE_OFFER
from tests.support.texts.executed import (
    AT,
    CLOSED,
    ENDED,
    NUMBER,
    RELEASED,
    ROW,
    Cases,
    command,
    executed,
    known,
    repeated,
)

SHOWN = {"ts": "1.2"}
CONTEXT: Any = SimpleNamespace(get_remaining_time_in_millis=lambda: 60_000)


def texts() -> dict[str, Any]:
    """Return each text by its situation."""
    return executed(_reading() | _presses() | _handled())


def _reading() -> Cases:
    made = [
        {"caseId": str(number), "caseStatus": state, "title": "t", "createdDate": AT}
        for number, state in enumerate(("Submitted", "Closed", "Closed", "Ready to Close"))
    ]
    indexed = [{"index_sk": "0", "channel_id": "C1"}, {"index_sk": "3", "channel_id": "C9"}]
    asked = [{"index_sk": "#a1"}]

    def listed(rows: Any) -> Any:
        def query(request: Any) -> Any:
            return rows if request["ExpressionAttributeValues"][":pk"]["S"] == keys.CASES_INDEX else asked

        return query

    many = [{"caseId": f"c{number}", "caseStatus": "Submitted"} for number in range(21)]
    approval: dict[str, Any] = {"batch_get_item": {"Responses": {"ledger": []}}}
    return {
        "status": (lambda: status.execute_command(command("status")), known()),
        "details": (lambda: incident_details.execute_command(command("incident-details")), known()),
        "sync": (lambda: sync.execute_command(command("sync")), known()),
        "sync, refused": (
            lambda: sync.execute_command(command("sync")),
            known(put_events={"Entries": [{"ErrorCode": "E"}]}),
        ),
        "report": (lambda: report.execute_command(command("report")), known()),
        "report, refused": (
            lambda: report.execute_command(command("report")),
            known(put_events={"Entries": [{"ErrorCode": "E"}]}),
        ),
        "activity": (lambda: activity.execute_command(command("activity")), known()),
        "activity, closed": (lambda: activity.execute_command(command("activity")), known(get_case=CLOSED)),
        "activity, refused": (
            lambda: activity.execute_command(command("activity")),
            known(put_events={"Entries": [{"ErrorCode": "E"}]}),
        ),
        "list": (
            lambda: list_command.execute_command(command("list")),
            known(list_cases={"items": made}, query=listed(indexed)),
        ),
        "list of others": (
            lambda: list_command.execute_command(command("list", email="x@example.org")),
            known(list_cases={"items": made}, query=listed(indexed)),
        ),
        "list of none": (
            lambda: list_command.execute_command(command("list", email="x@example.org")),
            known(list_cases={"items": made}, query=listed([])),
        ),
        "list of no cases": (
            lambda: list_command.execute_command(command("list")),
            known(list_cases={"items": []}, query=listed([])),
        ),
        "list of many": (
            lambda: list_command.execute_command(command("list")),
            known(list_cases={"items": many, "nextToken": "n"}, query=listed([])),
        ),
        "approvals, none": (
            lambda: approvals.execute_command(command("approvals")),
            known(query=listed([]), **approval),
        ),
        "approvals, line": (
            lambda: [
                approvals._line(command("a"), {**ROW, **row}, places, {"C1"})
                for row, places in (
                    ({}, [("C2", "2.1"), ("C1", "1.2")]),
                    ({"state": "decided", "decision": "deny"}, [("C2", "2.1")]),
                    ({}, []),
                )
            ],
            known(),
        ),
        "release, none": (lambda: release.execute_command(command("release")), known(query=[])),
        "release, nothing": (
            lambda: [release._nothing([]), release._nothing([RELEASED]), release._nothing([RELEASED, ROW])],
            known(),
        ),
    }


def _presses() -> Cases:
    def press(decision: Any, value: str = "a1/0", ts: str = "1.2", **more: Any) -> Any:
        return lambda: approval_buttons._press(
            command(decision, **more), approval_buttons._Pressed(decision, value, ts)
        )

    def decide(decision: Any, reason: str = "r", **more: Any) -> Any:
        return lambda: approval_buttons._decide(command(decision, **more), "a1/3", decision, reason)

    def answered(state: str, **more: Any) -> dict[str, Any]:
        body = json.dumps({"status": state, "message": "The answer.", **more}).encode()
        return known(invoke=lambda _: {"Payload": io.BytesIO(body)})

    finding = {"finding": "f1", "rating": "finding_useful", "message_ts": "1.2"}
    rows = {f"CASE#{NUMBER}": SHOWN}
    found: Cases = {
        "approve": (press("approve"), known()),
        "deny": (press("deny"), known()),
        "approve, by another": (press("approve", email="x@example.org"), known()),
        "approve, unknown message": (press("approve", ts="1.3"), known()),
        "approve, unknown request": (press("approve", "a2/0"), known()),
        "approve, decided": (press("approve"), known(rows={"APPROVAL#a1": ENDED})),
        "deny without a reason": (lambda: approval_buttons._deny(command("deny"), "a1/0", ""), known()),
        "decided by a later approver": (decide("deny"), known(rows={"APPROVAL#a1": {**ROW, "late": True}})),
        "decided without an answer": (decide("deny"), known(invoke={"Payload": io.BytesIO(b"[]")})),
        "decided with an error": (
            decide("deny"),
            known(invoke={"Payload": io.BytesIO(b"{}"), "FunctionError": "Unhandled"}),
        ),
        "decided, repeated": (
            lambda: approval_buttons._decide(repeated("deny"), "a1", "deny", "r"),
            answered("already_decided", slack_user_id="U1", decision="deny"),
        ),
        "decided, repeated by another": (
            lambda: approval_buttons._decide(repeated("deny"), "a1", "deny", "r"),
            answered("already_decided", slack_user_id="U2", decision="deny"),
        ),
        "decided, repeated in another way": (
            lambda: approval_buttons._decide(repeated("deny"), "a1", "deny", "r"),
            answered("already_decided", first_slack_user_id="U1", decision="approve"),
        ),
        "creator": (lambda: creator_button._show(command("contain_creator"), "a1/c1", "1.2"), known()),
        "creator, not offered": (lambda: creator_button._show(command("contain_creator"), "a1/c2", "1.2"), known()),
        "creator, by another": (
            lambda: creator_button._show(command("contain_creator", email="x@example.org"), "a1/c1", "1.2"),
            known(),
        ),
        "feedback": (lambda: feedback._show(command("feedback"), finding), known(rows=rows)),
        "feedback, by another": (
            lambda: feedback._show(command("feedback", email="x@example.org"), finding),
            known(rows=rows),
        ),
        "feedback, unknown": (
            lambda: feedback._show(command("feedback"), {**finding, "message_ts": "2"}),
            known(rows=rows),
        ),
        "feedback, no case": (lambda: feedback._show(command("feedback", case_id=""), finding), known(rows=rows)),
        "feedback, sent": (
            lambda: feedback._send(command("feedback"), {**finding, "rating": "feedback_useful"}, "c"),
            known(rows=rows),
        ),
        "feedback, not useful": (
            lambda: feedback._send(command("feedback"), {**finding, "rating": "x"}, ""),
            known(rows=rows),
        ),
        "feedback, too long": (lambda: feedback._send(command("feedback"), finding, "x" * 5_001), known(rows=rows)),
        "release, pressed": (
            lambda: release._press(command("release"), "a1/0", "1.2"),
            known(rows={"APPROVAL#a1": ENDED}),
        ),
        "release, by another": (
            lambda: release._press(command("release", email="x@example.org"), "a1/0", "1.2"),
            known(rows={"APPROVAL#a1": ENDED}),
        ),
        "release, open": (lambda: release._press(command("release"), "a1/0", "1.2"), known()),
        "release, before": (
            lambda: release._press(command("release"), "a1/0", "1.2"),
            known(rows={"APPROVAL#a1": RELEASED}),
        ),
        "release, repeated": (
            lambda: release._press(repeated("release"), "a1/0", "1.2"),
            known(rows={"APPROVAL#a1": RELEASED}),
        ),
        "release, unknown": (lambda: release._press(command("release"), "", "1.2"), known()),
        "release, no reason": (lambda: release._release(command("release"), "a1/1", ""), known()),
        "release, sent": (lambda: release._release(command("release"), "a1/1", "r"), known()),
        "release, of all": (lambda: release._release(command("release"), "a1/2", "r"), known()),
        "request, unknown": (lambda: request_buttons._press(command("assign"), {"approval_id": ""}, "1.2"), known()),
    }
    for state in (
        "recorded", "approved", "first_recorded", "not_allowed", "events_joined", "same_person",
        "not_releasable", "assigned",
        "withdrawn", "creator_requested", "creator_requested_before", "already_decided",
    ):  # fmt: skip
        found |= {
            f"answer {state}, decision": (decide("approve"), answered(state)),
            f"answer {state}, creator": (
                lambda: creator_button._contain(command("contain_creator"), "a1/c1"),
                answered(state),
            ),
            f"answer {state}, release": (lambda: release._release(command("release"), "a1/0", "r"), answered(state)),
            f"answer {state}, request": (
                lambda: request_buttons._press(command("assign"), {"approval_id": "a1", "decision": "assign"}, "1.2"),
                answered(state),
            ),
        }
    return found


def _handled() -> Cases:
    def handled(module: Any, payload: Any) -> Any:
        def call() -> Any:
            shown: list[Any] = []

            def execute(made: Any, work: Any, *, attempted: str) -> None:
                about = (made.name, made.id, made.user_id, made.channel_id, made.response_url, made.case_id)
                shown.append([*about, made.replaces, attempted])
                other = command(made.name)
                made.slack, made.names = other.slack, other.names
                shown.append(work(made))

            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(execution, "execute", execute)
                module.handle_interaction(payload, CONTEXT)
            return shown

        return call

    user = {"id": "U1", "name": "jane"}

    def press(action_id: str, value: Any = "a1/0") -> Any:
        return {
            "type": "block_actions",
            "user": user,
            "channel": {"id": "C1"},
            "container": {"message_ts": "1.2", "channel_id": "C1"},
            "trigger_id": "t1",
            "response_url": "https://r",
            "actions": [{"action_id": action_id, "value": value}],
        }

    def submit(callback_id: str, values: Any, **origin: str) -> Any:
        kept = {"channel_id": "C1", "response_url": "https://r", **origin}
        blocks = {name: {name: value} for name, value in values.items()}
        view = {
            "id": "V1",
            "callback_id": callback_id,
            "private_metadata": json.dumps(kept),
            "state": {"values": blocks},
        }
        return {"type": "view_submission", "user": user, "view": view}

    why = {approval_message.REASON: {"value": " because "}}
    chosen = {approval_message.PRINCIPAL: {"selected_option": {"value": "a1/1"}}}
    asked = {"case_id": NUMBER, "user_id": "U1"}
    rows = {
        "CHANNEL#C1": {"case_id": NUMBER},
        f"CASE#{NUMBER}": SHOWN,
        "COMMAND#t0": {"asked_to_close": asked, "asked_to_escalate": asked},
    }
    handled_by: dict[str, tuple[Any, Any]] = {
        "approve": (approval_buttons, press(approval_message.APPROVE)),
        "deny": (approval_buttons, press("approval_deny")),
        "approve form": (approval_buttons, submit(approval_message.APPROVE_FORM, {}, approval_id="a1/3")),
        "deny form": (approval_buttons, submit("approval_reason", why, approval_id="a1/3")),
        "deny form without a reason": (approval_buttons, submit("approval_reason", {}, approval_id="a1/3")),
        "creator": (creator_button, press("creator_contain", "a1/c1")),
        "creator form": (creator_button, submit("creator_contain", {}, value="a1/c1")),
        "feedback": (feedback, press("feedback_useful", "f1")),
        "feedback form": (
            feedback,
            submit("feedback", {findings.COMMENT: {"value": " c "}}, finding="f1", message_ts="1.2"),
        ),
        "release": (release, press("release_open")),
        "release form": (release, submit("release_form", why | chosen)),
        "assign": (request_buttons, press(request_people.ASSIGN, "a1")),
        "withdraw": (request_buttons, press(request_people.WITHDRAW, "a1/12.5")),
        "withdraw at another time": (request_buttons, press(request_people.WITHDRAW, "a1/x")),
        "another button": (request_buttons, press("request_other", "a1")),
        "close offered": (close, press(CLOSE_OFFER, "")),
        "close confirmed": (close, press("close_confirm", "t0")),
        "close, not asked": (close, press("close_confirm", "t9")),
        "close, kept": (close, press("close_keep", "t0")),
        "escalate confirmed": (escalate, press("escalate_confirm", "t0")),
        "create again": (create, press("create_again", "V0")),
        "create form": (create, submit("create_case", {"title": {"value": "t"}})),
        "alert": (alert_button, press("alert_case", "n")),
    }
    return {
        f"handled: {name}": (handled(module, payload), known(rows=rows))
        for name, (module, payload) in handled_by.items()
    }
