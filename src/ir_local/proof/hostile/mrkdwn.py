"""Text of every kind, both ways: typed in Slack onto the case, written on the case into Slack.

All that can be seen of it arrives, once; nothing in it mentions, links, turns our text round or ends our frame.
"""

from __future__ import annotations

import html
import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ir_local.proof.hostile.house import House, acting, changes, skeleton
from ir_local.proof.hostile.trial import Trial
from ir_local.proof.hostile.words import texts
from ir_local.world import World
from ir_router.cases.limits import COMMENT_LIMIT, DESCRIPTION_LIMIT, TITLE_LIMIT

_RENEWED_AFTER = 25
_EVERY_FIFTH = 5
# Slack reads these as its own markup: what people then see is not what was typed.
_READ_BY_SLACK = frozenset("<&")


class Mrkdwn(Trial):
    """Each input is a text: a message of Jane, a comment by AWS, and now and then the case's title and description."""

    inputs = texts

    def __init__(self, world: World) -> None:
        """The people and their case."""
        self.house = House(world)
        self.world = world
        self._numbers = itertools.count(1)

    def check(self, value: str) -> Iterable[str]:
        """Write it on both sides."""
        house, number = self.house, next(self._numbers)
        if number % _RENEWED_AFTER == 0:
            house.renew()
        before, said_before = house.state(), house.said()
        house.jane.post(house.channel, value or "x")
        is_taken = 0 < len(value) <= COMMENT_LIMIT
        if is_taken:
            self.world.security_ir.add_comment_as(house.case_id, f"AWS Responder {' '.join(value[:40].split())}", value)
        changed = self._change_fields(value) if number % _EVERY_FIFTH == 0 else []
        yield from house.rest()

        after = house.state()
        allowed = [f"case {house.case_id} {name}" for name in ("comments", *changed)]
        yield from changes(before, after, allowed=allowed)
        yield from self._on_case(value or "x", [one for one in house.comments_since(before) if one != value])
        new = [message for place, message in house.said().items() if said_before.get(place) != message]
        yield from self._in_channel(value, new, is_taken=is_taken)

    def _change_fields(self, text: str) -> list[str]:
        fields = {"title": text[:TITLE_LIMIT], "description": text[:DESCRIPTION_LIMIT]}
        if not text:
            return []
        self.world.security_ir.call("UpdateCase", {"caseId": self.house.case_id, **fields})
        return list(fields)

    def _on_case(self, text: str, added: list[str]) -> Iterable[str]:
        """The message's comments: one, or its parts, in our frame."""
        shown = ""
        for body in added:
            lines = body.split("\n")
            framed = lines[0].startswith("[Slack Update] Jane Smith") and lines[-1].startswith("(Slack ")
            if not framed or lines[-2] != "":
                yield f"the frame of a comment is broken: {body!r:.300}"
            inside = lines[1:-2]
            if any(line.startswith(("[Slack Update]", "[AWS Security IR Update]", "(Slack C")) for line in inside):
                yield f"a line looks like the frame: {body!r:.300}"
            shown += "".join(inside)
        if not added or (len(added) > 1 and not all(", part " in body.split("\n")[0] for body in added)):
            yield f"a message became {len(added)} comments"
        wanted = skeleton(text)
        if wanted and not set(text) & _READ_BY_SLACK and skeleton(shown) != wanted:
            yield f"the comment shows {shown!r:.300}"

    def _in_channel(self, text: str, new: Sequence[Mapping[str, Any]], *, is_taken: bool) -> Iterable[str]:
        """The messages of the app: the comment once, and nothing that acts."""
        for message in new:
            yield from acting(message)
        comments = [message for message in new if "commented" in str(message.get("blocks"))]
        if bool(comments) != is_taken or (len(comments) > 1 and "(part 1 of " not in str(comments[0]["blocks"])):
            yield f"a comment became {len(comments)} messages"
        # A part of white space alone is shown as empty.
        parts = [message["blocks"][1]["text"]["text"] for message in comments]
        shown = "".join(part for part in parts if part != "_(empty)_")
        if is_taken and skeleton(text) and skeleton(html.unescape(shown)) != skeleton(text):
            yield f"the channel shows {shown!r:.300}"
