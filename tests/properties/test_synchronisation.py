"""For any order of events, both sides end with the same content, once and in order.

Users and AWS's responders act at random. Events are delivered, lost, duplicated and reordered. Polls run at any time.
Functions die at any outbound call and run concurrently. At the end all work is processed and both sides are compared.

`HYPOTHESIS_PROFILE=long` runs many more and longer examples, different ones each time.
"""

from __future__ import annotations

import contextlib
import io
import logging
import re
from collections import Counter
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from ir_router.cases import status
from ir_sandbox.slack.people import Person
from tests.support.crashes import worlds
from tests.support.sync import attachments, from_slack, shown, system_comments
from tests.support.world import World
from tests.trials.world.crashes import recover

WORD = re.compile(r"\bw\d+\b")
REFERENCE = re.compile(r"\(Slack \w+/(\d+\.\d+)\)\Z")
CHANGE = r"\*{}\*: (.+?) → (.+?)(?:, by .+)?$"
STATUSES = ("Submitted", "Acknowledged", "Detection and Analysis", "Post-incident Activities", "Ready to Close")
WATCHERS = {"bob@example.com": "Bob Stone", "kim@example.com": "Kim Lee", "ghost@example.com": ""}
TOLD_OF_CLOSING = "The case is closed. New messages in this channel are not copied"
# Quirks of Slack that pass by themselves, or that only change the format of its events.
PASSING_QUIRKS = (
    "download-is-a-page-at-first",
    "download-missing-at-first",
    "download-redirects-at-first",
    "envelope_names_sender",
    "file-deletion-names-channels",
    "file-empty-at-first",
    "file-other-size-at-first",
    "file-stub-of-slack-connect",
    "file-unknown-at-first",
    "file-without-media-type",
    "file-without-url-at-first",
    "messages.blocks_without_text",
    "messages.changes_without_previous",
    "messages.housekeeping_changes",
    "messages.huddles",
    "messages.replies_change_parents",
    "messages.slackbot",
    "messages.user_token_posts",
    "upload-shared-late",
)
sides = st.sampled_from(["before", "after"])


def _is_report(name: str) -> bool:
    """Whether a file is a report, which ir-router writes by itself when a case closes."""
    return re.fullmatch(r"report-\d+\.(html|json)", name) is not None


