"""The report about a case: on request and after the closing, as attachments or files, with the proof in the audit."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from ir_operator.__main__ import main
from ir_router.ledger import audit, reports
from ir_router.report import sealing
from ir_sandbox.slack.people import Person
from tests.support.activity import call, comments
from tests.support.approvals import case_channel, make_approver, press
from tests.support.commands import answers
from tests.support.sync import attachment_contents
from tests.support.world import World
from tests.trials.world.incidents import audit_rows
from tests.trials.world.state_machine import Execution, StateMachine
from tests.trials.world.wire import Side


@pytest.fixture
def jane(world: World) -> Person:
    return make_approver(world)


def case_of(world: World) -> str:
    (case,) = world.security_ir.call("ListCases", {"maxResults": 25})["items"]
    return str(case["caseId"])


def attached(world: World) -> dict[str, bytes]:
    """Return the reports on the case by name."""
    found = attachment_contents(world, case_of(world))
    return {name: content for name, content in found.items() if name.startswith("report-")}


def messages(world: World) -> list[str]:
    return [
        json.dumps(one["blocks"], ensure_ascii=False)
        for one in world.workspace.channel_messages(case_channel(world))
        if "about this case is complete" in str(one.get("text"))
    ]


def shared(world: World) -> list[str]:
    channel = world.workspace.channel_messages(case_channel(world))
    return [file["name"] for one in channel for file in one.get("files") or [] if file["name"].startswith("report-")]


def ask(world: World, jane: Person) -> None:
    jane.command(case_channel(world), "/security-ir", "report")
    world.settle()
    world.live(2)


def report_in(files: dict[str, bytes], version: int = 1) -> dict[str, Any]:
    return dict(json.loads(files[f"report-{version}.json"])["report"])


def test_given_a_decided_incident_when_a_report_is_requested_then_it_has_the_story_and_is_verified(
    world: World, machine: StateMachine, jane: Person, contained: tuple[Execution, str], tmp_path: Any, capsys: Any
) -> None:
    _, key = contained
    world.trail.add(call(world, key, "CreateUser", requestParameters={"userName": "<script>alert(1)</script>"}))
    jane.post(case_channel(world), "the key is in a public repository <b>")
    jane.upload(case_channel(world), "notes.txt", b"evidence")
    world.settle()
    world.live(3)
    press(world, machine, jane, case_channel(world), "approval_approve")
    world.live(2)
    ask(world, jane)

    files = attached(world)
    assert sorted(files) == ["report-1.html", "report-1.json"]
    report = report_in(files)
    events = [(one["kind"], one["what"], one["by"]) for one in report["timeline"]]
    assert ("message", "Slack message", "Jane Smith") in [(kind, what, str(by)[:10]) for kind, what, by in events]
    assert not any("public repository" in what for _, what, _ in events)
    for kind, part in [
        ("case", "Case created"), ("case", "Contained: backdoor"), ("case", "Remediation approved"),
        ("approval", "Approval requested. Approve:"), ("approval", "Decision made: approve"),
        ("activity", "First known call"), ("file", "Attachment notes-"),
    ]:  # fmt: skip
        assert any(which == kind and what.startswith(part) for which, what, _ in events), (kind, part)
    assert [one["at"] for one in report["timeline"]] == sorted(one["at"] for one in report["timeline"])
    (decision,) = report["decisions"]
    assert decision["decision"] == "approve"
    assert decision["by"].startswith("Jane Smith (jane@example.com, U")
    assert "deletes" in decision["information"]["approve_does"]
    assert {one["time_to"] for one in report["durations"]} == {"contain", "ask", "decide"}
    (notes,) = [one for one in report["evidence"] if one["name"].startswith("notes-")]
    assert notes["sha256"] == sealing.digest(b"evidence")
    (table,) = [one for one in report["evidence"] if one["name"] == "activity-1.csv"]
    assert table["sha256"] == sealing.digest(attachment_contents(world, case_of(world))["activity-1.csv"])
    assert any("stays until it is released" in one for one in report["follow_ups"])
    assert any("does not undo: user <script>" in one for one in report["follow_ups"])
    assert {"contained", "decision_asked", "decision_recorded", "decision_received", "ended"} <= {
        one["action"] for one in report["audit"]["records"]
    }
    assert all(audit.digest(one) == one["hash"] for one in report["audit"]["records"])
    assert [one["broken"] for one in report["audit"]["chains"]] == [None]

    page = files["report-1.html"].decode()
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert not re.search(r'(?:src|href)="(?!https://console\.aws)', page)
    (message,) = messages(world)
    assert "report-1.html and report-1.json" in message
    world.live(2)
    assert sorted(shared(world)) == sorted(files)

    for name, content in files.items():
        file = tmp_path / name
        file.write_bytes(content)
        assert main(["report", "verify", str(file)]) == 0
        assert "unchanged" in capsys.readouterr().out
        (hash_,) = re.findall(r"--record ([0-9a-f]{64})", message)
        assert main(["report", "verify", str(file), "--record", hash_]) == 0
        assert main(["report", "verify", str(file), "--record", "0" * 64]) == 1
        step = max(1, len(content) // 150)
        for place in [*range(0, len(content), step), len(content) - 1, content.index(b'"hash"') + 10]:
            file.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
            assert main(["report", "verify", str(file)]) == 1, (name, place, content[place - 20 : place + 20])
        for other in (content + b"\n", content[:-1], b"", b"{}", b"[" * 100_000):
            file.write_bytes(other)
            assert main(["report", "verify", str(file)]) == 1
        capsys.readouterr()


def test_given_a_case_when_it_closes_then_the_channel_gets_the_report_once(
    world: World, jane: Person, case_id: str
) -> None:
    world.security_ir.close_case_as(case_id)
    world.settle()
    world.live(3)
    (message,) = messages_in(world, case_id)
    assert "Report 1 about this case" in message
    assert sorted(files_in(world, case_id)) == ["report-1.html", "report-1.json"]
    jane.command(world.channel_of(case_id), "/security-ir", "report")
    world.settle()
    world.live(2)
    assert len(messages_in(world, case_id)) == 2
    world.live(5)
    assert len(messages_in(world, case_id)) == 2


def messages_in(world: World, case_id: str) -> list[str]:
    channel = world.workspace.channel_messages(world.channel_of(case_id))
    return [str(one["text"]) for one in channel if "about this case is complete" in str(one.get("text"))]


def files_in(world: World, case_id: str) -> list[str]:
    channel = world.workspace.channel_messages(world.channel_of(case_id))
    return [file["name"] for one in channel for file in one.get("files") or []]


def test_given_a_case_that_ir_router_closes_when_time_passes_then_the_report_is_on_the_case_before(
    world: World, machine: StateMachine, jane: Person, contained: tuple[Execution, str]
) -> None:
    press(world, machine, jane, case_channel(world), "approval_approve")
    world.live(3)
    ask(world, jane)
    world.advance(73 * 3_600)
    world.live(4)
    assert world.security_ir.call("GetCase", {"caseId": case_of(world)})["caseStatus"] == "Closed"
    files = attached(world)
    assert sorted(files) == ["report-1.html", "report-1.json", "report-2.html", "report-2.json"]
    assert len(messages(world)) == 2
    # A user who requested an earlier report did not request the one about the closing.
    assert report_in(files)["requested_by"].startswith("Jane")
    assert report_in(files, 2)["requested_by"] is None
    requested, closing = (row["actor"] for row in audit_rows() if row["action"] == "report_made")
    assert (requested.startswith("Jane"), closing) == (True, "ir-router")


@pytest.mark.parametrize("side", ["before", "after"])
def test_given_a_crash_of_the_report_before_a_closing_when_continued_then_case_and_report_are_complete_once(
    world: World, machine: StateMachine, jane: Person, contained: tuple[Execution, str], side: Side
) -> None:
    press(world, machine, jane, case_channel(world), "approval_approve")
    world.live(3)
    world.advance(73 * 3_600)
    world.wire.kill_on("security-ir", "GetCaseAttachmentUploadUrl", side)
    world.live(12)
    assert world.wire.died_at is not None
    assert world.security_ir.call("GetCase", {"caseId": case_of(world)})["caseStatus"] == "Closed"
    assert sorted(attached(world)) == ["report-1.html", "report-1.json"]
    assert len(messages(world)) == 1


def test_given_a_user_who_may_not_change_the_case_when_requested_then_there_is_no_report(
    world: World, jane: Person, case_id: str
) -> None:
    mallory = world.workspace.create_user("mallory", email="mallory@example.com", real_name="Mallory")
    jane.invite(world.channel_of(case_id), mallory.id)
    mallory.command(world.channel_of(case_id), "/security-ir", "report")
    world.settle()
    world.live(2)
    assert answers(world, mallory)[-1].startswith("❌")
    assert messages_in(world, case_id) == []


@pytest.mark.parametrize("side", ["before", "after"])
@pytest.mark.parametrize(
    ("service", "operation"),
    [
        ("dynamodb", "TransactWriteItems"),
        ("security-ir", "GetCaseAttachmentUploadUrl"),
        ("files", "PUT security-ir"),
        ("slack", "chat.postMessage"),
    ],
)
def test_given_a_crash_at_a_call_when_continued_then_one_version_appears(
    world: World, jane: Person, case_id: str, service: str, operation: str, side: Side
) -> None:
    world.become("slack")
    reports.request(case_id, world.now(), "Jane Smith")
    world.wire.kill_on(service, operation, side)
    jane.command(world.channel_of(case_id), "/security-ir", "sync")
    world.settle()
    world.live(12)
    assert world.wire.died_at is not None
    assert sorted(attached(world)) == ["report-1.html", "report-1.json"]
    assert len(messages_in(world, case_id)) == 1
    assert [row["action"] for row in audit_rows()].count("report_made") == 1


def test_given_calls_that_were_left_out_when_reported_then_the_report_and_each_later_result_name_them(
    world: World, jane: Person, contained: tuple[Execution, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, key = contained
    monkeypatch.setattr("ir_router.trail_search.MOST_PAGES", 1)
    world.trail.add(*(call(world, key, "ListUsers", ago=60 + number) for number in range(60)))
    world.live(3)
    world.trail.add(call(world, key, "ListRoles", ago=0), after=60)
    world.live(15)
    gap = f"only the newest 50 calls of {key} in us-east-1 were read"
    assert f"Not complete: {gap}." in comments(world)[0]
    ask(world, jane)

    files = attached(world)
    activity = report_in(files)["activity"]
    assert activity["calls"] == 51
    assert gap in activity["not_complete"]
    assert f"<dt>Not complete</dt><dd>{gap}" in files["report-1.html"].decode()


def test_given_a_denied_lookup_when_reported_then_the_report_states_that_the_calls_are_missing(
    world: World, jane: Person, contained: tuple[Execution, str]
) -> None:
    world.trail.refuse_with = "AccessDeniedException"
    world.live(3)
    ask(world, jane)
    activity = report_in(attached(world))["activity"]
    assert activity["calls"] == 0
    assert ["were not all read (" in one for one in activity["not_complete"]] == [True]
