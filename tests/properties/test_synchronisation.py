"""Whatever happens in whatever order, both sides come to hold the same things, once, in order.

People and AWS's responders act at random; events are delivered, lost, doubled and reordered; polls come when they come;
functions die at any outbound call. In the end everything is let come to rest and both sides are compared.

`HYPOTHESIS_PROFILE=long` tries many more and longer stories.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import re
from collections import Counter
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from ir_local.slack.people import Person
from ir_local.world.crashes import recover
from tests.support.crashes import worlds
from tests.support.sync import attachments, from_slack, shown
from tests.support.world import World

settings.register_profile("short", max_examples=12, stateful_step_count=14)
settings.register_profile(
    "long", max_examples=int(os.environ.get("HYPOTHESIS_EXAMPLES", "300")), stateful_step_count=40
)
PROFILE = settings.get_profile(os.environ.get("HYPOTHESIS_PROFILE", "short"))

WORD = re.compile(r"\bw\d+\b")
sides = st.sampled_from(["before", "after"])


class Synchronisation(RuleBasedStateMachine):
    """`wrote` and `added` are what Slack's and AWS's people said, each a word of its own, as it stands now."""

    def __init__(self) -> None:
        super().__init__()
        self.closing = contextlib.ExitStack()
        self.closing.enter_context(contextlib.redirect_stdout(io.StringIO()))
        self.world: World = self.closing.enter_context(worlds())
        self.jane: Person = self.world.workspace.create_user("jane", email="jane.smith@example.com", real_name="Jane")
        self.words = 0
        self.wrote: dict[str, str | None] = {}
        self.added: dict[str, str] = {}
        self.uploaded: list[bytes] = []
        self.attached: list[bytes] = []
        self.title = "first title"
        logging.disable(logging.CRITICAL)

    def teardown(self) -> None:
        try:
            self._all_come_to_rest()
            self._both_sides_hold_the_same_once_and_in_order()
        finally:
            logging.disable(logging.NOTSET)
            self.closing.close()

    # What people do

    @initialize(native=st.booleans())
    def open_a_case(self, native: bool) -> None:
        self.world.drop_native_events = not native
        self.case_id = self.world.create_case(title=self.title)

    def _word(self) -> str:
        self.words += 1
        self.world.advance(0.01)  # AWS orders comments by the millisecond
        return f"w{self.words}"

    def _channel(self) -> str | None:
        name = f"aws-security-incident-response-case-{self.case_id}"
        found = [c for c in self.world.workspace.store.channels.values() if c.name == name]
        return found[0].id if found and self.jane.id in found[0].members else None

    @rule()
    def responder_comments(self) -> None:
        word = self._word()
        self.added[self.world.security_ir.add_comment_as(self.case_id, body=f"{word} is a finding")] = word

    @precondition(lambda self: self.added)
    @rule(data=st.data())
    def responder_edits(self, data: st.DataObject) -> None:
        comment_id = data.draw(st.sampled_from(sorted(self.added)))
        self.added[comment_id] = self._word()
        self.world.security_ir.update_comment_as(self.case_id, comment_id, body=f"{self.added[comment_id]} corrects it")

    @rule()
    def responder_attaches(self) -> None:
        content = self._word().encode()
        self.attached.append(content)
        self.world.security_ir.add_attachment_as(self.case_id, file_name="evidence.bin", content=content)

    @rule()
    def responder_changes_the_title(self) -> None:
        self.title = self._word()
        self.world.security_ir.call("UpdateCase", {"caseId": self.case_id, "title": self.title})

    @precondition(lambda self: self._channel())
    @rule(words=st.integers(1, 3))
    def jane_writes(self, words: int) -> None:
        for _ in range(words):
            word = self._word()
            self.wrote[self.jane.post(str(self._channel()), f"{word} said Jane")] = word

    @precondition(lambda self: any(self.wrote.values()))
    @rule(data=st.data())
    def jane_edits(self, data: st.DataObject) -> None:
        ts = data.draw(st.sampled_from([ts for ts, word in self.wrote.items() if word]))
        self.wrote[ts] = self._word()
        self.jane.edit(str(self._channel()), ts, f"{self.wrote[ts]} meant Jane")

    @precondition(lambda self: any(self.wrote.values()))
    @rule(data=st.data())
    def jane_deletes(self, data: st.DataObject) -> None:
        ts = data.draw(st.sampled_from([ts for ts, word in self.wrote.items() if word]))
        self.wrote[ts] = None
        self.jane.delete(str(self._channel()), ts)

    @precondition(lambda self: self._channel())
    @rule()
    def jane_shares_a_file(self) -> None:
        content = self._word().encode()
        self.uploaded.append(content)
        self.jane.upload(str(self._channel()), "log.txt", content)

    # What happens in between

    @rule()
    def slack_delivers(self) -> None:
        self.world.deliver()

    @rule()
    def slack_delivers_twice(self) -> None:
        self.world.workspace.deliveries.disturb("duplicate")

    @rule()
    def queues_are_worked_on(self) -> None:
        self.world._run_queues()

    @rule()
    def aws_tells_newest_first(self) -> None:
        self.world.security_ir.events.wait_until_idle()
        self.world.hints.reverse()
        self.world._run_hints()

    @rule()
    def aws_tells_twice(self) -> None:
        self.world.security_ir.events.wait_until_idle()
        self.world.hints *= 2
        self.world._run_hints()

    @rule()
    def events_are_lost(self) -> None:
        self.world.security_ir.events.wait_until_idle()
        self.world.hints.clear()

    @rule()
    def the_schedule_ticks(self) -> None:
        self.world.poll()

    @rule(seconds=st.sampled_from([1, 10, 61, 130, 400]))
    def time_passes(self, seconds: int) -> None:
        self.world.advance(seconds)

    @rule(number=st.integers(1, 40), side=sides)
    def a_function_will_die(self, number: int, side: Any) -> None:
        self.world.wire.kill_at(number, side)

    # The end

    def _all_come_to_rest(self) -> None:
        self.world.wire.spare()
        recover(self.world)
        self.world.live(3)
        self.world.settle()

    def _both_sides_hold_the_same_once_and_in_order(self) -> None:
        assert self.world.dead_letters("slack-events") == []
        assert self.world.dead_letters("files") == []
        channels = list(self.world.workspace.store.channels.values())
        assert [c.name for c in channels] == [f"aws-security-incident-response-case-{self.case_id}"]
        channel = channels[0].id

        bodies = from_slack(self.world, self.case_id)
        said = [body for body in bodies if "log.txt" not in body]
        assert [self._now_says(body) for body in said] == [word or "deleted" for word in self.wrote.values()]
        assert len(bodies) - len(said) == len(self.uploaded)

        messages = [shown(m) for m in self.world.workspace.channel_messages(channel) if m.get("bot_id")]
        comments = [message for message in messages if "commented" in message]
        assert [WORD.findall(c.split("commented")[1])[0] for c in comments] == list(self.added.values())
        assert not [m for m in messages if "said Jane" in m or "meant Jane" in m], "an echo"
        assert sum(f"Case {self.case_id}" in message for message in messages) == 1

        kept = self.world.workspace.store.files
        shared = [kept[f["id"]] for m in self.world.workspace.channel_messages(channel) for f in m.get("files", [])]
        from_aws = [file.path.read_bytes() for file in shared if file.app_id]
        assert Counter(from_aws) == Counter(self.attached)
        on_case = self.world.security_ir.snapshot()["cases"][self.case_id]["attachments"].values()
        assert Counter(one["path"].read_bytes() for one in on_case) == Counter(self.attached + self.uploaded)
        assert len(attachments(self.world, self.case_id)) == len(self.attached) + len(self.uploaded)

        told = [message for message in messages if "*Title*" in message]
        last = told[-1].split("→ ")[1] if told else next(m for m in messages if f"Case {self.case_id}" in m)
        assert self.title in last

    def _now_says(self, body: str) -> str:
        return "deleted" if "(This message was deleted in Slack.)" in body else WORD.findall(body.split("\n")[1])[0]


TestSynchronisation = Synchronisation.TestCase
TestSynchronisation.settings = settings(
    PROFILE,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
    print_blob=True,
)