class Synchronisation(RuleBasedStateMachine):
    """`wrote` and `added` hold the current texts by Slack's users and by AWS, each a unique word.

    `meant` holds all versions of Jane's messages, because an edit on a closed case is not copied.
    """

    def __init__(self) -> None:
        super().__init__()
        self.closing = contextlib.ExitStack()
        self.closing.enter_context(contextlib.redirect_stdout(io.StringIO()))
        self.world: World = self.closing.enter_context(worlds())
        self.jane: Person = self.world.workspace.create_user("jane", email="jane.smith@example.com", real_name="Jane")
        for email, name in WATCHERS.items():
            if name:
                self.world.workspace.create_user(name.split()[0].lower(), email=email, real_name=name)
        self.words = 0
        self.wrote: dict[str, str | None] = {}
        self.meant: dict[str, list[str]] = {}
        self.added: dict[str, str] = {}
        self.uploaded: list[bytes] = []
        self.attached: list[bytes] = []
        self.title = "w0"
        self.status = "Submitted"
        self.is_closed = False
        self.watchers: Counter[str] = Counter()  # the number of additions of each
        self.watching: set[str] = set()
        logging.disable(logging.CRITICAL)

    def teardown(self) -> None:
        try:
            self._all_come_to_rest()
            self._both_sides_hold_the_same_once_and_in_order()
        finally:
            logging.disable(logging.NOTSET)
            self.closing.close()

    # Actions of users

    @initialize(native=st.booleans(), quirks=st.sets(st.sampled_from(PASSING_QUIRKS), max_size=4))
    def open_a_case(self, native: bool, quirks: set[str]) -> None:
        self.world.drop_native_events = not native
        self.world.workspace.store.quirks.turn_on(quirks)
        self.world.poll()  # the system existed first; it ignores a case that was closed earlier
        self.case_id = self.world.create_case(title=self.title)

    def _word(self) -> str:
        self.words += 1
        self.world.advance(0.01)  # AWS orders comments by the millisecond
        return f"w{self.words}"

    def _channel(self) -> str | None:
        name = f"aws-security-incident-response-case-{self.case_id}"
        found = [c for c in self.world.workspace.store.channels.values() if c.name == name]
        return found[0].id if found and self.jane.id in found[0].members else None

    @precondition(lambda self: not self.is_closed)
    @rule()
    def responder_comments(self) -> None:
        word = self._word()
        self.added[self.world.security_ir.add_comment_as(self.case_id, body=f"{word} is a finding")] = word

    @precondition(lambda self: self.added and not self.is_closed)
    @rule(data=st.data())
    def responder_edits(self, data: st.DataObject) -> None:
        comment_id = data.draw(st.sampled_from(sorted(self.added)))
        self.added[comment_id] = self._word()
        self.world.security_ir.update_comment_as(self.case_id, comment_id, body=f"{self.added[comment_id]} corrects it")

    @precondition(lambda self: not self.is_closed)
    @rule()
    def responder_attaches(self) -> None:
        content = self._word().encode()
        self.attached.append(content)
        self.world.security_ir.add_attachment_as(self.case_id, file_name="evidence.bin", content=content)

    @precondition(lambda self: not self.is_closed)
    @rule()
    def responder_changes_the_title(self) -> None:
        self.title = self._word()
        self.world.security_ir.call("UpdateCase", {"caseId": self.case_id, "title": self.title})

    @precondition(lambda self: not self.is_closed)
    @rule(wanted=st.sampled_from(STATUSES))
    def responder_sets_the_status(self, wanted: str) -> None:
        self.status = wanted
        self.world.security_ir.set_status_as(self.case_id, wanted)

    @precondition(lambda self: not self.is_closed)
    @rule(email=st.sampled_from(sorted(WATCHERS)))
    def watcher_comes_or_goes(self, email: str) -> None:
        change = "watchersToDelete" if email in self.watching else "watchersToAdd"
        self.watchers[email] += email not in self.watching
        self.watching ^= {email}
        self.world.security_ir.call("UpdateCase", {"caseId": self.case_id, change: [{"email": email}]})

    @precondition(lambda self: not self.is_closed and self.words > 5)
    @rule()
    def responder_closes_the_case(self) -> None:
        self.is_closed, self.status = True, "Closed"
        self.world.security_ir.close_case_as(self.case_id)

    @precondition(lambda self: self._channel())
    @rule(words=st.integers(1, 3), replies=st.booleans())
    def jane_writes(self, words: int, replies: bool) -> None:
        thread = next((ts for ts, word in self.wrote.items() if word), None) if replies else None
        for _ in range(words):
            word = self._word()
            ts = self.jane.post(str(self._channel()), f"{word} said Jane", thread_ts=thread)
            self.wrote[ts], self.meant[ts] = word, [word]

    @precondition(lambda self: any(self.wrote.values()))
    @rule(data=st.data())
    def jane_edits(self, data: st.DataObject) -> None:
        ts = data.draw(st.sampled_from([ts for ts, word in self.wrote.items() if word]))
        word = self._word()
        self.wrote[ts] = word
        self.meant[ts].append(word)
        self.jane.edit(str(self._channel()), ts, f"{word} meant Jane")

    @precondition(lambda self: any(self.wrote.values()))
    @rule(data=st.data())
    def jane_deletes(self, data: st.DataObject) -> None:
        ts = data.draw(st.sampled_from([ts for ts, word in self.wrote.items() if word]))
        self.wrote[ts] = None
        self.meant[ts].append("deleted")
        self.jane.delete(str(self._channel()), ts)

    @precondition(lambda self: self._channel())
    @rule()
    def jane_shares_a_file(self) -> None:
        content = self._word().encode()
        self.uploaded.append(content)
        self.jane.upload(str(self._channel()), "log.txt", content)

    # Events in between

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

    @rule(number=st.integers(1, 40), side=sides, what=st.sampled_from(["again", "case", "poll", "queues", "told"]))
    def two_functions_will_run_at_once(self, number: int, side: Any, what: str) -> None:
        self.world.wire.interrupt_at(number, side, lambda: self._meanwhile(what))

    def _meanwhile(self, what: str) -> None:
        """Run a second function between two calls of the first."""
        if what == "again":  # both functions received the same event
            running = self.world.invocations[-1]
            self.world.try_invoke(running.deployment, running.event)
        elif what == "case":
            self.world.try_invoke("sync", {"source": "aws.security-ir", "detail": {"caseId": self.case_id}})
        elif what == "poll":
            self.world.poll()
        elif what == "queues":
            self.world._run_queues()
        else:
            self.world.deliver()
            self.world._run_hints()

    # The end

    def _all_come_to_rest(self) -> None:
        self.world.wire.spare()
        recover(self.world)
        self.world.live(3)
        self.world.settle()

    def _both_sides_hold_the_same_once_and_in_order(self) -> None:
        assert self.world.dead_letters("slack-events") == []
        assert self.world.dead_letters("files") == []
        channels = self.world.workspace.store.channels.values()
        # ir-router makes a security channel too.
        (channel,) = [channel for channel in channels if channel.name != "security-incident-security"]
        assert channel.name == f"aws-security-incident-response-case-{self.case_id}"
        messages = [m for m in self.world.workspace.channel_messages(channel.id) if m.get("bot_id")]
        texts = [shown(message) for message in messages]
        assert not [text for text in texts if "out of sync" in text or "could not be copied" in text]
        assert sum(f"Case {self.case_id}" in text for text in texts) == 1
        assert len(system_comments(self.world, self.case_id)) in ((0, 1) if self.is_closed else (1,))

        self._what_was_said_is_on_the_case(texts)
        self._what_was_commented_is_in_the_channel(texts)
        self._files_are_on_both_sides(channel.id, texts)
        self._changes_were_told_one_after_the_other([m["text"] for m in messages], channel.topic["value"])
        self._people_were_told_of(texts, {self.world.workspace.store.users[one].name for one in channel.members})

    def _what_was_said_is_on_the_case(self, texts: list[str]) -> None:
        bodies = [body for body in from_slack(self.world, self.case_id) if "log.txt" not in body]
        on_case = {self._reference(body): self._now_says(body) for body in bodies}
        assert len(on_case) == len(bodies)
        assert list(on_case) == [ts for ts in self.wrote if ts in on_case], "another order"
        told = sum(TOLD_OF_CLOSING in text for text in texts)
        if self.is_closed:
            assert all(said in self.meant[ts] for ts, said in on_case.items())
            assert told == 1 if set(on_case) < set(self.wrote) else told <= 1
        else:
            assert on_case == {ts: word or "deleted" for ts, word in self.wrote.items()}
            assert told == 0

    def _what_was_commented_is_in_the_channel(self, texts: list[str]) -> None:
        comments = [text for text in texts if "commented" in text]
        assert [WORD.findall(c.split("commented")[1])[0] for c in comments] == list(self.added.values())
        assert not [text for text in texts if "said Jane" in text or "meant Jane" in text], "an echo"

    def _files_are_on_both_sides(self, channel: str, texts: list[str]) -> None:
        kept = self.world.workspace.store.files
        shared = [kept[f["id"]] for m in self.world.workspace.channel_messages(channel) for f in m.get("files", [])]
        from_aws = [file.path.read_bytes() for file in shared if file.app_id and not _is_report(file.name)]
        assert Counter(from_aws) == Counter(self.attached)
        on_case = self.world.security_ir.snapshot()["cases"][self.case_id]["attachments"].values()
        arrived = Counter(one["path"].read_bytes() for one in on_case if not _is_report(one["file_name"]))
        late = Counter(self.attached + self.uploaded) - arrived
        assert arrived + late == Counter(self.attached + self.uploaded)
        assert sum("log.txt` was not copied to the case: the case is closed" in text for text in texts) == len(late)
        assert not late or self.is_closed
        assert len(attachments(self.world, self.case_id)) == arrived.total()
        named = [body for body in from_slack(self.world, self.case_id) if "log.txt" in body]
        assert len(named) == len(self.uploaded) if not self.is_closed else len(named) <= len(self.uploaded)

    def _changes_were_told_one_after_the_other(self, texts: list[str], topic: str) -> None:
        notice = next(text for text in texts if f"Case {self.case_id}" in text)
        self._chain(texts, "Title", notice.split(f"{self.case_id}: ")[1].split(". Status")[0], self.title)
        now = status.shown(self.status)
        self._chain(texts, "Status", notice.split("Status: ")[1].split(". Severity")[0], now)
        assert topic == f"Status: {now} | Severity: High"

    def _chain(self, texts: list[str], field: str, shown_first: str, now: str) -> None:
        """Check that each change starts with the previously announced value, and that the last one ends with the
        current value.
        """
        told = [change for text in texts for change in re.findall(CHANGE.format(field), text, re.MULTILINE)]
        befores, afters = [before for before, _ in told], [after for _, after in told]
        assert [*befores, now] == [shown_first, *afters]

    def _people_were_told_of(self, texts: list[str], members: set[str]) -> None:
        for email, name in WATCHERS.items():
            if not name:
                alerts = sum("could not be invited" in text and email in text for text in texts)
                assert (email in self.watching) <= alerts <= self.watchers[email]
                continue
            assert email not in self.watching or name.split()[0].lower() in members
            told = ["No longer" not in text for text in texts if name in text]
            assert told == [number % 2 == 0 for number in range(len(told))], "announced twice"
            assert bool(told and told[-1]) == (email in self.watching)

    def _reference(self, body: str) -> str:
        found = REFERENCE.search(body)
        assert found is not None, body
        return found[1]

    def _now_says(self, body: str) -> str:
        return "deleted" if "(This message was deleted in Slack.)" in body else WORD.findall(body.split("\n")[1])[0]


TestSynchronisation = Synchronisation.TestCase
TestSynchronisation.settings = settings(
    max_examples=12 if settings.get_current_profile_name() == "short" else settings().max_examples,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
    print_blob=True,
)
