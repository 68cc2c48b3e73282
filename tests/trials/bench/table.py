"""Format the result as tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from tests.trials.bench import bounds

_SERVICES = (
    "security_ir",
    "dynamodb",
    "events",
    "slack",
    "sqs",
    "lambda",
    "iam",
    "sts",
    "sns",
    "ssm",
    "stepfunctions",
    "files",
)


def lines(result: Mapping[str, Any]) -> Iterator[str]:
    """Return the lines of all tables, with a blank line before each."""
    yield from _calls(result["calls"])
    yield from _cold(result["cold_start_ms"], result["ratios"])
    yield from _columns("warm, milliseconds", ("all", "own work"), _pairs(result["warm_ms"], "ms", "own"))
    yield from _at_share(result)
    yield from _columns(
        "commands, milliseconds", ("acknowledged", "answered"), _pairs(result["command_ms"], "acknowledged", "answered")
    )
    yield from _figures(result)
    yield from _cost(result["monthly_cost_usd"], result["monthly_cost_items_usd"])


def _calls(calls: Mapping[str, Any]) -> Iterator[str]:
    rows = {f"idle poll, {cases} open cases": counts for cases, counts in calls["idle_poll"].items()}
    commented = calls["idle_poll_with_comments"]
    rows |= {f"idle poll, a case with {size} comments": counts for size, counts in commented.items()}
    rows |= {name.replace("_", " "): counts for name, counts in calls.items() if not name.startswith("idle_poll")}
    services = [service for service in _SERVICES if any(service in counts for counts in rows.values())]
    services += sorted({service for counts in rows.values() for service in counts} - {*services})
    values = {name: [str(counts.get(service, 0) or "-") for service in services] for name, counts in rows.items()}
    yield from _columns("calls", services, values)


def _cold(starts: Mapping[str, Mapping[str, float]], ratios: Mapping[str, float]) -> Iterator[str]:
    columns = ("import", "first_event", "total", "own")
    values = {name: [f"{start[column]:.0f}" for column in columns] for name, start in starts.items()}
    yield from _columns("cold start, milliseconds", ("import", "first event", "total", "own work"), values)
    for name, ratio in ratios.items():
        yield f"{name.replace('_', ' ')}: {ratio} of slack_bolt's own work"


def _at_share(result: Mapping[str, Any]) -> Iterator[str]:
    columns = ("first_event_ms", "warm_ms", "after_idle_ms")
    rows = {name: [f"{times[one]:.0f}" for one in columns] for name, times in result["at_lambda_share"].items()}
    yield from _columns(
        f"at Lambda's share of a processor ({result['limited_by']}), milliseconds",
        ("first event", "warm", "after idle"),
        rows,
    )
    contained = result["containment"]
    figures = {
        "deny policy attached": contained["deny_ms"],
        "key disabled": contained["key_ms"],
        "the same by hand: deny policy": contained["handwritten"]["deny_ms"],
        "the same by hand: key": contained["handwritten"]["key_ms"],
    }
    moments = ("cold", "warm", "after_idle")
    rows = {name: [f"{times[moment]:.0f}" for moment in moments] for name, times in figures.items()}
    yield from _columns("containment from the task's start, milliseconds", ("cold", "warm", "after idle"), rows)


def _figures(result: Mapping[str, Any]) -> Iterator[str]:
    memory, contained = result["peak_memory_mib"], result["containment"]
    rows = {
        "100 MB file to the case, above idle": [f"{memory['to_case_above_idle']} MiB", f"{bounds.FILE_MIB} MiB"],
        "100 MB file to Slack, above idle": [f"{memory['to_slack_above_idle']} MiB", f"{bounds.FILE_MIB} MiB"],
        "zip": [f"{result['zip_mib']} MiB", f"{bounds.ZIP_MIB} MiB"],
        "a failing file, transfers a day": [
            str(max(result["failing_file_transfers_per_day"].values())),
            str(bounds.FAILING_FILE_TRANSFERS),
        ],
        "detection to disabled key, steps": [
            f"{contained['states']} states + {contained['calls']} calls",
            "",
        ],
        "detection to disabled key, local cloud": [f"{contained['seconds']} s", ""],
        "the same, functions cold": [f"{contained['seconds_cold']} s", ""],
    }
    rows |= {
        f"events, {name.replace('_', ' ').replace('usd', 'US dollars')}": [f"{result['intake'][name]:.1f}", f"{most}"]
        for name, most in bounds.INTAKE.items()
    }
    rows |= {
        f"audit, 200 records a second, {name.replace('_', ' ')}": [str(result["audit"][name]), f"{most}"]
        for name, most in bounds.AUDIT.items()
    }
    yield from _columns("memory, size, files, containment", ("found", "bound"), rows)


def _cost(totals: Mapping[str, float], items: Mapping[str, Mapping[str, float]]) -> Iterator[str]:
    names = [name for name in next(iter(items.values())) if name != "total"]
    rows = {name: [f"{items[cases][name]:.2f}" for cases in items] for name in names}
    rows["total"] = [f"{totals[cases]:.2f}" for cases in items]
    yield from _columns("US dollars a month, open cases:", list(items), rows)


def _pairs(rows: Mapping[str, Mapping[str, float]], first: str, second: str) -> dict[str, list[str]]:
    return {name: [f"{row[first]:.1f}", f"{row[second]:.1f}"] for name, row in rows.items()}


def _columns(title: str, columns: Sequence[str], rows: Mapping[str, Iterable[str]]) -> Iterator[str]:
    table = [[title, *columns], *([name, *values] for name, values in rows.items())]
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
    yield ""
    for row in table:
        cells = [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        yield "  ".join(cells).rstrip()
