"""The numbers about the calls of contained credentials, the comment on the case and the CSV with every call. Pure."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from ir_router.cases import lasting_changes
from ir_router.cases.after_containment import ALWAYS_ALLOWED, APPLIED_SECONDS
from ir_router.cases.lasting_changes import Lasting
from ir_router.cases.trail_calls import Result, TrailCall

# A comment has at most 12,000 characters. The CSV has every line.
_MOST_LINES = 15
_LINE_LENGTH = 300
# A spreadsheet executes a cell that begins with one of these. A caller chooses its user agent.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_COLUMNS = (
    "time (UTC)", "service", "action", "region", "result", "error", "source address", "user agent",
    "access key", "caller", "contained principal", "after containment", "event id",
)  # fmt: skip


@dataclass(frozen=True)
class Scope:
    """The extent of a reading.

    Attributes:
        contained_at: Time of the containment of each principal by ARN, in seconds since the epoch.
        since: Time of the oldest calls.
        read_at: Time of the reading.
        regions: The Regions whose history was read.
        lake: Whether CloudTrail Lake was read too.
        keys: The access keys, users, roles and sessions that were looked up, for readers.
        complete: Whether all pages were read.
        limited: The lookups of which only the newest calls were read, and sessions that were not read.
    """

    contained_at: Mapping[str, float]
    since: float
    read_at: float
    regions: Sequence[str]
    keys: Sequence[str]
    complete: bool = True
    limited: Sequence[str] = ()
    lake: bool = False

    @property
    def places(self) -> str:
        """Return the sources, for readers."""
        regions = ", ".join(self.regions)
        return f"{regions}, and from CloudTrail Lake in all Regions" if self.lake else regions


@dataclass(frozen=True)
class Activity:
    """The calls, oldest first, and the extent of the reading."""

    calls: Sequence[TrailCall]
    scope: Scope

    def is_after(self, call: TrailCall) -> bool:
        """Return whether a call was made after the containment of its principal. CloudTrail's times are in seconds."""
        return call.at > self.scope.contained_at.get(call.of, self.scope.read_at)

    def after(self, result: Result) -> list[TrailCall]:
        """Return the calls after the containment with this result."""
        return [call for call in self.calls if call.result == result and self.is_after(call)]

    @property
    def escaped(self) -> list[TrailCall]:
        """Return the calls that succeeded although the containment was in effect."""
        return [
            call
            for call in self.after("succeeded")
            if call.at > self.scope.contained_at[call.of] + APPLIED_SECONDS and call.name not in ALWAYS_ALLOWED
        ]

    @property
    def lasting(self) -> list[Lasting]:
        """Return the effects that the containment does not undo."""
        return lasting_changes.remaining(self.calls)

    @property
    def read(self) -> list[str]:
        """Return the secrets and parameters that the calls returned, in order."""
        return list(dict.fromkeys(name for call in self.calls for name in call.read))

    def table(self) -> list[tuple[str, str, Counter[Result]]]:
        """Return service, Region and the number of calls by result, the most calls first."""
        found: dict[tuple[str, str], Counter[Result]] = {}
        for call in self.calls:
            found.setdefault((call.service, call.region), Counter())[call.result] += 1
        ordered = sorted(found.items(), key=lambda entry: (-entry[1].total(), entry[0]))
        return [(service, region, counts) for (service, region), counts in ordered]

    def addresses(self) -> Counter[str]:
        """Return the number of calls by source address."""
        return Counter(call.address for call in self.calls if call.address)

    def agents(self) -> Counter[str]:
        """Return the number of calls by user agent."""
        return Counter(call.agent for call in self.calls if call.agent)


def merged(calls: Sequence[TrailCall]) -> list[TrailCall]:
    """Return the calls oldest first, each once: several lookups return the same event."""
    unique = {call.event_id: call for call in calls}
    return sorted(unique.values(), key=lambda call: (call.at, call.event_id))


