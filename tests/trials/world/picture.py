"""The final state of both sides, without values that differ between two equal runs (times, ids, error ids)."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from ir_router.cases import status
from tests.trials.world.world import World

_VOLATILE = (
    (re.compile(r"<!date\^[^>]*>"), "<date>"),
    (re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC"), "<time>"),
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z"), "<time>"),
    (re.compile(r"\b\d+ (?:s|min) after the event"), "<seconds> after the event"),
    (re.compile(r"\b[a-z]+-error-\d{8}-\d{6}-[0-9a-f]{4}"), "<error id>"),
    (re.compile(r"\(Slack [A-Z0-9]+/\d+\.\d+"), "(Slack <message>"),
    (re.compile(r"-F[A-Z0-9]{6,}\b"), "-<file>"),
    (re.compile(r"\b\d{13}\.\d+\.[0-9a-f]{32}"), "<trigger>"),
    (re.compile(r"\b\d{10}\.\d{4,7}\b"), "<ts>"),
    (re.compile(r"/p\d{16}\b"), "/p<ts>"),
    (re.compile(r"-V[A-Z0-9]{8,}\b"), "-<form>"),
    (re.compile(r"(?m)^Duration: .+$"), "Duration: <time>"),
    (re.compile(r"--record [0-9a-f]{64}"), "--record <hash>"),
    (re.compile(r"\bto (containment|request|decision|closing) (?:\d+ (?:s|min|h|days?)\b ?)+"), r"to \1 <time>"),
    (re.compile(r"\b\d+ events?, (\d+ files?), \d+ audit records?"), r"<events>, \1"),
    (re.compile(r"\binv-[a-z0-9]{17}\b"), "inv-<finding>"),
    (re.compile(r"/files/[A-Z0-9]+/F[A-Z0-9]+/"), "/files/<file>/"),
    (re.compile(r"(?m)^• (\d{4}-\d\d-\d\d )?\d\d:\d\d - "), "• <time> - "),
)


_STATUS_CHANGE = re.compile(r"\*Status\*: (.+?) → (.+?), by")
_EDITED = re.compile(r"Status changed from (.+) to (.+)\.")
_REMINDER = "Still waiting for a decision: "
_DUE = re.compile(rf"messages: 1 too many: .*{_REMINDER}.*The request was made 10 min ago", re.DOTALL)
# ir-router names the reads that failed in the list of possible leftovers. The list has fewer things then.
_UNREAD = re.compile(r"NOT read: .*?Check this by hand")
_LINE_END = r"(?:(?!\\n|\n).)*"
_LEFTOVERS = re.compile(
    rf"(?:\\n|\n)May be left behind[ :]{_LINE_END}"
    rf"|(?<=check possible leftovers since ){_LINE_END}(?:(?:\\n|\n)- {_LINE_END})*"
)

_NOT_AN_END = (
    "Send the command again",
    "Press the button again",
    "try again",
    "Temporary connectivity issue",
    "Press Deny again",
)


@dataclass(frozen=True)
class Picture:
    """A comparable state. `said` and `written` keep the order of synchronised items; the counters hold everything.

    `answers` holds each answer to a single user once, because answers are sent at least once. A scenario adds
    `workflow`. `statuses` has each status that a case had, as Slack shows it; it is not compared.
    """

    channels: tuple[tuple[Any, ...], ...]
    messages: Counter[str]
    said: tuple[str, ...]
    cases: tuple[tuple[Any, ...], ...]
    comments: Counter[str]
    written: tuple[str, ...]
    attachments: Counter[str]
    dead: Counter[str] = field(default_factory=Counter)
    answers: frozenset[str] = frozenset()
    workflow: Counter[str] = field(default_factory=Counter)
    statuses: frozenset[str] = field(default=frozenset(), compare=False)

    def with_names(self, names: Mapping[str, str]) -> Picture:
        """Return a copy in which names that differ between runs are replaced."""

        def renamed(text: str) -> str:
            for name, instead in names.items():
                text = text.replace(name, instead)
            return text

        return self._rewritten(renamed)

    def _rewritten(self, rewrite: Callable[[str], str]) -> Picture:
        def rewritten(value: Any) -> Any:
            if isinstance(value, str):
                return rewrite(value)
            if isinstance(value, Counter):
                counts: Counter[str] = Counter()
                for text, count in value.items():
                    counts[rewrite(text)] += count
                return counts
            if isinstance(value, tuple | frozenset):
                return type(value)(rewritten(part) for part in value)
            return value

        return Picture(**{item.name: rewritten(getattr(self, item.name)) for item in fields(self)})

    def differences(self, other: Picture) -> list[str]:
        """Return a line for each difference from `other`, the expected state.

        If a list of possible leftovers names reads that failed, the things in the lists do not count.
        """
        found, expected = self, other
        if _UNREAD.search(repr(self)):
            found, expected = self._rewritten(_without_leftovers), other._rewritten(_without_leftovers)
        lines = []
        for item in (item for item in fields(self) if item.compare):
            mine, theirs = getattr(found, item.name), getattr(expected, item.name)
            if isinstance(mine, Counter):
                lines += [f"{item.name}: {count} too many: {what}" for what, count in (mine - theirs).items()]
                lines += [f"{item.name}: {count} missing: {what}" for what, count in (theirs - mine).items()]
            elif isinstance(mine, frozenset):
                lines += [f"{item.name}: 1 too many: {what}" for what in sorted(mine - theirs)]
                lines += [f"{item.name}: 1 missing: {what}" for what in sorted(theirs - mine)]
            elif mine != theirs:
                lines.append(f"{item.name}: {mine} instead of {theirs}")
        return lines

    def effects(self, other: Picture) -> list[str]:
        """Return the differences that count.

        A status that was reached in two steps equals one change. The first reminder of a request does not count if
        `other` ended before it was due.
        """
        found = self.differences(replace(other, messages=_in_steps(other.messages, self.messages, self.statuses)))
        if any(_REMINDER in message for message in other.messages):
            return found
        return [line for line in found if not _DUE.match(line)]


def take(world: World) -> Picture:
    """Read the state of Slack and the cases, and the items that were given up."""
    channels, messages, said = [], [], []
    cases = world.security_ir.snapshot()["cases"]
    for channel in sorted(world.workspace.store.channels.values(), key=lambda one: number_cases(one.name, cases)):
        if channel.kind not in ("public", "private"):
            continue
        channels.append(
            (
                number_cases(channel.name, cases),
                channel.is_private,
                channel.is_archived,
                channel.topic["value"],
                tuple(f"{one['title']}: {number_cases(steady(one['link']), cases)}" for one in channel.bookmarks),
                tuple(sorted(world.workspace.store.users[user].name for user in channel.members)),
            )
        )
        for message in world.workspace.channel_messages(channel.id):
            shown = number_cases(_message(world, message), cases)
            messages.append(shown)
            if "commented" in shown:
                said.append(shown)
    comments, written, attachments, fields_of_cases = [], [], [], []
    for case_id, case in cases.items():
        description = number_cases(steady(case["description"]), cases)
        fields_of_cases.append((case["title"], case["status"], description, _emails(case["watchers"])))
        for comment in case["comments"].values():
            text = number_cases(f"{comment['creator']}: {steady(comment['body'])}", cases)
            comments.append(text)
            if "[Slack Update]" in text:
                written.append(text)
        for attachment in case["attachments"].values():
            name = steady(attachment["file_name"])
            attachments.append(f"{number_cases(case_id, cases)}: {name} {content(name, attachment['sha256'])}")
    return Picture(
        channels=tuple(channels),
        messages=Counter(messages),
        said=tuple(said),
        cases=tuple(fields_of_cases),
        comments=Counter(comments),
        written=tuple(written),
        attachments=Counter(attachments),
        dead=Counter(f"{name}" for name, _ in world.dead),
        answers=frozenset(number_cases(text, cases) for text in _answers(world)),
        statuses=frozenset(status.shown(one) for case in cases.values() for one in _statuses(case)),
    )


def _statuses(case: Mapping[str, Any]) -> Iterator[str]:
    """Yield the statuses of a case from its edit log and its state."""
    yield case["status"]
    for edit in case["edits"]:
        if changed := _EDITED.fullmatch(edit["message"]):
            yield from changed.groups()


def steady(text: str) -> str:
    """Remove the parts of a text that differ from run to run."""
    for pattern, instead in _VOLATILE:
        text = pattern.sub(instead, text)
    return text


def _in_steps(expected: Counter[str], found: Counter[str], statuses: frozenset[str]) -> Counter[str]:
    """Return the expected messages, with each change of the status in the two steps in which it was found.

    The step between is one of `statuses`, which a case really had.
    """
    for change in expected - found:
        if (ends := _STATUS_CHANGE.search(change)) is None:
            continue
        before, after = ends.groups()
        for between in statuses & {step[2] for text in found - expected if (step := _STATUS_CHANGE.search(text))}:
            steps = Counter([change.replace(after, between), change.replace(before, between)])
            topics = [text for text in found - expected if f"channel topic: Status: {between} |" in text]
            if steps <= found - expected:
                expected = expected - Counter([change]) + steps + Counter(topics[:1])
                break
    return expected


def _without_leftovers(text: str) -> str:
    return _LEFTOVERS.sub("", text)


def number_cases(text: str, cases: Iterable[str]) -> str:
    """Replace case ids in a text by numbers in order of creation."""
    for number, case_id in enumerate(cases, start=1):
        text = text.replace(case_id, f"<case {number}>")
    return text


def _emails(watchers: Any) -> tuple[str, ...]:
    return tuple(sorted(watcher["email"] for watcher in watchers))


def _answers(world: World) -> list[str]:
    """Return the final answers of commands, without acknowledgements, progress notes and requests to retry."""
    shown = [
        answer
        for answer in world.workspace.ephemerals()
        if answer["via"] != "command" and not any(words in answer["text"] for words in _NOT_AN_END)
    ]
    return [f"{answer['user']}: {steady(answer['text'])}" for answer in shown]


def _message(world: World, message: dict[str, Any]) -> str:
    author = world.workspace.store.users[message["user"]].name if message.get("user") else "?"
    subtype = message.get("subtype", "")
    blocks = "" if not message.get("bot_id") else steady(str(message.get("blocks", "")))
    files = [_file(world, file["id"]) for file in message.get("files", [])]
    thread = " in a thread" if message.get("thread_ts") not in (None, message["ts"]) else ""
    return f"{author}{thread} {subtype}: {steady(message.get('text', ''))} {_without_ids(blocks)} {files or ''}".strip()


def _without_ids(blocks: str) -> str:
    return re.sub(r"'block_id': '[^']*'(, )?", "", blocks)


def _file(world: World, file_id: str) -> str:
    file = world.workspace.store.files[file_id]
    data = Path(file.path).read_bytes() if Path(file.path).exists() else b""
    return f"{steady(file.name)} {content(file.name, hashlib.sha256(data).hexdigest())}"


def content(name: str, digest: str) -> str:
    """Return the start of a file's digest. Lists of calls and reports contain times, which differ from run to run."""
    return "<content>" if name.startswith(("activity-", "report-")) else digest[:12]
