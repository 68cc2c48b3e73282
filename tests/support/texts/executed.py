"""Commands that change a case: their requests to AWS and Slack, and their answers."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from ir_router import aws
from ir_router.commands import (
    add_watcher,
    alert_button,
    close,
    comment,
    create,
    escalate,
    people,
    remove_watcher,
    update_description,
    update_status,
    update_title,
)
from ir_router.commands.forms import CaseForm
from ir_router.errors import RefusedError
from ir_router.ledger import keys
from ir_router.ledger.claims import Claim
from ir_router.slack import credentials
from ir_router.sync import approval_places, approval_tampering, approver_set, members
from tests.support import made_commands
from tests.support.requests_to_aws import NOW, requests

Cases = dict[str, tuple[Callable[[], Any], dict[str, Any]]]
NUMBER = made_commands.CASE
ENVIRONMENT = {
    "AWS_REGION": "eu-west-1",
    "IR_EVENT_BUS_NAME": "bus",
    "IR_APPROVAL_FUNCTION": "approve",
    "IR_CASE_EDITORS": '["eve@example.com", "S1"]',
}
AT = datetime.fromtimestamp(NOW - 7_200, UTC)
CASE: dict[str, Any] = {
    "caseArn": "arn:case", "caseStatus": "Submitted", "title": "old", "description": "before", "resolverType": "Self",
    "watchers": [{"email": "jane@example.com", "name": "Jane"}], "createdDate": AT, "lastUpdatedDate": AT,
}  # fmt: skip
CLOSED = {**CASE, "caseStatus": "Closed", "closedDate": AT}
OF_AWS = {**CASE, "resolverType": "AWS"}
OFFER = {"who": "user bob", "arn": "arn:bob", "note": "n", "does": "contains user bob.", "facts": {"a": 1}}
ROW: dict[str, Any] = {
    "approval_id": "a1", "execution": "x1", "kind": "remediate", "state": "pending", "case_id": NUMBER,
    "headline": "user <carol> contained", "what": "w", "done": ["d"], "approve_does": "deletes it.",
    "deny_does": "restores it.", "principals": ["arn:aws:iam::1:user/carol", "arn:aws:iam::1:role/r"],
    "created_at": NOW - 600, "decide_by": NOW + 600, "creators": {"c1": OFFER}, "severity": "HIGH", "title": "New key",
    "event_id": "e",
}  # fmt: skip
ENDED = {**ROW, "state": "delivered", "decision": "approve", "result": "done"}
RELEASED = {**ENDED, "released": set(ROW["principals"]), "released_by": "Jane (U1)", "released_at": NOW - 60}


class Slack:
    """Slack's gateway as a client among the others."""

    def __getattr__(self, kind: str) -> Any:
        """Return a call whose answer is one of the others."""

        def call(method: str, *more: str, **values: Any) -> Any:
            return getattr(aws.client("slack"), kind)(method=method, more=more, **values)  # type: ignore[call-overload]

        return call


def command(name: str, argument: str = "", **changes: Any) -> Any:
    """Return the command of a user, who is in the response team unless `email` names another one."""
    email = changes.pop("email", "jane@example.com")
    user = {"name": "jane", "profile": {"email": email}}
    made = made_commands.command(Slack(), name=name, argument=argument, **changes)
    names: Any = SimpleNamespace(**{**vars(made.names), "user": lambda _id: user})
    made.names = names
    members.forget_team()
    people.forget_groups()
    return made


def repeated(name: str, argument: str = "", **first: Any) -> Any:
    """Return the second attempt of a command, whose first one stored these values."""
    claim = Claim(keys.command("t1"), 2, must_look=True, row={"claimed_at": NOW - 90, **first})
    return command(name, argument, claim=claim)


def known(**changes: Any) -> dict[str, Any]:
    """Return the answers of the services by operation. `rows` are those of the ledger by partition key."""
    rows = {"APPROVAL#a1": ROW, **changes.pop("rows", {})}
    return {
        "get_case": CASE,
        "list_memberships": {"items": [{"membershipId": "m", "membershipStatus": "Active"}]},
        "get_membership": {"incidentResponseTeam": [{"email": "jane@example.com", "name": "Jane"}]},
        "list_tags_for_resource": {"tags": {"severity": "High"}},
        "put_events": {"Entries": [{}]},
        "create_case_comment": {"commentId": "k1"},
        "create_case": {"caseId": NUMBER},
        "list_case_edits": {"items": []},
        "list_comments": {"items": []},
        "invoke": lambda _: {"Payload": io.BytesIO(b'{"status": "recorded", "message": "The answer."}')},
        "get_item": lambda request: rows.get(request["Key"]["PK"]["S"]),
        "read": lambda request: {"permalink": f"https://slack/{request.get('message_ts')}"},
        "post": {"view": {"id": "V1"}},
        "pages": [{"id": "C1"}],
        **changes,
    }


def executed(cases: Cases) -> dict[str, str]:
    """Return the requests and the result of each case. The message `1.2` in `C1` is one of ir-router."""
    found = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(approval_places, "is_posted", lambda _row, channel, ts: (channel, ts) == ("C1", "1.2"))
        patch.setattr(approver_set, "is_frozen_approver", lambda row, user, email: "late" not in row)
        patch.setattr(approval_tampering, "publish", lambda *given: None)
        patch.setattr(credentials, "channel_prefix", lambda: "sec-")
        for name, (call, answers) in cases.items():
            found[name] = requests(call, environment=ENVIRONMENT, known=answers)
    members.forget_team()
    people.forget_groups()
    return found


def texts() -> dict[str, Any]:
    """Return each text by its situation."""
    return executed(_changes())


