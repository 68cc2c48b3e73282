"""`/security-ir` commands: any text, from any user, in any channel, with any form fields.

Only a watcher of the case who is not a guest can change it, and each command changes only its own field. Every user
gets one answer. Nothing in the answer is active, and no answer goes to a host other than Slack's.
"""

from __future__ import annotations

import html
import itertools
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from ir_router.cases.limits import TITLE_LIMIT
from tests.trials.proof.hostile.fixture import FORM_TYPE, CaseFixture, acting, changes, grown, skeleton
from tests.trials.proof.hostile.strategies import texts
from tests.trials.proof.hostile.trial import Trial
from tests.trials.world import World

EVIL_ADDRESSES = (
    "https://evil.example/hook",
    "https://hooks.slack.com/commands/T1/1/x",
    "https://hooks.slack.com@evil.example/x",
    "https://hooks.slack.com.evil.example/x",
    "https://evil.example#hooks.slack.com",
    "//hooks.slack.com/x",
    "http://169.254.169.254/latest/meta-data/iam/security-credentials/",
    "http://127.0.0.1:9/2018-06-01/runtime/invocation/next",
    "http://[::1]:9001/",
    "file:///proc/self/environ",
    "ftp://evil.example/",
    "gopher://evil.example/",
    "http://[",
    "",
    "\x00",
)

# The fields of the channel's case that each sub-command may change when a permitted user types it. None: it changes
# nothing there, and no comments. Each sub-command of the catalogue is here (tests/unit/test_trials_cover.py).
EFFECTS: Mapping[str, tuple[str, ...] | None] = {
    "update-title": ("title",),
    "update-description": ("description",),
    "update-status": ("status",),
    "add-watcher": ("watchers",),
    "remove-watcher": ("watchers",),
    "comment": (),
    "status": None,
    "incident-details": None,
    "help": None,
    "approvals": None,
    "release": None,
    "list": None,
    "escalate": None,  # asks: the button escalates
    "report": ("attachments",),  # the synchronisation makes it
    "sync": None,
    "activity": None,
    "close": None,  # asks: the button closes
    "create": None,
}
_CHANGES: Mapping[str, tuple[str, ...]] = {name: fields for name, fields in EFFECTS.items() if fields is not None}
_RENEWED_AFTER = 40


class Commands(Trial):
    """Each input: the user, the channel (of the case or another), the command, its text and form fields."""

    def __init__(self, world: World) -> None:
        """Create the users and their case."""
        self.fixture = CaseFixture(world)
        self.world = world
        self._numbers = itertools.count(1)
        names = st.sampled_from([*EFFECTS, "", "UPDATE_TITLE", "delete", "approve"]) | texts
        addresses = st.sampled_from([None, None, *EVIL_ADDRESSES]) | texts
        others = st.sampled_from(["user_name", "channel_name", "api_app_id", "token", "is_enterprise_install", "x"])
        fields = st.dictionaries(others, texts, max_size=2)
        self.inputs: SearchStrategy[Any] = st.tuples(
            st.sampled_from(["jane", "jane", "mallory", "guest"]),
            st.sampled_from(["case", "case", "elsewhere"]),
            names,
            texts,
            addresses,
            fields,
        )

    def check(self, value: Any) -> Iterable[str]:
        """Type the command and check its effects."""
        who, where, name, text, address, fields = value
        if next(self._numbers) % _RENEWED_AFTER == 0:
            self.fixture.renew()
        fixture = self.fixture
        before, said_before = fixture.state(), fixture.messages_shown()
        views_before = len(self.world.workspace.store.views)
        status = self._type(who, where, f"{name} {text}", address, fields)
        lost = fixture.rest()
        after, said = fixture.state(), fixture.messages_shown()
        yield from lost
        if status != 200:
            yield f"answered {status}"
        yield from self._wrongly_changed(before, after, who, where, name)
        if after != before:
            yield from self._exact(before, after, name, text)
        new = [message for place, message in said.items() if said_before.get(place) != message]
        case_channels = fixture.case_channels()
        for message in new:
            yield from acting(message, case_channels)
        told = [message for message in new if message.get("via") in ("response_url", "chat.postEphemeral")]
        opened = len(self.world.workspace.store.views) > views_before
        if len(told) != 1 and not (opened and not told):
            yield f"the person was told {len(told)} times"
        may_not = who != "jane" and name in _CHANGES and where == "case"
        if may_not and told and "❌" not in str(told[0]["text"]):
            yield f"who may not was not told so, but {told[0]['text']!r:.200}"

    def _type(self, who: str, where: str, text: str, address: str | None, fields: Mapping[str, str]) -> int:
        """Send the command; return the status of the webhook's response."""
        statuses: list[int] = []

        def changed(_: Mapping[str, str], body: bytes) -> tuple[int, dict[str, str], bytes]:
            form = dict(parse_qsl(body.decode(), keep_blank_values=True)) | {"text": text, **fields}
            if address is not None:
                form["response_url"] = address
            sent = urlencode(form, errors="surrogatepass").encode()
            statuses.append(self.fixture.send(self.fixture.headers(sent, FORM_TYPE), sent))
            return statuses[-1], {}, b""

        self.world.app.deliver = changed
        person = {"jane": self.fixture.jane, "mallory": self.fixture.mallory, "guest": self.fixture.guest}[who]
        person.command(self.fixture.channel if where == "case" else self.fixture.elsewhere, "/security-ir")
        self.world.app.deliver = self.world.request
        return statuses[-1]

    def _wrongly_changed(
        self, before: Mapping[str, Any], after: Mapping[str, Any], who: str, where: str, name: str
    ) -> Iterable[str]:
        words = name.split()
        known = words[0].strip("\"'“”„‘’‚").casefold().replace("_", "-") if words else ""
        may = who == "jane" and where == "case" and known in _CHANGES
        allowed = [f"case {self.fixture.case_id} {field}" for field in _CHANGES[known]] if may else []
        if may:
            comments = f"case {self.fixture.case_id} comments"
            allowed += [comments, f"channel {self.fixture.channel} is", f"channel {self.fixture.channel} members"]
            yield from grown(before, after, comments)
        yield from changes(before, after, allowed=allowed)

    def _exact(self, before: Mapping[str, Any], after: Mapping[str, Any], name: str, text: str) -> Iterable[str]:
        """Check that the case holds the typed text. Slack converts its own markup, so such texts are not compared."""
        title = f"case {self.fixture.case_id} title"
        if len(after[title]) > TITLE_LIMIT:
            yield "the title is longer than AWS takes"
        typed = {skeleton(text), skeleton(text.strip().strip("\"'“”„‘’‚"))}
        if after[title] != before[title] and not set(text) & set("<&") and skeleton(after[title]) not in typed:
            yield f"the title became {after[title]!r:.200}"
        if name == "comment":
            added = [body for body in self.fixture.comments_since(before) if body.startswith("[Slack Update]")]
            if len(added) != 1:
                yield f"one comment became {len(added)}"
            elif not set(text) & set("<&") and not any(skeleton(one) in skeleton(added[0]) for one in typed):
                yield f"the comment became {html.unescape(added[0])!r:.200}"
