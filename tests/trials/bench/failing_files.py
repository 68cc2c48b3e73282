"""Count how often a file's bytes are transferred on the first day of a failure that lasts."""

from __future__ import annotations

from ir_sandbox.slack.faults import Fault
from tests.trials.bench.calls import case_with_channel, quietly
from tests.trials.world.running import running_world

_QUARTERS_A_DAY = 96


def transfers_per_day() -> dict[str, int]:
    """Return the downloads of one file in 24 hours by direction, while every upload ends without a certain answer."""
    return {"to_case": _downloads(to_slack=False), "to_slack": _downloads(to_slack=True)}


def _downloads(*, to_slack: bool) -> int:
    with running_world() as world, quietly():
        jane, channel, case_id = case_with_channel(world)
        world.security_ir.faults.refuse("InternalError", "UploadAttachment", times=None)
        world.workspace.faults.add(Fault("files.upload", "status", times=None, status=503))
        if to_slack:
            world.security_ir.add_attachment_as(case_id, file_name="evidence.bin", content=b"x")
        else:
            jane.upload(channel, "evidence.bin", b"x")
        world.settle(patience=300)
        for _ in range(_QUARTERS_A_DAY):
            world.live(1)
            world.advance(14 * 60)
        if to_slack:
            return sum(call.operation == "DownloadAttachment" for call in world.security_ir.calls.all())
        return sum(call.method == "files.download" for call in world.workspace.calls)