def utc(seconds: float) -> str:
    """Return a time in UTC, as `2026-01-15 18:05:00`."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S}"


def counted(counts: Mapping[Result, int]) -> str:
    """Return the numbers of calls by result, without zeros."""
    return ", ".join(f"{counts[name]} {name}" for name in ("succeeded", "denied", "failed") if counts.get(name))


def calls_of(number: int) -> str:
    """Return a number of calls in words."""
    return f"{number} call" if number == 1 else f"{number:,} calls"


def comment(activity: Activity, files: str) -> str:
    """Return the comment on the case. `files` names the attachments with every call."""
    calls, scope = activity.calls, activity.scope
    lines = [f"Activity of the contained credentials: {calls_of(len(calls))}.", *_completeness(scope)]
    if calls:
        lines.append(f"First seen {utc(calls[0].at)} UTC, last seen {utc(calls[-1].at)} UTC.")
        lines += ["", "After the containment:", *_after(activity)]
        lines += _listed("Effects that the containment does not undo", [undo(one) for one in activity.lasting])
        lines += _listed("Secrets and parameters that were read", activity.read)
        lines += _listed(
            "Calls by service, Region and result",
            [f"{service}, {region}: {counted(counts)}" for service, region, counts in activity.table()],
        )
        lines += _listed("Source addresses", _numbers(activity.addresses()))
        lines += _listed("User agents", _numbers(activity.agents()))
        if scope.complete:
            lines += ["", f"The attachments {files} have every call."]
    lines += ["", _extent(scope)]
    return "\n".join(lines)


def _completeness(scope: Scope) -> list[str]:
    lines = [] if scope.complete else ["The reading continues. These are the newest calls."]
    return lines + [f"Not complete: {one}." for one in scope.limited]


def _after(activity: Activity) -> list[str]:
    lines = []
    for result in ("succeeded", "denied", "failed"):
        found = activity.after(result)
        if found:
            lines.append(f"- {calls_of(len(found))} {result}, the last one {found[-1].name} at {utc(found[-1].at)} UTC")
    return lines or ["- no calls"]


def undo(one: Lasting) -> str:
    """Return an effect with the command that undoes it."""
    return f"{one.name}. To undo: {one.undo}"


def _numbers(counts: Counter[str]) -> list[str]:
    return [f"{name}: {number}" for name, number in counts.most_common()]


def _listed(title: str, lines: Sequence[str]) -> list[str]:
    if not lines:
        return []
    shown = [f"- {' '.join(line.split())[:_LINE_LENGTH]}" for line in lines[:_MOST_LINES]]
    more = [f"- and {len(lines) - _MOST_LINES} more"] if len(lines) > _MOST_LINES else []
    return ["", f"{title}:", *shown, *more]


def _extent(scope: Scope) -> str:
    data_events = (
        "CloudTrail Lake has the data events that its event data store collects, such as reads of S3 objects."
        if scope.lake
        else "It has no data events, such as reads of S3 objects."
    )
    return (
        f"Read from CloudTrail's event history at {utc(scope.read_at)} UTC, for {', '.join(scope.keys)}, "
        f"since {utc(scope.since)} UTC, in {scope.places}. The history shows management events "
        f"some minutes after the call. {data_events}"
    )


def csv_text(activity: Activity) -> str:
    """Return every call as CSV, oldest first."""
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\r\n")
    writer.writerow(_COLUMNS)
    for call in activity.calls:
        writer.writerow(
            _cell(value)
            for value in (
                utc(call.at), call.service, call.name, call.region, call.result, call.error, call.address, call.agent,
                call.key, call.caller, call.of, "yes" if activity.is_after(call) else "no", call.event_id,
            )
        )  # fmt: skip
    return written.getvalue()


def _cell(value: str) -> str:
    """Return a value that no spreadsheet executes."""
    return f"'{value}" if value.startswith(_FORMULA) else value
