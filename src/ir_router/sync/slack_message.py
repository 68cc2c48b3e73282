"""Copy one Slack message to the case as comments: create them, edit them, or mark them as deleted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from ir_router import clock
from ir_router.cases import comments
from ir_router.cases.files import is_gone
from ir_router.errors import RefusedError
from ir_router.ledger import claims, keys, table
from ir_router.ledger.keys import Key
from ir_router.ledger.table import Row
from ir_router.slack import identity, inbound
from ir_router.slack.content import reader
from ir_router.slack.content.reader import Content
from ir_router.slack.gateway import Names, Slack
from ir_router.slack.text import one_line, shorten, split
from ir_router.sync import comment_claims, file_comments

_ORIGIN = "slack"
_EXCERPT_LENGTH = 80
_NAME_LENGTH = 80
_REMOVED_PART = "(This part was removed by an edit in Slack.)"


class SlackMessage:
    """One Slack message of a case's channel.

    A long message has several parts, each with a row `SLACK#<ts>#<part>` and a comment of its own. One write creates
    all rows of a message with their frozen texts.
    """

    def __init__(
        self,
        case_id: str,
        channel_id: str,
        team_id: str,
        message: Mapping[str, Any],
        slack: Slack,
        names: Names,
        *,
        before: Mapping[str, Any] | None = None,
    ) -> None:
        """Store the arguments. Nothing is read or written yet.

        Args:
            case_id: The case of the channel.
            channel_id: The channel.
            team_id: The workspace.
            message: Slack's message object: `user`, `text`, `ts`, `thread_ts`, `blocks`, `files`, `attachments`.
            slack: The gateway.
            names: Looks up names of users, channels and user groups.
            before: The previous version of a changed message, with its `files`.
        """
        self._case_id = case_id
        self._channel_id = channel_id
        self._team_id = team_id
        self._message = message
        self._slack = slack
        self._names = names
        self._ts = str(message.get("ts") or "")
        self._content: Content | None = None
        # The names of files by id. A file that was deleted in Slack has no name any more.
        self._files: dict[str, str] = {}
        files_before = (before or {}).get("files") or []
        self._gone_before = {str(file.get("id")) for file in files_before if is_gone(file)}
        self._remember_names(files_before)

    def create(self, *, repeated: bool, edited_ts: str = "") -> list[str]:
        """Create the message's comments, and return the ids of the new ones.

        Args:
            repeated: Whether the event was handled before. If so, a part that AWS rejected permanently is not retried.
            edited_ts: Of an edit that arrives before its message: the time by which later edits are ordered.

        Raises:
            RefusedError, RetryLaterError, UncertainError: The Security IR gateway failed.
            ClaimLostError: Another run has taken a claim.
        """
        rows = self._rows()
        if not rows:
            if self._was_deleted():
                return []  # Slack delivered the deletion first
            self._announce_files()
            edited = ", edited" if "edited" in self._message else ""
            made = self._claim(self._bodies(edited), **self._frozen(), edited_ts=edited_ts)
            if made is not None:
                written = [comment_claims.settle(self._case_id, claim, _ORIGIN) for claim in made]
                self._settle_files()
                return written
            rows = self._rows()
        written = []
        for part, row in sorted(rows.items()):
            if repeated and row.get("given_up"):
                raise RefusedError("AWS Security Incident Response", "CreateCaseComment", str(row["given_up"]))
            written += [comment_id] if row["state"] != "done" and (comment_id := self._finish(part)) else []
        self._settle_files()
        return written

    def edit(self, event_ts: str, *, repeated: bool) -> list[str]:
        """Update the comments to the edited message, and return the ids of those that changed. Raises like `create`.

        Args:
            event_ts: Orders the edits, since the message's own `edited.ts` has a resolution of one second.
            repeated: As in `create`.
        """
        rows = self._rows()
        if not rows:
            return self.create(repeated=repeated, edited_ts=event_ts)
        if event_ts <= str(rows[0].get("edited_ts") or "") or self._was_deleted():
            return []  # this edit or a later change has already been copied
        self._files |= rows[0].get("files") or {}
        if self._is_known(rows):
            table.update(self._key(0), "SET edited_ts = :event_ts", event_ts=event_ts)
            return []
        self._announce_files()
        edited = "" if self._changed_only_files(rows) else ", edited"
        bodies = self._bodies(edited)
        written = [made for part, body in enumerate(bodies) if (made := self._set(part, body, rows))]
        for part in sorted(set(rows) - set(range(len(bodies)))):
            (body,) = self._framed([_REMOVED_PART], edited, part)
            written += [made] if (made := self._set(part, body, rows)) else []
        table.update(
            self._key(0),
            "SET edited_ts = :event_ts, content = :content, files = :files",
            event_ts=event_ts,
            **self._frozen(),
        )
        self._settle_files()
        return written

    def _is_known(self, rows: Mapping[int, Row]) -> bool:
        """Whether the comments already have this content: Slack also reports replies and unfurled links as changes."""
        stored = rows[0].get("content")
        if stored:
            return reader.is_same_content(str(stored), reader.fingerprint(self._message))
        # An older version stored no fingerprint. Compare the texts.
        ids = {part: str(row.get("comment_id") or "") for part, row in rows.items()}
        hashes = [(table.get(keys.comment(self._case_id, ids[part])) or {}).get("hash") for part in sorted(ids)]
        return any(hashes == [comments.body_hash(body) for body in self._bodies(edit)] for edit in ("", ", edited"))

    def _changed_only_files(self, rows: Mapping[int, Row]) -> bool:
        """Whether no user has edited the message: Slack reports as a change of its message that a file was deleted,
        and adds the file that a link in the message leads to.
        """
        stored = str(rows[0].get("content") or "")
        if not stored or "edited" in self._message:
            return False
        files = self._message.get("files") or []
        restored = [file if str(file.get("id")) in self._gone_before else {**file, "mode": ""} for file in files]
        known = [file for file in restored if str(file.get("id")) in (rows[0].get("files") or {})]
        return any(
            reader.is_same_content(stored, reader.fingerprint({**self._message, "files": before}))
            for before in (restored, known)
        )

    def _was_deleted(self) -> bool:
        return table.get(keys.note(self._case_id, f"deleted-{self._ts}")) is not None

    def _frozen(self) -> dict[str, Any]:
        """Return the message's fingerprint and the names of its files, for comparisons with later events."""
        return {"content": reader.fingerprint(self._message), "files": self._files}

    def delete(self, ts: str) -> list[str]:
        """Mark the comments as deleted in Slack, since a comment cannot be deleted. Raises like `create`.

        A message or an edit that arrives after the deletion is not copied.
        """
        self._ts = ts
        table.put(keys.note(self._case_id, f"deleted-{ts}"), {"state": "done", "at": clock.now()})
        rows = self._rows()
        if not rows:
            return []
        texts = comment_claims.texts(self._case_id, ts)
        written = []
        for part, row in sorted(rows.items()):
            if row.get("given_up"):
                continue  # it never became a comment
            comment_id = str(row.get("comment_id") or "") or self._finish(part)
            text = texts.get(comment_id or "") or str(row.get("body") or "")
            if not comment_id or not text:
                continue
            if made := comment_claims.update(self._case_id, comment_id, comments.marked_deleted(text)):
                written.append(made)
        return written

    # The text

    def _bodies(self, remarks: str = "") -> list[str]:
        content = self._read()
        shown = file_comments.lines(self._case_id, [*content.files, *content.forwarded_files], self._files)
        lines = [content.text, *shown]
        lines.append(self._in_slack_only(content.missing or ([] if any(lines) else ["unknown type"])))
        text = comments.set_apart("\n".join(filter(None, lines)))
        return self._framed(split(text, comments.part_length()), remarks + self._thread())

    def _read(self) -> Content:
        if self._content is None:
            self._content = reader.read(self._message, self._names)
            self._remember_names([*self._content.files, *self._content.forwarded_files])
        return self._content

    def _remember_names(self, files: Iterable[Mapping[str, Any]]) -> None:
        self._files |= {str(file["id"]): str(file["name"]) for file in files if file.get("id") and file.get("name")}

    def _in_slack_only(self, missing: Sequence[str]) -> str:
        """Name the content without text, with a link to the message. Empty if nothing is missing."""
        if not missing:
            return ""
        kinds = _one_line(", ".join(missing), _NAME_LENGTH)
        return f"(In Slack only: content that has no text ({kinds}). Read it at {self._permalink()})"

    def _permalink(self) -> str:
        try:
            found = self._slack.read("chat.getPermalink", channel=self._channel_id, message_ts=self._ts)
            return str(found["permalink"])
        except RefusedError:
            # https://docs.slack.dev/interactivity/deep-linking
            return f"https://slack.com/app_redirect?channel={self._channel_id}&message_ts={self._ts}"

    def _framed(self, parts: Sequence[str], remarks: str, part: int | None = None) -> list[str]:
        author = _identified_author(self._message, self._names)
        sent_at = datetime.fromtimestamp(float(self._ts), UTC)
        return comments.from_slack(parts, author, sent_at, self._channel_id, self._ts, remarks, only_part=part)

    def _thread(self) -> str:
        """Return the context of a reply: the author and an excerpt of the first message of the thread."""
        thread_ts = str(self._message.get("thread_ts") or "")
        if not thread_ts or thread_ts == self._ts:
            return ""
        try:
            answer = self._slack.read("conversations.replies", channel=self._channel_id, ts=thread_ts, limit=1)
        except RefusedError:
            return ", in a thread"
        parent: dict[str, Any] = next(iter(answer.get("messages", [])), {})
        if parent.get("subtype") == "tombstone":
            return ", in reply to a message that was deleted in Slack"
        name = _one_line(_author(parent, self._names), _NAME_LENGTH)
        return f', in reply to {name}: "{_one_line(reader.read(parent, self._names).text, _EXCERPT_LENGTH)}"'

    # The files

    def _announce_files(self) -> None:
        content = self._read()
        file_comments.announce(self._case_id, self._channel_id, self._ts, content.files, content.forwarded_files)

    def _settle_files(self) -> None:
        content = self._read()
        for file in (*content.files, *content.forwarded_files):
            file_comments.settle(self._case_id, str(file["id"]))

    # The comments

    def _key(self, part: int) -> Key:
        return keys.slack_message(self._case_id, f"{self._ts}#{part}")

    def _rows(self) -> dict[int, Row]:
        """Return the message's rows by part."""
        found = table.query(self._key(0).pk, f"SLACK#{self._ts}#")
        return {int(row["SK"].rpartition("#")[2]): row for row in found}

    def _token(self, part: int) -> str:
        return comment_claims.token_for(self._team_id, self._channel_id, self._ts, str(part))

    def _claim(self, bodies: Sequence[str], first_part: int = 0, **frozen: Any) -> list[claims.Claim] | None:
        parts = [(self._key(part), body, self._token(part)) for part, body in enumerate(bodies, start=first_part)]
        return comment_claims.take_all(parts, kind="message", channel_id=self._channel_id, **frozen)

    def _finish(self, part: int) -> str | None:
        """Create a part's comment from its frozen text, and return its id. None while another run has the claim."""
        taken = claims.take(self._key(part), settle_after=clock.now())
        if isinstance(taken, claims.Claim):
            return comment_claims.settle(self._case_id, taken, _ORIGIN)
        return str(taken.row["comment_id"]) if isinstance(taken, claims.Done) else None

    def _set(self, part: int, body: str, rows: Mapping[int, Row]) -> str | None:
        """Set a part's text, whether its comment exists, is claimed or is new. None if it already has this text."""
        if part not in rows:
            made = self._claim([body], first_part=part)
            if made is not None:
                return comment_claims.settle(self._case_id, made[0], _ORIGIN)
        comment_id = str(rows.get(part, {}).get("comment_id") or "") or self._finish(part)
        return comment_claims.update(self._case_id, comment_id, body) if comment_id else None


