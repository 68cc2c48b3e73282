"""Text of every kind in both directions: from Slack to the case, and from the case to Slack.

Every visible character arrives once. Nothing in the text mentions users, creates links, reverses ir-router's own text
or ends its frame.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ir_router.cases.limits import COMMENT_LIMIT, DESCRIPTION_LIMIT, TITLE_LIMIT
from ir_sandbox.slack.rendering import visible_text
from tests.trials.proof.hostile.fixture import CaseFixture, acting, changes, skeleton
from tests.trials.proof.hostile.strategies import texts
from tests.trials.proof.hostile.trial import Trial
from tests.trials.world import World

_RENEWED_AFTER = 25
_EVERY_FIFTH = 5
# Slack parses these as its own markup, so other users do not see them as typed.
_READ_BY_SLACK = frozenset("<&")


class Mrkdwn(Trial):
    """Each input is a text: a message by Jane, a comment by AWS, and sometimes the case's title and description."""

    inputs = texts

    def __init__(self, world: World) -> None:
        """Create the users and their case."""
        self.fixture = CaseFixture(world)
        self.world = world
        self._numbers = itertools.count(1)

    def check(self, value: str) -> Iterable[str]:
        """Write the text on both sides and check its effects."""
        fixture, number = self.fixture, next(self._numbers)
        if number % _RENEWED_AFTER == 0:
            fixture.renew()
        before, said_before = fixture.state(), fixture.messages_shown()
        fixture.jane.post(fixture.channel, value or "x")
        is_taken = 0 < len(value) <= COMMENT_LIMIT
        if is_taken:
            self.world.security_ir.add_comment_as(
                fixture.case_id, f"AWS Responder {' '.join(value[:40].split())}", value
            )
        changed = self._change_fields(value) if number % _EVERY_FIFTH == 0 else []
        yield from fixture.rest()

        after = fixture.state()
        allowed = [f"case {fixture.case_id} {name}" for name in ("comments", *changed)]
        yield from changes(before, after, allowed=allowed)
        yield from self._on_case(value or "x", [one for one in fixture.comments_since(before) if one != value])
        new = [message for place, message in fixture.messages_shown().items() if said_before.get(place) != message]
        yield from self._in_channel(value, new, is_taken=is_taken)
        if changed:
            yield from self._on_home()

    def _change_fields(self, text: str) -> list[str]:
        fields = {"title": text[:TITLE_LIMIT], "description": text[:DESCRIPTION_LIMIT]}
        if not text:
            return []
        self.world.security_ir.call("UpdateCase", {"caseId": self.fixture.case_id, **fields})
        return list(fields)

    def _on_case(self, text: str, added: list[str]) -> Iterable[str]:
        """Check the comments for the message: one, or its parts, each in ir-router's frame."""
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

    def _on_home(self) -> Iterable[str]:
        """Check the Home tab: it lists the case with its title."""
        self.fixture.jane.open_home()
        yield from self.fixture.rest()
        home = self.fixture.jane.home()
        if home is None or f"|{self.fixture.case_id}>" not in str(home["blocks"]):
            yield f"the Home tab shows {home!r:.300}"
        else:
            yield from acting(home, self.fixture.case_channels())

    def _in_channel(self, text: str, new: Sequence[Mapping[str, Any]], *, is_taken: bool) -> Iterable[str]:
        """Check the app's messages: they show the comment once, and contain no active text."""
        for message in new:
            yield from acting(message)
        comments = [message for message in new if "commented" in str(message.get("blocks"))]
        if bool(comments) != is_taken or (len(comments) > 1 and "(part 1 of " not in str(comments[0]["blocks"])):
            yield f"a comment became {len(comments)} messages"
        # A part that consists of white space is shown as empty.
        parts = [visible_text({"blocks": message["blocks"][1:]}) for message in comments]
        shown = "".join(part for part in parts if part != "(empty)")
        if is_taken and skeleton(text) and skeleton(shown) != skeleton(text):
            yield f"the channel shows {shown!r:.300}"
