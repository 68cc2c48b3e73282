"""`make bench`: its output, its detection of broken bounds, and the accuracy of its measurements."""

from __future__ import annotations

import copy
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ir_operator.project import PROJECT_ROOT, local_interpreter
from tests.trials.bench import __main__ as bench
from tests.trials.bench import audit_load, bounds, calls, containment, cost, intake, slack_load, table, unpacked
from tests.trials.bench.calls import Work
from tests.trials.bench.cost import Fixed
from tests.trials.bench.counting import Counted
from tests.trials.bench.processes import Deployed, FunctionEndedError, FunctionProcess

FIXED = Fixed(alarms=22, dashboards=0, keys=2)

# Figures that the local cloud adds; the counts are real.
FIGURES: dict[str, Any] = {
    "command_ms": {"help": {"acknowledged": 5.0, "answered": 20.0}},
    "containment": {
        "seconds": 1.2,
        "seconds_cold": 4.0,
        "deny_ms": {"cold": 300.0, "warm": 250.0, "after_idle": 260.0},
        "key_ms": {"cold": 310.0, "warm": 260.0, "after_idle": 270.0},
        "handwritten": {
            "deny_ms": {"cold": 110.0, "warm": 70.0, "after_idle": 120.0},
            "key_ms": {"cold": 170.0, "warm": 140.0, "after_idle": 190.0},
        },
    },
    "peak_memory_mib": {
        "idle": 90.0,
        "to_case_above_idle": 1.0,
        "to_slack_above_idle": 2.0,
        "file_100mb_above_idle": 2.0,
    },
    "cold_start_ms": {"webhook": {"import": 100.0, "first_event": 80.0, "total": 180.0, "own": 170.0}},
    "at_lambda_share": {
        name: {"first_event_ms": first, "warm_ms": 20.0, "after_idle_ms": 40.0}
        for name, first in (("webhook", 50.0), ("slack_bolt", 100.0))
    },
    "limited_by": "cgroup v1",
    "intake": {"batch_ms": 500.0},
    "ratios": {"webhook_cold_start": 0.5, "webhook_cold_start_uncompiled": 0.6},
    "warm_ms": {"webhook: message": {"ms": 6.0, "own": 3.0}},
    "zip_mib": 10.2,
    "zip_mib_by_distribution": {"botocore": 2.0},
}


def work(**services: int) -> Work:
    return Work(
        services, {"dynamodb PutItem": 2, "dynamodb GetItem": 3, "sqs SendMessage": 1}, {"sync": 1, "webhook": 1}
    )


@pytest.fixture(scope="module")
def result() -> dict[str, Any]:
    """Return a result with the counts of a small run: one open case, one unknown watcher."""
    operations = {name: work(slack=1, dynamodb=5) for name in (*cost.TRAFFIC_PER_CASE, "new_case")}
    counted = Counted(
        polls={1: calls.idle_poll(1)},
        polls_with_comments={30: calls.idle_poll_with_comments(30)},
        door=calls.before_acknowledgement(),
        operations={
            **operations,
            "unknown_watchers": calls.unknown_watchers(1),
            "new_case_unknown_watchers": calls.new_case_with_unknown_watchers(1),
        },
        steps=containment.steps(),
        failing_file={"to_case": 11, "to_slack": 10},
        slack_load=slack_load.measure(),
        intake=intake.prices(),
        audit=audit_load.measure(1),
    )
    return bench.assembled(counted, FIGURES, FIXED)


