"""A message and a file that AWS refuses for as long as a person needs to mend it: tried again, kept, replayed."""

from __future__ import annotations

import pytest

from ir_router.ops import replay as replay_task
from tests.support.operations import deployed_in
from tests.support.world import World


def test_given_a_message_and_a_file_that_aws_refused_when_mended_and_replayed_then_the_case_has_each_once(
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
        answer = world.invoke("sync", {"task": "replay"})
        world.settle()

        assert sorted((entry["outcome"], entry["queue"]) for entry in answer["entries"]) == [
            ("moved", "files"),
            ("moved", "slack-events"),
        ]
        (attachment,) = world.security_ir.call("GetCase", {"caseId": case_id})["caseAttachments"]
        assert attachment["fileName"].startswith("trace-")
        assert len([body for body in world.comments(case_id) if "look at this" in body]) == 1
