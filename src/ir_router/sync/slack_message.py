"""One Slack message and the comments that it is on the case: created, edited, marked as deleted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from ir_router.cases import comments
from ir_router.cases.files import safe_name
from ir_router.errors import LeaseLostError, RefusedError, RetryLaterError
from ir_router.ledger import claims, keys, table
from ir_router.ledger.table import Row
from ir_router.security_ir import gateway as security_ir
from ir_router.slack.gateway import Names, Slack
from ir_router.slack.text import shorten, split, to_plain
from ir_router.sync import comment_claims

_ORIGIN = "slack"
_EXCERPT_LENGTH = 80
_REMOVED_PART = "(This part was removed by an edit in Slack.)"


class SlackMessage:
    """`said` is Slack's message object, trimmed: `user`, `text`, `ts`, `thread_ts`, `files`, `edited`."""

    def __init__(
        self, case_id: str, channel_id: str, team_id: str, said: Mapping[str, Any], slack: Slack, names: Names
    ) -> None:
        """Nothing is read or written yet."""
        self._case_id = case_id
        self._channel_id = channel_id
        self._team_id = team_id
        self._said = said
        self._slack = slack
        self._names = names
        self._ts = str(said.get("ts") or "")

    def create(self) -> list[str]:
        """Make its comments; the ids of those that were made now."""
        first = self._row(0)
        if first and all((self._row(part) or {}).get("state") == "done" for part in range(int(first["parts"]))):
            return []
        bodies = self._bodies()
        return [written for part, body in enumerate(bodies) if (written := self._comment(part, body, len(bodies)))]

    def edit(self, unchanged_from: Mapping[str, Any] | None) -> list[str]:
        """Bring its comments to what it says now; the ids of those that were changed or made."""
        if unchanged_from is not None and _content(unchanged_from) == _content(self._said):
            return []  # Slack unfurled a link, or counted a reply
        first = self._row(0)
        if first is None:
            return self.create()
        edited_ts = str((self._said.get("edited") or {}).get("ts") or "")
        if edited_ts and edited_ts <= str(first.get("edited_ts") or ""):
            return []  # a later edit was carried over already
        bodies = self._bodies(", edited")
        before = int(first["parts"])
        written = []
        for part, body in enumerate(bodies):
            made = self._update(part, body) if part < before else self._comment(part, body, len(bodies))
            written += [made] if made else []
        for part in range(len(bodies), before):
            body = self._framed([_REMOVED_PART], ", edited", part)[0]
            written += [made] if (made := self._update(part, body)) else []
        table.update(
            keys.slack_message(self._case_id, f"{self._ts}#0"),
            "SET edited_ts = :edited_ts, parts = :parts",
            edited_ts=edited_ts,
            parts=max(before, len(bodies)),
        )
        return written

    def delete(self, ts: str) -> list[str]:
        """Note on its comments that it was deleted in Slack: a comment cannot be deleted."""
        self._ts = ts
        first = self._row(0)
        if first is None:
            return []
        texts = {comment.comment_id: comment.body for comment in security_ir.comments(self._case_id)}
        written = []
        for part in range(int(first["parts"])):
            comment_id = self._settled(part)
            body = comments.marked_deleted(texts.get(comment_id) or self._frozen(part))
            written += [made] if (made := self._update(part, body)) else []
        return written

    def _bodies(self, remarks: str = "") -> list[str]:
        text = to_plain(str(self._said.get("text") or ""), self._names.real_name, self._names.channel)
        attached = [_attached(file) for file in self._said.get("files") or [] if file.get("id")]
        whole = "\n".join(filter(None, [text.strip("\n"), *attached])) or "(a message without text)"
        return self._framed(split(whole, comments.part_length()), remarks + self._thread())

    def _framed(self, parts: Sequence[str], remarks: str, part: int | None = None) -> list[str]:
        user_id = str(self._said.get("user") or "")
        author = self._names.real_name(user_id) if user_id else str(self._said.get("username") or "A bot")
        sent_at = datetime.fromtimestamp(float(self._ts), UTC)
        return comments.from_slack(parts, author, sent_at, self._channel_id, self._ts, remarks, only_part=part)

    def _thread(self) -> str:
        """Replies keep their context: who and what they answer."""
        thread_ts = str(self._said.get("thread_ts") or "")
        if not thread_ts or thread_ts == self._ts:
            return ""
        try:
            answer = self._slack.read("conversations.replies", channel=self._channel_id, ts=thread_ts, limit=1)
        except RetryLaterError:
            raise
        except RefusedError:
            return ", in a thread"
        parent: dict[str, Any] = next(iter(answer.get("messages", [])), {})
        text = to_plain(str(parent.get("text") or ""), self._names.real_name, self._names.channel)
        user_id = str(parent.get("user") or "")
        name = self._names.real_name(user_id) if user_id else "the app"
        return f', in reply to {name}: "{shorten(" ".join(text.split()), _EXCERPT_LENGTH)}"'

    def _row(self, part: int) -> Row | None:
        return table.get(keys.slack_message(self._case_id, f"{self._ts}#{part}"))

    def _comment(self, part: int, body: str, parts: int) -> str | None:
        """Make one part's comment once; None when it was made before."""
        taken = comment_claims.take(
            keys.slack_message(self._case_id, f"{self._ts}#{part}"),
            body,
            comment_claims.token_for(self._team_id, self._channel_id, self._ts, str(part)),
            kind="message",
            channel_id=self._channel_id,
            parts=parts,
        )
        if isinstance(taken, claims.Claim):
            return comment_claims.settle(self._case_id, taken, _ORIGIN)
        if isinstance(taken, claims.Held):
            raise LeaseLostError("another run is making this comment")
        return None

    def _settled(self, part: int) -> str:
        """The id of a part's comment, made now if an earlier run did not get so far."""
        row = self._row(part)
        if row is None:
            return ""
        if row["state"] != "done":
            self._comment(part, str(row["body"]), int(row["parts"]))
            row = self._row(part) or {}
        return str(row.get("comment_id") or "")

    def _frozen(self, part: int) -> str:
        return str((self._row(part) or {}).get("body") or "")

    def _update(self, part: int, body: str) -> str | None:
        """Set the text of a part's comment; None when it is that already.

        The new text's hash is written down before, so that the sync of the case never takes it for a foreign edit.
        """
        comment_id = self._settled(part)
        if not comment_id:
            return None
        key = keys.comment(self._case_id, comment_id)
        wanted = comments.body_hash(body)
        if (table.get(key) or {}).get("hash") == wanted:
            return None
        table.update(key, "SET pending_hash = :hash", hash=wanted)
        security_ir.update_comment(self._case_id, comment_id, body)
        table.update(key, "SET #hash = :hash REMOVE pending_hash", hash=wanted)
        return comment_id


def _content(said: Mapping[str, Any]) -> tuple[Any, ...]:
    return said.get("text"), tuple(str(file.get("id")) for file in said.get("files") or [])


def _attached(file: Mapping[str, Any]) -> str:
    """The original name, which the attachment's own name cannot always keep."""
    name = str(file.get("name") or file["id"])
    return f"📎 {name} (attachment {safe_name(name, str(file['id']))})"