def _author(message: Mapping[str, Any], names: Names) -> str:
    """Return the name under which Slack shows the message: of the user, or the name that a bot chose."""
    user_id = str(message.get("user") or "")
    if user_id and not (message.get("username") and names.user(user_id).get("is_bot")):
        return names.real_name(user_id) if names.user(user_id) else _name_in_profile(message) or user_id
    profile = message.get("bot_profile") or {}
    return str(message.get("username") or profile.get("name") or "A bot")


def _name_in_profile(message: Mapping[str, Any]) -> str:
    """Return the name that Slack sends with the message. It is for users that users.info does not show to the app.

    https://github.com/slackapi/java-slack-sdk (`Message.UserProfile`)
    """
    profile = message.get("user_profile") or {}
    return one_line(next((str(profile[name]) for name in inbound.PROFILE_NAMES if profile.get(name)), ""))


def _identified_author(message: Mapping[str, Any], names: Names) -> str:
    """Return the author for the head of a comment. A user's name is their own choice, so address and id follow it."""
    user_id, shown = str(message.get("user") or ""), _author(message, names)
    if user_id and not names.user(user_id):
        return identity.identified(shown, None, user_id)
    is_user = bool(user_id) and shown == names.real_name(user_id)
    return names.identified(user_id) if is_user else _one_line(shown, _NAME_LENGTH)


def _one_line(text: str, length: int) -> str:
    return shorten(one_line(text), length)
