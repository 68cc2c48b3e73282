"""Items that AWS refuses, or does not answer for long, are reported, kept, and replayed completely."""

from __future__ import annotations

import logging

import pytest

from ir_router.ops import replay as replay_task
from tests.support.operations import deployed_in
from tests.support.sync import attachments, from_slack, lines_with, system_comments
from tests.support.world import World


def test_given_a_message_and_a_file_that_aws_refused_when_fixed_and_replayed_then_the_case_has_each_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replay_task, "WAIT_SECONDS", 0)  # moto's one server needs no long polling
    with deployed_in(world) as deployed:
        case_id = world.create_case()
        world.settle()
        for operation in ("CreateCaseComment", "GetCaseAttachmentUploadUrl"):
            world.security_ir.faults.refuse("AccessDeniedException", operation, times=None)
        deployed.team[0].upload(world.channel_of(case_id), "trace.txt", b"evidence", text="look at this")
        world.settle()
        assert [len(world.dead_letters(queue)) for queue in ("slack-events", "files")] == [1, 1]

        world.security_ir.faults.clear()
        answer = world.invoke("operations", {"task": "replay"})
        world.settle()

        assert sorted((entry["outcome"], entry["queue"]) for entry in answer["entries"]) == [
            ("moved", "files"),
            ("moved", "slack-events"),
        ]
        (attachment,) = world.security_ir.call("GetCase", {"caseId": case_id})["caseAttachments"]
        assert attachment["fileName"].startswith("trace-")
        assert len([body for body in world.comments(case_id) if "look at this" in body]) == 1


def test_given_aws_that_does_not_answer_for_longer_than_queues_try_then_it_is_reported_once_and_copied_once(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(replay_task, "WAIT_SECONDS", 0)
    with deployed_in(world) as deployed, caplog.at_level(logging.ERROR):
        case_id = world.create_case()
        world.settle()
        for operation in ("CreateCaseComment", "GetCaseAttachmentUploadUrl"):
            world.security_ir.faults.refuse("InternalServerException", operation, times=None)
        deployed.team[0].upload(world.channel_of(case_id), "trace.txt", b"evidence", text="look at this")
        world.live(40)
        assert len(world.dead_letters("slack-events")) == 1
        assert world.dead_letters("files") == []  # the ledger keeps the transfer, so there is nothing to replay
        told = [
            *lines_with(world, case_id, " UTC could not be copied to the case: there was no response"),
            *lines_with(world, case_id, "could not be copied: there was no response in time."),
        ]
        error_ids = [line.split("Error ID: ")[1].split('"')[0] for line in told]
        assert len(set(error_ids)) == len(told) == 2
        assert set(error_ids) <= {getattr(record, "error_id", None) for record in caplog.records}

        world.security_ir.faults.clear()
        world.live(20)
        for _ in range(2):  # a replay does not repeat items that were copied meanwhile
            assert [body.split("\n")[1] for body in from_slack(world, case_id)] == ["look at this"]
            assert [one["fileName"].split("-")[0] for one in attachments(world, case_id)] == ["trace"]
            on_case = "".join(system_comments(world, case_id))
            assert [on_case.count(error_id) for error_id in error_ids] == [1, 1]
            world.invoke("operations", {"task": "replay"})
            world.live(2)
        assert [world.dead_letters(queue) for queue in ("slack-events", "files")] == [[], []]
