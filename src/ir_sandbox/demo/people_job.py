"""The third job: the right people are called, and two of them decide."""

from __future__ import annotations

import json

from ir_sandbox.cloud.launcher import LocalCloud
from ir_sandbox.demo.alerts import Alerts
from ir_sandbox.demo.incidents import Incidents, Key
from ir_sandbox.demo.report import Report
from ir_sandbox.demo.scenes import Scenes
from ir_sandbox.slack.model import Json
from ir_sandbox.slack.people import Person
from ir_sandbox.slack.rendering import visible_text

APPROVERS = ("ann.lee@example.com", "jane.smith@example.com")
VARIABLES = {
    "slack_approvers": list(APPROVERS),
    "approvals_required": {"release": 2},
    "page_after_minutes": 1,
    "reminder_minutes": [1],
}
"""The Terraform variables of a cloud for this job."""


class PeopleJob(Incidents):
    """Acts as Ann, who is only an approver, as Jane, and as John, who is no approver.

    The request waits for a minute before anyone takes it, so `start` and `run` are apart.
    """

    def __init__(self, cloud: LocalCloud, report: Report) -> None:
        """Use the running cloud `cloud`, which has VARIABLES; add the checks to `report`."""
        super().__init__(cloud, report)
        self._pages = Alerts(cloud, "page_topic_arn")
        self._scenes = Scenes(cloud)
        self._jane, self._john = cloud.slack.person("jane.smith"), cloud.slack.person("john.doe")
        self._ann = cloud.slack.create_user("ann.lee")
        self._jane.invite(cloud.security_channel.id, self._ann.id)
        self._key: Key
        self._execution = ""
        self._channel = ""
        self._ts = ""

    def start(self) -> None:
        """Let the incident happen. No approver reacts to its request yet."""
        self._report.title("A compromised access key at night")
        self._key = self._new_key("night-user")
        self._execution = self._happens(self._created(self._key, "night-admin", "AKIAEXAMPLEEXAMPLE01"))
        check = self._report.check
        check("CreateAccessKey: the key is inactive", lambda: self._keys(self._key.user) == {self._key.id: "Inactive"})
        self._channel, self._ts = check(
            "the approval request is in the channel of the case", lambda: self._request(self._key)
        ) or ("", "")
        check("Ann, who is only an approver, was invited to the channel", lambda: self._is_member(self._ann))
        check("the request in the security channel mentions the approvers", self._mentions_approvers)

    def run(self) -> None:
        """Run the job after other jobs, so that a minute has passed."""
        self._report.title("The right people, and two of them")
        if self._ts:
            self._without_assignee()
            self._taken()
            self._approved()
            self._released_by_two()

    def _without_assignee(self) -> None:
        check = self._report.check
        check(
            "after a minute, the on-call service is paged",
            lambda: self._pages.seen("without an assignee", self._key.user),
        )
        reminder = check("a reminder with a link is in the channel", lambda: self._said("Still waiting", self._channel))
        if reminder is not None:
            self._scenes.message("reminder", self._channel, reminder["ts"])
        self._john.press(self._channel, self._ts, "approval_approve")
        check(
            "John, who is no approver, reads that he cannot decide",
            lambda: self._answered(self._john, "only approvers"),
        )
        check("the audit has the refusal, and the workflow still waits", self._was_refused)
        for view in self._john.views():
            self._john.close_view(view.id)

    def _taken(self) -> None:
        check = self._report.check
        self._jane.command(self._channel, "/security-ir", "approvals")
        check(
            "/security-ir approvals links the request", lambda: self._answered(self._jane, self._key.user, "/archives/")
        )
        self._jane.command(self._channel, "/security-ir", "list")
        case_id = self._case_id()
        check(
            "/security-ir list has the case and its channel",
            lambda: self._answered(self._jane, f"cases/{case_id}", f"<#{self._channel}>"),
        )
        self._ann.press(self._channel, self._ts, "request_assign")
        check('"I\'m on it" shows Ann as the assignee', lambda: "Ann Lee" in self._shown())
        self._scenes.message("assigned", self._channel, self._ts)

    def _approved(self) -> None:
        check = self._report.check
        self._decide_in_form(self._ann, "approval_approve", {})
        check("Ann approves, and the key is deleted", lambda: not self._keys(self._key.user))
        check("the execution succeeded", lambda: self._status(self._execution) == "SUCCEEDED")
        check("the channel reads who approved", lambda: self._said("Approved by Ann Lee", self._channel))
        check("the deny policy stays", lambda: self._policies(self._key.user))

    def _released_by_two(self) -> None:
        check = self._report.check
        check("the request offers the release", lambda: "release_access" in json.dumps(self._message()))
        self._scenes.message("approved", self._channel, self._ts)
        self._release(self._ann)
        check("after the first release, one of two people is shown", lambda: "1 of 2 people" in self._shown())
        self._scenes.message("first-of-two", self._channel, self._ts)
        check("the deny policy is still attached", lambda: self._policies(self._key.user))
        self._release(self._jane)
        check("after the second one, the deny policy is detached", lambda: not self._policies(self._key.user))
        check(
            "the request names both",
            lambda: all(name in self._shown() for name in ("Released by Ann Lee", "Jane Smith")),
        )
        self._scenes.message("released", self._channel, self._ts)
        self._scenes.channel("security-channel", self._cloud.security_channel.id, self._key.user)

    # Actions

    def _decide_in_form(self, person: Person, button: str, values: dict[str, object]) -> None:
        person.press(self._channel, self._ts, button)
        view = self._report.check(
            f"the button opens a form for {person.user.real_name}", lambda: next(iter(person.views()), None)
        )
        if view is not None:
            chosen = [block["element"] for block in view.body["blocks"] if block["type"] == "input"]
            first = {one["action_id"]: one["options"][0]["value"] for one in chosen if "options" in one}
            person.submit(view.id, {**first, **values})

    def _release(self, person: Person) -> None:
        self._decide_in_form(person, "release_access", {"reason": "The user has new keys"})

    # Reading Slack

    def _is_member(self, person: Person) -> bool:
        return person.id in self._cloud.slack.store.channels[self._channel].members

    def _case_id(self) -> str:
        return self._cloud.slack.store.channels[self._channel].name.rpartition("-")[2]

    def _message(self) -> Json:
        return next(one for one in self._cloud.slack.channel_messages(self._channel) if one["ts"] == self._ts)

    def _shown(self) -> str:
        return visible_text(self._message())

    def _names_both(self) -> bool:
        return all(part in self._shown() for part in ("Released by", "Ann Lee", "Jane Smith"))

    def _said(self, text: str, channel: str) -> Json:
        return next(one for one in self._cloud.slack.channel_messages(channel) if text in one["text"])

    def _mentions_approvers(self) -> bool:
        request = self._said(self._key.user, self._cloud.security_channel.id)
        return all(f"<@{person.id}>" in request["text"] for person in (self._ann, self._jane))

    def _answered(self, person: Person, *parts: str) -> bool:
        answers = [json.dumps(one, ensure_ascii=False) for one in self._cloud.slack.ephemerals(person.id)]
        return any(all(part in answer for part in parts) for answer in answers)

    def _was_refused(self) -> bool:
        return self._in_ledger("AUDIT#2", "decision_refused") and self._status(self._execution) == "RUNNING"