def _changes() -> Cases:
    def title(*given: str, **more: Any) -> Any:
        return lambda: update_title.execute_command(command("update-title", *given, **more))

    def state(argument: str, **more: Any) -> Any:
        return lambda: update_status.execute_command(command("update-status", argument, **more))

    def description(argument: str) -> Any:
        return lambda: update_description.execute_command(command("update-description", argument))

    def watchers(module: Any, argument: str) -> Any:
        return lambda: module.execute_command(command("watch", argument))

    full = {**CASE, "watchers": [{"email": f"w{number}@example.com"} for number in range(30)]}
    refused = RefusedError("AWS", "UpdateCaseStatus", "ConflictException")
    form = CaseForm("t", "d", "Investigation", "High", int(NOW) - 60, ("111122223333",) * 2, ("U2",))
    later = CaseForm("t", "d", "Investigation", "Not set", int(NOW) - 60)
    return {
        "title": (title("new"), known()),
        "title, unchanged": (title("old"), known()),
        "title, too long": (title("x" * 301), known()),
        "title, closed": (title("new"), known(get_case=CLOSED)),
        "title, not permitted": (title("new", email="eve@example.org"), known()),
        "title, by an editor": (title("new", email="EVE@example.com"), known()),
        "title, repeated": (
            lambda: update_title.execute_command(repeated("update-title", "new", before="older")),
            known(),
        ),
        "title, set before": (
            lambda: update_title.execute_command(repeated("update-title", "new", before="older")),
            known(get_case={**CASE, "title": "new"}),
        ),
        "status set": (state("in progress"), known()),
        "status set over another": (state("Resolved"), known()),
        "status, unchanged": (state("open"), known()),
        "status, invalid": (state("x"), known()),
        "status, of AWS": (state("Acknowledged"), known()),
        "status, AWS-supported": (state("resolved"), known(get_case=OF_AWS)),
        "status, refused": (state("resolved"), known(update_case_status=refused)),
        "status, closed": (state("closed"), known()),
        "description": (description("new  text\n"), known()),
        "description, unchanged": (description("before"), known()),
        "description, too long": (description("x" * 8_001), known()),
        "description, empty before": (description("new"), known(get_case={**CASE, "description": ""})),
        "watchers": (watchers(add_watcher, "<@U2> bob@example.com, bob@example.com"), known()),
        "watchers, known": (watchers(add_watcher, "JANE@example.com"), known()),
        "watchers, too many": (watchers(add_watcher, "bob@example.com"), known(get_case=full)),
        "watchers, the last one": (
            watchers(add_watcher, "bob@example.com"),
            known(get_case={**CASE, "watchers": full["watchers"][1:]}),
        ),
        "watchers, outside": (watchers(add_watcher, "bob@example.org"), known()),
        "watchers, none": (watchers(add_watcher, "bob"), known()),
        "watchers, removed": (watchers(remove_watcher, "JANE@example.com"), known()),
        "watchers, not removed": (watchers(remove_watcher, "bob@example.com"), known()),
        "comment": (lambda: comment.execute_command(command("comment", "a text")), known()),
        "comment, too long": (lambda: comment.execute_command(command("comment", "x" * 12_000)), known()),
        "close": (lambda: close.execute_command(command("close")), known()),
        "close, closed": (lambda: close.execute_command(command("close")), known(get_case=CLOSED)),
        "close, confirmed": (lambda: close._close(command("close")), known()),
        "close, confirmed late": (lambda: close._close(command("close")), known(get_case=CLOSED)),
        "close, refused": (lambda: close._close(command("close")), known(close_case=refused)),
        "close, without a case": (lambda: close._ask(command("close", case_id="")), known()),
        "escalate": (lambda: escalate.execute_command(command("escalate")), known()),
        "escalate, before": (lambda: escalate.execute_command(command("escalate")), known(get_case=OF_AWS)),
        "escalate, confirmed": (lambda: escalate._escalate(command("escalate")), known()),
        "escalate, confirmed before": (lambda: escalate._escalate(command("escalate")), known(get_case=OF_AWS)),
        "escalate, repeated": (
            lambda: escalate._escalate(repeated("escalate", escalates=True)),
            known(get_case=OF_AWS),
        ),
        "escalate, full": (
            lambda: escalate._escalate(command("escalate")),
            known(update_resolver_type=RefusedError("AWS", "U", "ServiceQuotaExceededException")),
        ),
        "escalate, refused": (lambda: escalate._escalate(command("escalate")), known(update_resolver_type=refused)),
        "create": (
            lambda: create._create(command("create", case_id=""), form),
            known(rows={f"CASE#{NUMBER}": {"slackChannelId": "C7"}}),
        ),
        "create, without a channel": (
            lambda: create._create(command("create", email="jane", user_id="U1"), later),
            known(),
        ),
        "create, wrong": (lambda: create._create(command("create"), CaseForm()), known()),
        "create, not permitted": (lambda: create._create(command("create", email="x@example.org"), form), known()),
        "create, form": (lambda: create.execute_command(command("create", "a title")), known()),
        "create, form refused": (lambda: create.execute_command(command("create", email="x@example.org")), known()),
        "create, lost": (lambda: create._open_again(command("create"), "V0"), known()),
        "create, again": (
            lambda: create._open_again(command("create"), "V0"),
            known(rows={"COMMAND#V0": {"typed": {"title": "t", "accounts": ["1"], "watchers": ["U2"]}}}),
        ),
        "alert": (
            lambda: alert_button._open(command("create"), "n"),
            known(
                rows={"DEDUP#SLACK-ALERT#n": {"severity": "HIGH", "subject": "FIX it: now", "text": "t", "at": NOW + 9}}
            ),
        ),
        "alert, lost": (lambda: alert_button._open(command("create"), "n"), known()),
    }
