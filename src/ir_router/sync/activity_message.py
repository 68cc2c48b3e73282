"""The Slack message about the calls of contained credentials, with the lasting effects first. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from ir_router.cases import activity as numbers
from ir_router.cases.activity import Activity
from ir_router.slack.messages import Message, context, section, sections
from ir_router.slack.text import escape, quoted, slack_date

_MOST_LASTING = 15
_MOST_READ = 10
_MOST_ROWS = 10
_MOST_ADDRESSES = 5
_LINE_LENGTH = 400


def message(activity: Activity, files: str) -> Message:
    """Return the message. `files` names the attachments of the case with every call."""
    head = _head(activity)
    lines = [f"*{head}*", *_after(activity), *_lasting(activity), *_read(activity)]
    lines += [quoted(f"Not complete: {one}.", _LINE_LENGTH) for one in activity.scope.limited]
    blocks = [*sections(lines), *_table(activity), context(_small_print(activity, files))]
    text = " ".join([f"{head}.", *_after(activity)]).replace("*", "")
    return Message(text=text, blocks=blocks)


def _head(activity: Activity) -> str:
    calls = activity.calls
    if not calls:
        return "🔎 CloudTrail shows no calls of the contained credentials"
    so_far = "" if activity.scope.complete else " so far (the reading continues)"
    when = f"{_at(calls[0].at)} to {_at(calls[-1].at)}"
    return f"🔎 The contained credentials made {numbers.calls_of(len(calls))}{so_far}, {when}"


def _after(activity: Activity) -> list[str]:
    if not activity.calls:
        return []
    succeeded, denied, failed = (activity.after(name) for name in ("succeeded", "denied", "failed"))
    refused = len(denied) + len(failed)
    rest = f"{numbers.calls_of(refused)} denied or failed" if refused else ""
    if succeeded:
        last = succeeded[-1]
        what = escape(f"{last.service} {last.name}")
        done = f"⚠️ {numbers.calls_of(len(succeeded))} SUCCEEDED, the last one {what} at {_at(last.at)}"
        return [f"*After the containment*  {done}{f'; {rest}' if rest else ''}"]
    return [f"*After the containment*  no call succeeded{f'; {rest}' if rest else ''}"]


def _lasting(activity: Activity) -> list[str]:
    found = activity.lasting
    if not found:
        return []
    shown = [
        f"• {quoted(one.name, _LINE_LENGTH)}\n    _To undo:_ {quoted(one.undo, _LINE_LENGTH)}"
        for one in found[:_MOST_LASTING]
    ]
    title = f"*The containment does not undo* ({len(found)})"
    return [title, *shown, *_more(len(found), _MOST_LASTING)]


def _read(activity: Activity) -> list[str]:
    found = activity.read
    if not found:
        return []
    shown = [f"• {quoted(one, _LINE_LENGTH)}" for one in found[:_MOST_READ]]
    return [f"*Read* ({len(found)}): replace these secrets", *shown, *_more(len(found), _MOST_READ)]


def _more(number: int, shown: int) -> list[str]:
    return [f"• and {number - shown} more in the case's comment"] if number > shown else []


def _table(activity: Activity) -> list[dict[str, object]]:
    if not activity.calls:
        return []
    rows = activity.table()
    lines = [
        f"• {quoted(f'{service}, {region}', _LINE_LENGTH)}: {numbers.counted(counts)}"
        for service, region, counts in rows[:_MOST_ROWS]
    ]
    if len(rows) > _MOST_ROWS:
        lines.append(f"• and {len(rows) - _MOST_ROWS} more services")
    addresses = activity.addresses()
    named = ", ".join(
        f"{quoted(name, _LINE_LENGTH)} ({count})" for name, count in addresses.most_common(_MOST_ADDRESSES)
    )
    others = f" and {len(addresses) - _MOST_ADDRESSES} more" if len(addresses) > _MOST_ADDRESSES else ""
    origin = [f"*From*  {named}{others}"] if addresses else []
    return [section("\n".join(["*Calls*", *lines, *origin]))]


def _small_print(activity: Activity, files: str) -> str:
    scope = activity.scope
    places: Sequence[str] = (
        [f"Every call: attachments {files} of the case"] if activity.calls and scope.complete else []
    )
    read = (
        f"Read {_at(scope.read_at)} from CloudTrail in {scope.places}, since {_at(scope.since)}. "
        "Calls appear there some minutes late"
    )
    return " · ".join([*places, read, "`/security-ir activity` reads the newest calls"])


def _at(seconds: float) -> str:
    return slack_date(seconds, f"{numbers.utc(seconds)} UTC")
