"""The channels that show an approval request, and the ledger's record of the messages there.

A button counts only in a message that the ledger knows. Every holder of the bot token can post a message with the same
buttons and another text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ir_router.ledger import keys, security_channel, table
from ir_router.ledger.keys import Key
from ir_router.ledger.table import Row

_VERSIONS_KEPT = 10


@dataclass(frozen=True)
class Place:
    """A channel that shows an approval, and the ledger key of the message there.

    `is_of_case` is True for the channel of the approval's case.
    """

    channel_id: str
    key: Key
    is_of_case: bool = False

    def reminder(self, number: int) -> Key:
        """Return the key of a reminder's message."""
        return Key(self.key.pk, f"{self.key.sk}#REMINDER{number}")

    def overdue(self, assigned_at: float) -> Key:
        """Return the key of the message that the assignee of the request, since this time, has not decided."""
        return Key(self.key.pk, f"{self.key.sk}#OVERDUE{assigned_at:.0f}")

    def urgent(self, name: str) -> Key:
        """Return the key of an urgent message."""
        return Key(self.key.pk, f"{self.key.sk}#URGENT{name}")

    def outcome(self) -> Key:
        """Return the key of the message about the end of the request."""
        return Key(self.key.pk, f"{self.key.sk}#OUTCOME")

    def instead_of(self, ts: str) -> Key:
        """Return the key of the message that replaces one that can no longer be edited."""
        return _instead_of(self.key, ts)


Places = Callable[[Row], Iterator[Place]]


def of(row: Row) -> Iterator[Place]:
    """Yield the places of an approval: the channel of its case, if it exists, and the security channel."""
    yield from in_case_channel(row)
    if channel_id := security_channel.known_id():
        yield Place(channel_id, _in_security_channel(row))


def in_case_channel(row: Row) -> Iterator[Place]:
    """Yield the place in the channel of the approval's case, if the channel exists."""
    case_id = row.get("case_id")
    if case_id:
        channel_id = str((table.get(keys.case(str(case_id))) or {}).get("slackChannelId") or "")
        if channel_id:
            yield Place(channel_id, _of_case(row), is_of_case=True)


def posted(row: Row) -> list[tuple[str, str]]:
    """Return the channel and the `ts` of each message that shows an approval."""
    found = [table.get(key) or {} for key in _keys(row)]
    return [(str(one["channel_id"]), str(one["ts"])) for one in found if one.get("ts")]


def of_case(case_id: str) -> list[str]:
    """Return the ids of the approvals that the channel of a case shows, or showed."""
    prefix = keys.note(case_id, "approval-").sk
    found = (str(row["SK"]).removeprefix(prefix) for row in table.query(keys.case(case_id).pk, prefix))
    return [name for name in found if "#" not in name]


def is_posted(row: Row, channel_id: str, ts: str) -> bool:
    """Return whether ir-router posted this message as a request for this approval, now or before a repost."""
    return bool(ts) and any(_is_at(key, row, channel_id, ts) for key in _keys(row))


def is_version(row: Row, ts: str, version: str) -> bool:
    """Return whether ir-router itself gave the posted message this content (`posting.version`)."""
    rows = [table.get(key) or {} for key in _keys(row)]
    return any(posted.get("ts") == ts and version in (posted.get("versions") or []) for posted in rows)


def is_being_posted(row: Row) -> bool:
    """Return whether a message of the approval may be in Slack before the ledger knows its `ts`."""
    return any((table.get(key) or {}).get("state") == "claimed" for key in _keys(row))


def versions_with(known: Row, version: str) -> list[str]:
    """Return the latest versions of a posted message (`posting.version`), the newest last."""
    return [*(known.get("versions") or []), version][-_VERSIONS_KEPT:]


def _keys(row: Row) -> list[Key]:
    return [*([_of_case(row)] if row.get("case_id") else []), _in_security_channel(row)]


def _is_at(key: Key, row: Row, channel_id: str, ts: str) -> bool:
    posted = table.get(key) or {}
    if posted.get("ts") != ts:
        return table.get(_instead_of(key, ts)) is not None
    if posted.get("channel_id") == channel_id:
        return True
    # Slack gives a channel a new id when it is shared. The ledger knows the new id before the rows of the case do.
    return key == _of_case(row) and (table.get(keys.channel(channel_id)) or {}).get("case_id") == row["case_id"]


def _of_case(row: Row) -> Key:
    return keys.note(str(row.get("case_id")), f"approval-{row['approval_id']}")


def _in_security_channel(row: Row) -> Key:
    return keys.deduplication(f"APPROVAL-MESSAGE#{row['approval_id']}")


def _instead_of(key: Key, ts: str) -> Key:
    return Key(key.pk, f"{key.sk}#INSTEAD{ts}")
