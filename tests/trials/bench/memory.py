"""Measure the memory of a file transfer, with the function and the two services in separate processes."""

from __future__ import annotations

from collections.abc import Callable

from tests.trials.bench.cloud import Quiet
from tests.trials.bench.cold_start import WrongAnswerError
from tests.trials.bench.processes import FunctionProcess, Reply

MIB = 1024 * 1024
_SMALL = 10_000
_OTHERS = 10


class UnknownMemoryError(Exception):
    """/proc is missing, so the memory of a process cannot be read."""


def measure(there: Quiet, size: int) -> tuple[dict[str, float], dict[str, dict[str, float]]]:
    """Return the peak MiB above idle while a file is copied in each direction, and the milliseconds by direction.

    `idle` is the function's memory before the transfer. Raises UnknownMemoryError.

    Args:
        there: The quiet cloud.
        size: The size of the file in bytes.
    """
    with FunctionProcess(there.deployed("sync")) as process:
        process.call({"task": "poll"})
        _to_case(there, process, _SMALL)
        idle = _to_slack(there, process, _SMALL).resident
        to_case, to_slack = _to_case(there, process, size), _to_slack(there, process, size)
        if idle is None or to_case.peak is None or to_slack.peak is None:
            raise UnknownMemoryError(UnknownMemoryError.__doc__)
        peaks = {
            "idle": round(idle / MIB, 1),
            "to_case_above_idle": round((to_case.peak - idle) / MIB, 1),
            "to_slack_above_idle": round((to_slack.peak - idle) / MIB, 1),
        }
        times = {
            f"sync: file_transfer, {size // MIB} MiB {way}": {"ms": round(reply.ms, 1), "own": round(reply.own_ms, 1)}
            for way, reply in (("to the case", to_case), ("to Slack", to_slack))
        }
        return peaks, times


def _to_case(there: Quiet, process: FunctionProcess, size: int) -> Reply:
    before = there.sizes_at_the_case()
    there.jane.upload(there.channel, "evidence.bin", bytes(size))
    return _carried(there, process, lambda: None, lambda: there.sizes_at_the_case() == sorted([*before, size]))


def _to_slack(there: Quiet, process: FunctionProcess, size: int) -> Reply:
    before = there.sizes_in_slack()
    there.cloud.security_ir.add_attachment_as(there.case_id, file_name=f"evidence-{size}.bin", content=bytes(size))
    changed = {"source": "aws.security-ir", "detail-type": "Case Updated", "detail": {"caseId": there.case_id}}

    def ask() -> None:
        # AWS lists an attachment only after scanning it.
        process.call(changed)

    return _carried(there, process, ask, lambda: there.sizes_in_slack() == sorted([*before, size]))


def _carried(
    there: Quiet, process: FunctionProcess, ask: Callable[[], object], has_arrived: Callable[[], bool]
) -> Reply:
    """Process the event of the file. Slack also sends events for the files that the app uploads."""
    for _ in range(_OTHERS):
        # The function accepts a record only while its message is in the queue.
        event = there.next_record("files", ask, keep=True)
        reply = process.call(event, forget_peak=True)
        there.remove("files", event)
        if has_arrived():
            return reply
    raise WrongAnswerError("the file has not arrived")
