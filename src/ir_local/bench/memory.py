"""How much memory a file takes on its way: the function in a process of its own, both services in another."""

from __future__ import annotations

from collections.abc import Callable

from ir_local.bench.cloud import Quiet
from ir_local.bench.cold_start import WrongAnswerError
from ir_local.bench.processes import FunctionProcess, Reply

MIB = 1024 * 1024
_SMALL = 10_000
_OTHERS = 10


class UnknownMemoryError(Exception):
    """This machine does not say how much memory a process has: /proc is missing."""


def measure(there: Quiet, size: int) -> tuple[dict[str, float], dict[str, dict[str, float]]]:
    """MiB above idle at most, while a file of `size` bytes goes each way, and by way the milliseconds it took.

    `idle` is what the function has before. Raises UnknownMemoryError.
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
        # AWS shows an attachment once it has been scanned.
        process.call(changed)

    return _carried(there, process, ask, lambda: there.sizes_in_slack() == sorted([*before, size]))


def _carried(
    there: Quiet, process: FunctionProcess, ask: Callable[[], object], has_arrived: Callable[[], bool]
) -> Reply:
    """The event with which the file arrived. Others come too: Slack tells of every file, the app's own included."""
    for _ in range(_OTHERS):
        reply = process.call(there.next_record("files", ask), forget_peak=True)
        if has_arrived():
            return reply
    raise WrongAnswerError("the file has not arrived")
