"""One Slack message and the comments that it is on the case: created, edited, marked as deleted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from ir_router import clock
from ir_router.cases import comments
from ir_router.cases.files import safe_name
from ir_router.cases.limits import FILE_SIZE_LIMIT
from ir_router.errors import RefusedError
from ir_router.ledger import claims, keys, table
from ir_router.ledger.keys import Key
from ir_router.ledger.table import ConditionFailedError, Row
from ir_router.security_ir import gateway as security_ir
from ir_router.slack.gateway import Names, Slack
from ir_router.slack.text import one_line, shorten, split, to_plain
from ir_router.sync import comment_claims

_ORIGIN = "slack"
_EXCERPT_LENGTH = 80
_NAME_LENGTH = 80
_REMOVED_PART = "(This part was removed by an edit in Slack.)"
# By then Slack's own event for a file has brought it over; else the sync of the case asks for it.
_FILE_EVENT_SECONDS = 120


class SlackMessage:
    """`said` is Slack's message object, trimmed: `user`, `text`, `ts`, `thread_ts`, `files`, `attachments`.

    Each part has a row `SLACK#<ts>#<part>`; all rows of a message are made in one write, with the texts frozen.
    """

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

    def create(self, *, repeated: bool) -> list[str]:
        """Make its comments; the ids of those that were made now.

        `repeated`: the event was handled before, so a part that AWS refused for good then is not tried again.
        Raises RefusedError, RetryLaterError, UncertainError or ClaimLostError.
        """
        rows = self._rows()
        if not rows:
            self._announce_files()
            made = self._claim(self._bodies())
            if made is not None:
                return [comment_claims.settle(self._case_id, claim, _ORIGIN) for claim in made]
            rows = self._rows()
        written = []
        for part, row in sorted(rows.items()):
            if repeated and row.get("given_up"):
                raise RefusedError("AWS Security Incident Response", "CreateCaseComment", str(row["given_up"]))
            written += [comment_id] if row["state"] != "done" and (comment_id := self._finish(part)) else []
        return written

    def edit(self, event_ts: str, *, repeated: bool) -> list[str]:
        """Bring its comments to what it says now; the ids of those that were changed or made. Raises as `create`.

        `event_ts` orders the edits: the message's own `edited.ts` counts in whole seconds.
        """
        rows = self._rows()
        if not rows:
            return self.create(repeated=repeated)
        if event_ts <= str(rows[0].get("edited_ts") or ""):
            return []  # this edit or a later one was carried over already
        bodies = self._bodies(", edited")
        written = [made for part, body in enumerate(bodies) if (made := self._set(part, body, rows))]
        for part in sorted(set(rows) - set(range(len(bodies)))):
            (body,) = self._framed([_REMOVED_PART], ", edited", part)
            written += [made] if (made := self._set(part, body, rows)) else []
        table.update(self._key(0), "SET edited_ts = :event_ts", event_ts=event_ts)
        return written

    def delete(self, ts: str) -> list[str]:
        """Note on its comments that it was deleted in Slack: a comment cannot be deleted. Raises as `create`."""
        self._ts = ts
        rows = self._rows()
        if not rows:
            return []
        texts = {comment.comment_id: comment.body for comment in security_ir.comments(self._case_id)}
        written = []
        for part, row in sorted(rows.items()):
            if row.get("given_up"):
                continue  # it never became a comment
            comment_id = str(row.get("comment_id") or "") or self._finish(part)
            text = texts.get(comment_id or "") or str(row.get("body") or "")
            if comment_id and text and (made := self._update(comment_id, comments.marked_deleted(text))):
                written.append(made)
        return written

    # What it says

    def _bodies(self, remarks: str = "") -> list[str]:
        said = [self._plain(self._said.get("text")).strip("\n"), *self._forwarded()]
        said += [_attached(file) for file in self._said.get("files") or [] if file.get("id")]
        whole = "\n".join(filter(None, said)) or "(a message without text)"
        return self._framed(split(whole, comments.part_length()), remarks + self._thread())

    def _forwarded(self) -> list[str]:
        """What was shared from elsewhere in Slack, and, of an app that puts its text there, what it says."""
        is_bare = not self._said.get("text")
        lines = []
        for attachment in self._said.get("attachments") or []:
            text = self._plain(attachment.get("text") or attachment.get("fallback"))
            if attachment.get("is_share"):
                author = _one_line(str(attachment.get("author_name") or "somebody"), _NAME_LENGTH)
                lines.append(f"Forwarded, by {author}: {text}")
            elif is_bare:
                lines.append(text)
        return lines

    def _framed(self, parts: Sequence[str], remarks: str, part: int | None = None) -> list[str]:
        user_id = str(self._said.get("user") or "")
        author = self._names.real_name(user_id) if user_id else str(self._said.get("username") or "A bot")
        sent_at = datetime.fromtimestamp(float(self._ts), UTC)
        return comments.from_slack(
            parts, _one_line(author, _NAME_LENGTH), sent_at, self._channel_id, self._ts, remarks, only_part=part
        )

    def _thread(self) -> str:
        """Replies keep their context: who and what they answer."""
        thread_ts = str(self._said.get("thread_ts") or "")
        if not thread_ts or thread_ts == self._ts:
            return ""
        try:
            answer = self._slack.read("conversations.replies", channel=self._channel_id, ts=thread_ts, limit=1)
        except RefusedError:
            return ", in a thread"
        parent: dict[str, Any] = next(iter(answer.get("messages", [])), {})
        user_id = str(parent.get("user") or "")
        name = _one_line(self._names.real_name(user_id), _NAME_LENGTH) if user_id else "the app"
        return f', in reply to {name}: "{_one_line(self._plain(parent.get("text")), _EXCERPT_LENGTH)}"'

    def _plain(self, text: object) -> str:
        plain = to_plain(str(text or ""), self._names.real_name, self._names.channel)
        return comments.set_apart(plain)

    # Its comments

    def _key(self, part: int) -> Key:
        return keys.slack_message(self._case_id, f"{self._ts}#{part}")

    def _rows(self) -> dict[int, Row]:
        """Its rows by part."""
        found = table.query(self._key(0).pk, f"SLACK#{self._ts}#")
        return {int(row["SK"].rpartition("#")[2]): row for row in found}

    def _token(self, part: int) -> str:
        return comment_claims.token_for(self._team_id, self._channel_id, self._ts, str(part))

    def _claim(self, bodies: Sequence[str], first_part: int = 0) -> list[claims.Claim] | None:
        parts = [(self._key(part), body, self._token(part)) for part, body in enumerate(bodies, start=first_part)]
        return comment_claims.take_all(parts, kind="message", channel_id=self._channel_id)

    def _finish(self, part: int) -> str | None:
        """Make a part's comment from the text that was frozen for it; None when another run has made it."""
        taken = claims.take(self._key(part), settle_after=clock.now())
        if isinstance(taken, claims.Claim):
            return comment_claims.settle(self._case_id, taken, _ORIGIN)
        return str(taken.row["comment_id"]) if isinstance(taken, claims.Done) else None

    def _set(self, part: int, body: str, rows: Mapping[int, Row]) -> str | None:
        """Make a part say this, whether its comment exists, was claimed, or is new. None when it says it already."""
        if part not in rows:
            made = self._claim([body], first_part=part)
            if made is not None:
                return comment_claims.settle(self._case_id, made[0], _ORIGIN)
        comment_id = str(rows.get(part, {}).get("comment_id") or "") or self._finish(part)
        return self._update(comment_id, body) if comment_id else None

    def _update(self, comment_id: str, body: str) -> str | None:
        """Set the text of a comment; None when it is that already.

        The new text's hash is written down before, so that the sync of the case never takes it for a foreign edit.
        """
        key = keys.comment(self._case_id, comment_id)
        wanted = comments.body_hash(body)
        if (table.get(key) or {}).get("hash") == wanted:
            return None
        table.update(key, "ADD pending_hashes :own", own={wanted})
        security_ir.update_comment(self._case_id, comment_id, body)
        table.update(key, "SET #hash = :hash DELETE pending_hashes :own", hash=wanted, own={wanted})
        return comment_id

    def _announce_files(self) -> None:
        """Note which files it has: when Slack's own event for one is lost, the sync of the case asks for it."""
        for file in self._said.get("files") or []:
            if not file.get("id"):
                continue
            row = {
                "state": "claimed",
                "attempt": 0,
                "holder": "announced",
                "refused": True,  # nobody has begun: whoever comes first may take it
                "settle_after": clock.now() + _FILE_EVENT_SECONDS,
                "kind": "file",
                "origin": _ORIGIN,
                "file_id": str(file["id"]),
                "channel_id": self._channel_id,
            }
            with suppress(ConditionFailedError):
                table.put(keys.slack_message(self._case_id, f"{file['id']}#file"), row, "attribute_not_exists(PK)")


def _one_line(text: str, length: int) -> str:
    return shorten(one_line(text), length)


def _attached(file: Mapping[str, Any]) -> str:
    """The original name, which the attachment's own name cannot always keep; or why there is no attachment."""
    name = _one_line(str(file.get("name") or file["id"]), 255)
    size = file.get("size")
    if isinstance(size, int) and size > FILE_SIZE_LIMIT:
        return f"📎 {name} (in Slack only: {size / 1_048_576:.0f} MB, more than a case takes)"
    if size == 0 or file.get("mode") in ("external", "tombstone", "hidden_by_limit"):
        return f"📎 {name} (in Slack only: {'empty' if size == 0 else 'not stored there as a file'})"
    return f"📎 {name} (attachment {safe_name(name, str(file['id']))})"
