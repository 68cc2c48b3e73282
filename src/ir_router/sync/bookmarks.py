"""Keep the bookmarks in the channel of a case: the case in the console, the approval request and the report.

A step of the case's synchronisation. Slack has no idempotency key for bookmarks, so an earlier attempt is found by its
title and the user that changed it last. Bookmarks are a convenience: without the scopes, or if Slack rejects them, the
rest of the case goes on.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from ir_router import clock, links
from ir_router.errors import RefusedError
from ir_router.ledger import claims, keys, table
from ir_router.ledger.claims import Claim
from ir_router.ledger.table import Row
from ir_router.observability import logger
from ir_router.settings import settings
from ir_router.sync.case_sync import CaseSync

_NOTE = "bookmark-"
_REJECTED = "bookmarks-rejected"
# After an operator has reinstalled the app with the scopes, the next attempt succeeds.
_FIRST_RETRY_SECONDS = 60
_LONGEST_PAUSE_SECONDS = 86_400
_GONE = "not_found"


class Bookmark(NamedTuple):
    """A bookmark.

    Attributes:
        name: The name of its ledger row.
        title: The title, by which ir-router finds its own bookmark.
        of: The address, or the `ts` of the message that it leads to.
        is_message: Whether `of` is a `ts`.
    """

    name: str
    title: str
    of: str
    is_message: bool


def synchronise(sync: CaseSync) -> None:
    """Add each bookmark once, and let it lead to the newest message of its kind."""
    rejected = sync.row(keys.note(sync.case_id, _REJECTED)) or {}
    if clock.now() < float(rejected.get("retried_at") or 0):
        sync.revisit(float(rejected["retried_at"]))
        return
    try:
        for bookmark in _wanted(sync):
            _keep(sync, bookmark)
    except RefusedError as error:
        pause = min(float(rejected.get("pause") or _FIRST_RETRY_SECONDS / 2) * 2, _LONGEST_PAUSE_SECONDS)
        retried_at = clock.now() + pause
        logger.warning("bookmark.rejected: the case is complete without it", extra={"code": error.code})
        table.put(keys.note(sync.case_id, _REJECTED), {"retried_at": retried_at, "pause": pause})
        sync.revisit(retried_at)


def _wanted(sync: CaseSync) -> Iterator[Bookmark]:
    yield Bookmark("case", "Case in the AWS console", links.case(sync.case_id, settings().region), is_message=False)
    for name, title, prefix in (("approval", "Approval request", "approval-"), ("report", "Report", "report-")):
        start = keys.note(sync.case_id, prefix).sk
        messages = [
            str(row["ts"])
            for sk, row in sync.rows.items()
            if sk.startswith(start) and "#" not in sk.removeprefix(start) and row.get("ts")
        ]
        if messages:
            yield Bookmark(name, title, max(messages), is_message=True)


def _keep(sync: CaseSync, bookmark: Bookmark) -> None:
    key = keys.note(sync.case_id, f"{_NOTE}{bookmark.name}")
    row = sync.row(key) or {}
    if sync.is_done(key) and row.get("channel_id") != sync.channel_id:  # the channel was replaced
        table.delete(key)
        sync.rows.pop(key.sk)
        row = {}
    if row.get("of") == bookmark.of and sync.is_done(key):
        return
    address = _address(sync, bookmark)  # before the claim, which a question without an answer would leave open
    claim = sync.claim(key)
    if claim is None:
        _change(sync, row, bookmark, address)
        return
    _add(sync, claim, bookmark, address)


def _add(sync: CaseSync, claim: Claim, bookmark: Bookmark, address: str) -> None:
    try:
        known = _find(sync, bookmark.title) if claim.must_look else None
        if known is None:
            known = str(
                sync.slack.post(
                    "bookmarks.add", channel_id=sync.channel_id, title=bookmark.title, type="link", link=address
                )["bookmark"]["id"]
            )
        else:
            _edit(sync, known, address)
    except RefusedError:
        claims.refused(claim)
        raise
    claims.confirm(claim, bookmark_id=known, of=bookmark.of, channel_id=sync.channel_id)


def _find(sync: CaseSync, title: str) -> str | None:
    """Return the bookmark of an earlier attempt. Duplicates are removed; the first one stays.

    The `app_id` of a link is always null. `last_updated_by_user_id` names the bot user for ir-router's own bookmarks. A
    bookmark that a user added or changed is theirs, even if it has the same title.
    """
    own_user_id = str(sync.slack.read("auth.test")["user_id"])
    listed = sync.slack.read("bookmarks.list", channel_id=sync.channel_id)["bookmarks"]
    found = [
        str(one["id"])
        for one in listed
        if one.get("title") == title and one.get("last_updated_by_user_id") == own_user_id
    ]
    for surplus in found[1:]:
        logger.error("bookmark.duplicate_removed", extra={"bookmark": surplus})
        sync.slack.read("bookmarks.remove", channel_id=sync.channel_id, bookmark_id=surplus)
    return found[0] if found else None


def _change(sync: CaseSync, row: Row, bookmark: Bookmark, address: str) -> None:
    """Let a bookmark lead to a newer message. It can be repeated. A bookmark that a user removed stays away."""
    try:
        _edit(sync, str(row["bookmark_id"]), address)
    except RefusedError as error:
        if error.code != _GONE:
            raise
        logger.info("bookmark.gone: a user removed it")
    key = keys.note(sync.case_id, f"{_NOTE}{bookmark.name}")
    table.assign(key, of=bookmark.of)


def _edit(sync: CaseSync, bookmark_id: str, address: str) -> None:
    sync.slack.read("bookmarks.edit", channel_id=sync.channel_id, bookmark_id=bookmark_id, link=address)


def _address(sync: CaseSync, bookmark: Bookmark) -> str:
    if not bookmark.is_message:
        return bookmark.of
    found = sync.slack.read("chat.getPermalink", channel=sync.channel_id, message_ts=bookmark.of)
    return str(found["permalink"])