def test_given_a_count_when_it_runs_then_the_log_lines_of_functions_are_not_in_the_output_of_the_bench() -> None:
    code = "from tests.trials.bench import calls; calls.before_acknowledgement()"
    environment = os.environ | {"PYTHONPATH": f"{PROJECT_ROOT / 'src'}{os.pathsep}{PROJECT_ROOT}"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert not done.stdout


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(bench, "RESULT", tmp_path / "build" / "bench.json")
    return tmp_path / "build" / "bench.json"


def test_given_a_small_run_when_it_is_judged_then_all_is_written_and_shown(
    result: dict[str, Any], written: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench.verdict(result) == 0

    found = json.loads(written.read_text("utf-8"))
    poll = found["calls"]["idle_poll"]["1"]
    assert (poll["security_ir"], poll["dynamodb"], poll["events"]) == (3, 3, 0)
    assert found["calls"]["webhook_before_ack"] == {"sqs": 1}
    assert {"new_case", "comment_to_slack", "message_to_case", "file_each_way"} <= set(found["calls"])
    assert found["containment"]["sequential_steps"] == found["containment"]["states"] + found["containment"]["calls"]
    assert set(found["monthly_cost_usd"]) == {"1", "10", "100"}
    assert {"ratios", "peak_memory_mib", "zip_mib", "cold_start_ms", "warm_ms", "at_lambda_share"} <= set(found)
    assert found["broken"] == []
    shown = capsys.readouterr().out
    assert "idle poll, 1 open cases" in shown
    assert shown.splitlines()[-1].startswith("ok: every bound holds")


BREAKS: dict[str, tuple[Callable[[dict[str, Any]], None], str]] = {
    "poll": (lambda found: found["calls"]["idle_poll"]["1"].update(dynamodb=4), "dynamodb 4 times; at most 3"),
    "comments": (
        lambda found: found["calls"]["idle_poll_with_comments"]["30"].update(security_ir=4),
        "a case with 30 comments calls security_ir 4 times; at most 3",
    ),
    "busy channels": (
        lambda found: found["slack_events"].update(functions_needed_if_slower=1000),
        "functions for 1000 channels, if AWS and Slack are slow: 1000",
    ),
    "door": (lambda found: found["calls"]["webhook_before_ack"].update(ssm=1), "webhook_before_ack"),
    "forged": (lambda found: found["calls"]["webhook_before_ack_forged"].update(sqs=1), "webhook_before_ack_forged"),
    "intake": (lambda found: found["intake"].update(usd_per_million_repeated=5.1), "intake, usd per million repeated"),
    "cost": (lambda found: found["monthly_cost_usd"].update({"1": 6.01}), "US dollars: 6.01; at most 6 is allowed"),
    "audit": (lambda found: found["audit"].update(lost=1), "audit, lost: 1; at most 0"),
    "slow audit": (lambda found: found["audit"].update(p99_ms=1001), "audit, p99 ms: 1001; at most 1000"),
    "watchers": (lambda found: found["calls"]["unknown_watchers"].update(slack=42), "unknown watchers"),
    "cold start": (lambda found: found["ratios"].update(webhook_cold_start=0.71), "cold start"),
    "first event": (
        lambda found: found["at_lambda_share"]["webhook"].update(first_event_ms=91.0),
        "the webhook's first event at Lambda's share, as a share of slack_bolt's: 0.91",
    ),
    "containment": (
        lambda found: found["containment"]["deny_ms"].update(cold=1000.0),
        "a multiple of the same by hand",
    ),
    "memory": (lambda found: found["peak_memory_mib"].update(file_100mb_above_idle=32.1), "100 MB file"),
    "zip": (lambda found: found.update(zip_mib=12.1), "the zip"),
}


@pytest.mark.parametrize("name", BREAKS)
def test_given_a_broken_bound_when_it_is_judged_then_it_is_named_and_the_run_fails(
    name: str, result: dict[str, Any], written: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spoilt = copy.deepcopy(result)
    spoil, named = BREAKS[name]
    spoil(spoilt)

    assert bench.verdict(spoilt) == 1

    failed = [line for line in capsys.readouterr().out.splitlines() if line.startswith("FAILED  ")]
    assert len(failed) == 1
    assert named in failed[0]
    assert json.loads(written.read_text("utf-8"))["broken"] == [failed[0].removeprefix("FAILED  ")]


def test_given_more_open_cases_when_polls_are_bounded_then_pages_and_checks_grow_to_their_budgets() -> None:
    assert [bounds.idle_poll_at_most(cases)["security_ir"] for cases in (1, 10, 50, 250, 500)] == [3, 21, 22, 30, 30]


def test_given_the_result_when_shown_then_no_column_is_cut(result: dict[str, Any]) -> None:
    for line in table.lines(result | {"broken": []}):
        assert line == line.rstrip()
        assert len(line) < 140


# Cost


def test_given_more_open_cases_when_priced_then_what_is_fixed_stays_and_the_rest_grows(result: dict[str, Any]) -> None:
    one, many = (result["monthly_cost_items_usd"][cases] for cases in ("1", "100"))

    assert one["CloudWatch alarms"] == many["CloudWatch alarms"] == 2.2
    assert one["KMS"] == many["KMS"]
    assert many["DynamoDB"] > one["DynamoDB"]
    assert many["total"] == pytest.approx(sum(usd for name, usd in many.items() if name != "total"), abs=0.1)


def test_given_the_memory_that_is_priced_when_compared_with_terraform_then_it_is_the_same() -> None:
    text = (PROJECT_ROOT / "terraform" / "functions.tf").read_text("utf-8")
    memory = re.findall(r'^    "?([\w-]+)"? += \{ timeout = \d+, memory = (\d+)', text, re.MULTILINE)

    assert {name: int(megabytes) / 1024 for name, megabytes in memory} == cost.MEMORY_GB


def test_given_the_metrics_that_are_priced_when_compared_with_terraform_then_each_is_listed() -> None:
    text = (PROJECT_ROOT / "terraform" / "alarms.tf").read_text("utf-8")

    assert cost.custom_metrics() == len(re.findall(r"^#   [A-Z]\w+ +(?:Count|Seconds) ", text, re.MULTILINE))


def test_given_the_cost_table_when_compared_then_its_figures_are_the_models() -> None:
    operations_guide = (PROJECT_ROOT / "docs" / "operations.md").read_text("utf-8")
    rows = operations_guide.partition("| US dollars a month |")[2].partition("\n\n")[0].splitlines()[2:]
    stated = {
        name.strip(): [float(cell) for cell in cells] for name, *cells in (row.strip("|").split("|") for row in rows)
    }
    alarms = 22  # tests/terraform/test_watching.py names them
    work = {**calls.operations(), **containment.parts()}

    found = [cost.monthly(cases, work, Fixed(alarms=alarms, dashboards=0, keys=2)) for cases in cost.OPEN_CASES]

    assert f"{alarms} alarms, {cost.custom_metrics()} metrics" in operations_guide
    assert set(stated) == set(found[0])
    for name, figures in stated.items():
        # A few calls more or less in an operation do not make the page wrong.
        assert figures == [pytest.approx(one[name], rel=0.1, abs=0.05) for one in found], name


# Functions in separate processes


def function(folder: Path, code: str) -> Deployed:
    (folder / "measured.py").write_text(code)
    return Deployed(folder, "measured.handler", "measured", {"TOLD": "yes"}, timeout=900, megabytes=512)


def test_given_a_function_when_called_in_its_process_then_its_answer_time_and_peak_memory_are_reported(
    tmp_path: Path,
) -> None:
    code = """
import os
def handler(event, context):
    print("what a function prints is not an answer")
    held = bytearray(event["size"])
    return [os.environ["TOLD"], len(held), context.get_remaining_time_in_millis() > 20_000, sorted(os.environ)]
"""
    with FunctionProcess(function(tmp_path, code)) as process:
        small = process.call({"size": 1}, forget_peak=True)
        large = process.call({"size": 64 * 1024 * 1024}, forget_peak=True)

    assert large.answer[:3] == ["yes", 64 * 1024 * 1024, True]
    assert not {"HOME", "PYTHONPATH", "VIRTUAL_ENV"} & set(large.answer[3])
    assert large.ms > 0
    assert small.resident is not None
    assert large.peak is not None
    assert 60 < (large.peak - small.resident) / 1024**2 < 80


def test_given_a_function_that_fails_when_called_then_what_it_printed_is_reported(tmp_path: Path) -> None:
    with (
        FunctionProcess(
            function(tmp_path, "def handler(event, context):\n    raise ValueError('too late')\n")
        ) as process,
        pytest.raises(FunctionEndedError, match="ValueError: too late"),
    ):
        process.call({})


def test_given_the_baseline_when_made_then_it_runs_from_its_folder_alone_and_is_compiled(tmp_path: Path) -> None:
    folder = unpacked.baseline(tmp_path / "slack_bolt")
    bare = unpacked.without_compiled_modules(folder, tmp_path / "uncompiled")

    code = f"import sys; sys.path.insert(0, {str(folder)!r}); import boto3, slack_bolt; print(slack_bolt.__file__)"
    command = [str(local_interpreter()), "-I", "-S", "-c", code]
    done = subprocess.run(command, env={"PATH": os.defpath}, capture_output=True, text=True, check=True)
    assert done.stdout.startswith(str(folder))
    assert (folder / "slack_bolt_handler.py").exists()
    assert list(folder.glob("slack_bolt/__pycache__/app*.pyc")) or list(folder.rglob("*.pyc"))
    assert not list(bare.rglob("*.pyc"))
