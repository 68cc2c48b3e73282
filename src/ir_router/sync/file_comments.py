"""Name a message's files in its comment: first as being copied, then the attachment that exists, or why there is none.

The comment and the copy are made by different functions at the same time. Each of them looks for the other's result
after it has stored its own, so one of the two always writes the final line. If a function dies in between, the case's
synchronisation does it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ir_router import clock
from ir_router.cases import file_lines
from ir_router.cases.files import document_kind, is_deleted, is_gone, shown_name
from ir_router.errors import IrRouterError
from ir_router.ledger import keys, table
from ir_router.ledger.keys import Key
from ir_router.ledger.table import ConditionFailedError, Row
from ir_router.observability import logger
from ir_router.slack.text import one_line, shorten
from ir_router.sync import comment_claims

_NAME_LENGTH = 255
# Slack's own event for a file normally arrives within this time. Otherwise the case's synchronisation queues the file.
_FILE_EVENT_SECONDS = 120


def key_of(case_id: str, file_id: str) -> Key:
    """Return the ledger key of a Slack file."""
    return keys.slack_message(case_id, f"{file_id}#file")


def announce(
    case_id: str,
    channel_id: str,
    ts: str,
    shared: Sequence[Mapping[str, Any]],
    forwarded: Sequence[Mapping[str, Any]] = (),
) -> None:
    """Store the files of a message with its `ts`.

    The case's synchronisation then queues a file whose own event was lost, and the copy knows which comment names it.
    Slack sends no event for the files of a forwarded message. They are queued at once.

    Args:
        case_id: The case.
        channel_id: The case's channel.
        ts: The message.
        shared: The file objects of the message.
        forwarded: The file objects of messages that are forwarded in it.
    """
    waits = [(file, _FILE_EVENT_SECONDS) for file in shared] + [(file, 0) for file in forwarded]
    for file, wait in waits:
        if is_gone(file):
            continue
        key = key_of(case_id, str(file["id"]))
        row = {
            "state": "claimed",
            "attempt": 0,
            "holder": "announced",
            "refused": True,  # the transfer has not started, so the first run can take the claim
            "settle_after": clock.now() + wait,
            "claimed_at": clock.now(),
            "kind": "file",
            "origin": "slack",
            "file_id": str(file["id"]),
            "file_name": name_of(file),
            "channel_id": channel_id,
            "shown_in": {ts},
        }
        try:
            table.put(key, row, "attribute_not_exists(PK)")
        except ConditionFailedError as conflict:
            if conflict.row.get("state") != "done" and ts not in conflict.row.get("shown_in", ()):
                table.update(key, "ADD shown_in :ts", ts={ts})


def lines(case_id: str, shown: Sequence[Mapping[str, Any]], known_names: Mapping[str, str]) -> list[str]:
    """Return the lines of a message's files for its comment.

    Args:
        case_id: The case.
        shown: The file objects of the message.
        known_names: File id -> name, for files that Slack no longer names.
    """
    found = []
    for file in shown:
        file_id = str(file["id"])
        row = table.get(key_of(case_id, file_id)) or {}
        name = name_of(file)
        if is_gone(file) or _is_stub(file):
            name = shorten(one_line(str(row.get("file_name") or known_names.get(file_id) or name)), _NAME_LENGTH)
        reason = file_lines.certain_reason(file)
        if row.get("state") == "done" and row.get("origin") == "slack":
            gone = is_deleted(file) or bool(row.get("deleted"))
            found.append(file_lines.finished(name, file_id, row, is_gone=gone))
        elif row.get("state") == "done":
            found.append(file_lines.from_case(name, str(row.get("stored_name") or "")))
        elif is_deleted(file):
            found.append(file_lines.deleted(name))
        elif is_gone(file):
            found.append(file_lines.stays(name, file_lines.HIDDEN))
        elif reason is not None:
            found.append(file_lines.stays(name, reason))
        else:
            found.append(file_lines.pending(name, file_id))
    return found


def name_of(file: Mapping[str, Any]) -> str:
    """Return the name of a file on one line."""
    kind = document_kind(file)
    name = str(file.get("title") or "") if kind is not None else ""
    return shorten(one_line(name or shown_name(file)), _NAME_LENGTH)


def _is_stub(file: Mapping[str, Any]) -> bool:
    return not file.get("name") and not file.get("title")


def settle(case_id: str, file_id: str) -> None:
    """Write the result of a finished file into the comments that name it.

    A comment that does not exist yet is left to the function that creates it. A failure is left to the case's
    synchronisation.
    """
    key = key_of(case_id, file_id)
    row = table.get(key) or {}
    due = row.get("shown_in") or ()
    if row.get("state") != "done" or not due or row.get("origin") != "slack":
        return
    name = str(row.get("file_name") or file_id)
    line = file_lines.finished(name, file_id, row, is_gone=bool(row.get("deleted")))
    try:
        texts = comment_claims.texts(case_id, min(due))
        for ts in sorted(due):
            if _write(case_id, ts, file_id, line, texts):
                table.update(key, "DELETE shown_in :ts ADD named_in :ts", ts={ts})
    except IrRouterError as error:
        logger.warning(
            "file.comment_not_corrected: the case's synchronisation retries it", extra={"reason": str(error)}
        )


def mark_deleted(case_id: str, file_id: str) -> None:
    """Record that a file was deleted in Slack, and write this into the comments of its messages.

    A file that is not copied yet is left to its transfer, which finds that it is gone.
    """
    key = key_of(case_id, file_id)
    row = table.get(key)
    if row is None or row.get("origin") != "slack":
        return
    due = {str(ts) for ts in row.get("named_in") or ()}
    if due:
        table.update(key, "SET deleted = :yes ADD shown_in :due", yes=True, due=due)
    else:
        table.update(key, "SET deleted = :yes", yes=True)
    settle(case_id, file_id)


def reject(case_id: str, row: Row) -> None:
    """Record that AWS rejected a copied file, and write this into the comments of its messages."""
    key = Key(str(row["PK"]), str(row["SK"]))
    due = {str(ts) for ts in row.get("named_in") or ()}
    if due:
        table.update(key, "SET outcome = :rejected ADD shown_in :due", rejected="rejected", due=due)
    else:
        table.update(key, "SET outcome = :rejected", rejected="rejected")
    settle(case_id, str(row["file_id"]))


def _write(case_id: str, ts: str, file_id: str, line: str, texts: Mapping[str, str]) -> bool:
    """Put the line into the comments of one message. Returns False if they do not exist yet."""
    parts = list(table.query(keys.slack_message(case_id, ts).pk, f"SLACK#{ts}#"))
    if not parts or any(part["state"] != "done" and not part.get("given_up") for part in parts):
        return False
    written = [str(part["comment_id"]) for part in parts if part.get("comment_id")]
    if not all(comment_id in texts for comment_id in written):
        return False  # AWS does not list a new comment yet
    for comment_id in written:
        body = file_lines.replaced(texts[comment_id], file_id, line)
        if body != texts[comment_id]:
            comment_claims.update(case_id, comment_id, body)
    return True
