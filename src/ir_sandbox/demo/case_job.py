"""The first job: a case and its channel, synchronised in both directions."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from functools import partial
from typing import Any

import urllib3

from ir_router.slack.signature import sign
from ir_sandbox.cloud.launcher import LocalCloud
from ir_sandbox.demo.report import Report
from ir_sandbox.slack.delivery import Delivery
from ir_sandbox.slack.model import Json
from ir_sandbox.slack.people import Person
from ir_sandbox.slack.rendering import visible_text

_FROM_SLACK = b"time,key,country\n" * 2000
_FROM_AWS = b"what AWS found\n" * 100

PREFIX = "aws-security-incident-response-case-"


class CaseJob:
    """Acts as a user of the AWS console, as an AWS responder and as Jane in Slack; checks Slack and the case."""

    def __init__(self, cloud: LocalCloud, report: Report) -> None:
        """Use the running cloud `cloud`; add the checks to `report`."""
        self._cloud = cloud
        self._report = report
        self._client = cloud.client("security-ir")
        self.case_id = ""
        self._delivery: Delivery

    @property
    def channel_name(self) -> str:
        """The name of the case's channel."""
        return f"{PREFIX}{self.case_id}"

    def run(self) -> None:
        """Run the job in the usual order of users' actions."""
        self._report.title("A case and its Slack channel")
        jane = self._cloud.slack.person("jane.smith")
        self._case_becomes_channel(jane)
        self._comments_both_ways(jane)
        self._files_both_ways(jane)
        self._commands(jane)
        self._rejected_requests()
        self._closing(jane)

    def _case_becomes_channel(self, jane: Person) -> None:
        answer = self._client.create_case(
            resolverType="Self",
            title="Suspicious API activity detected",
            description="Unusual API calls from unknown IP addresses. <!channel> is only text here.",
            engagementType="Security Incident",
            reportedIncidentStartDate=datetime.now(UTC),
            impactedAccounts=["123456789012"],
            watchers=[{"email": "jane.smith@example.com", "name": "Jane Smith"}],
            tags={"severity": "High"},
        )
        self.case_id = answer["caseId"]
        check = self._report.check
        check("CreateCase creates a private channel named after the case", lambda: self._channel().is_private)
        check("the first message shows title, severity, status and description", self._notice)
        check("the topic shows status and severity", lambda: "Severity: High" in self._channel().topic["value"])
        check("the watcher Jane Smith is in the channel", lambda: jane.id in self._channel().members)
        check("a comment on the case names the channel", lambda: self._comment(f"#{self.channel_name}"))

    def _comments_both_ways(self, jane: Person) -> None:
        check = self._report.check
        self._cloud.security_ir.add_comment_as(self.case_id, body="We see the same key used from two countries.")
        check("an AWS responder's comment appears in the channel", lambda: self._message("two countries"))
        ts = jane.post(self._channel().id, "I am lookin at the key")
        check(
            "Jane's message becomes a comment on the case, with her name", lambda: self._comment("Jane Smith", "lookin")
        )
        jane.edit(self._channel().id, ts, "I am looking at the key")
        check("her edit updates that comment", lambda: self._comment("Jane Smith", "looking at the key"))
        self._delivery = next(
            one for one in self._cloud.slack.deliveries.log if one.event_type == "message" and b"lookin at" in one.body
        )
        before = len(self._comments())
        status = self._post(self._delivery.body, {"X-Slack-Retry-Num": "1", "X-Slack-Retry-Reason": "http_timeout"})
        check("a second delivery of the same event is accepted", lambda: status == 200)
        self._report.stays(
            "it adds no second comment and keeps the edit",
            lambda: len(self._comments()) == before and self._comment("Jane Smith", "looking at the key"),
            seconds=3,
        )

    def _files_both_ways(self, jane: Person) -> None:
        check = self._report.check
        jane.upload(self._channel().id, "key usage.csv", _FROM_SLACK)
        check(
            "a file that Jane shares becomes an attachment with identical bytes",
            lambda: self._attachment("key_usage-") == _FROM_SLACK,
        )
        check("the channel reports the upload", lambda: self._message("📎 File uploaded to AWS Security IR case"))
        self._cloud.security_ir.add_attachment_as(self.case_id, file_name="report.txt", content=_FROM_AWS)
        check(
            "the poll copies an attachment to the channel with identical bytes",
            lambda: self._file("📎 New attachment from AWS Security IR case") == _FROM_AWS,
            within=900,
        )

    def _commands(self, jane: Person) -> None:
        check = self._report.check
        channel = self._channel().id
        for text, expected in (
            ("status", "📋 Case Status"),
            ('update-status "In Progress"', '✅ Case status updated to "In Progress"'),
            ("incident-details", "📊 Case Summary"),
        ):
            jane.command(channel, "/security-ir", text)
            check(f"/security-ir {text}: response at the response_url", partial(self._answer, jane, expected))
        check(
            "the case's status is Detection and Analysis",
            lambda: self._case()["caseStatus"] == "Detection and Analysis",
        )
        changed = "→ In Progress (Detection and Analysis), by Jane Smith"
        check(
            "the channel reports who changed it, and the topic shows the status",
            lambda: self._announced(changed, "Status: In Progress"),
        )

    def _rejected_requests(self) -> None:
        """Send a new message of Jane as Slack would, but unsigned, and with a signature from ten minutes ago."""
        before = self._comments()
        event = json.loads(self._delivery.body)
        event["event_id"] = "EvFORGED"
        event["event"] |= {"text": "forged", "ts": f"{time.time():.6f}"}
        body = json.dumps(event).encode()
        check = self._report.check
        check("an unsigned request is rejected", lambda: self._send(body, {}) == 401)
        old = str(int(time.time()) - 600)
        signature = sign(self._cloud.slack_app.signing_secret, old, body)
        headers = {"X-Slack-Request-Timestamp": old, "X-Slack-Signature": signature}
        check("a request with a signature from ten minutes ago is rejected", lambda: self._send(body, headers) == 401)
        self._report.stays("neither request changes the case", lambda: self._comments() == before, seconds=3)

    def _closing(self, jane: Person) -> None:
        check = self._report.check
        channel = self._channel().id
        jane.command(channel, "/security-ir", "close")
        asked = check("/security-ir close asks for confirmation", lambda: self._confirmation(jane))
        if asked is None:
            return
        jane.press(channel, str(asked["ts"]), str(asked["action_id"]))
        check("the button closes the case", lambda: self._case()["caseStatus"] == "Closed")
        check("the channel reports it, and the topic shows it", lambda: self._announced("→ Closed", "Status: Closed"))

    # Reading Slack and the case

    def _channel(self) -> Any:
        return self._cloud.slack.channel(self.channel_name)

    def messages(self) -> list[Json]:
        """Return the channel's messages."""
        return self._cloud.slack.channel_messages(self._channel().id)

    def _message(self, text: str) -> Json:
        return next(message for message in self.messages() if text in message["text"])

    def _notice(self) -> bool:
        first = next(message for message in self.messages() if not message.get("subtype"))
        shown = (
            "Suspicious API activity detected",
            "High",
            "Open (Submitted)",
            "Unusual API calls",
            "<!channel> is only text here",
        )
        return all(part in visible_text(first) for part in shown)

    def _announced(self, change: str, topic: str) -> bool:
        announced = any(change in message["text"] for message in self.messages() if not message.get("subtype"))
        return announced and self._channel().topic["value"].startswith(topic)

    def _answer(self, jane: Person, text: str) -> bool:
        return any(text in str(message) for message in self._cloud.slack.ephemerals(jane.id))

    def _confirmation(self, jane: Person) -> Json | None:
        for message in self._cloud.slack.ephemerals(jane.id):
            for block in message.get("blocks") or []:
                for element in block.get("elements") or []:
                    if element.get("type") == "button" and element.get("style") == "danger":
                        return {"ts": message["ts"], "action_id": element["action_id"]}
        return None

    def _case(self) -> Any:
        return self._client.get_case(caseId=self.case_id)

    def _comments(self) -> list[str]:
        bodies: list[str] = []
        more: dict[str, Any] = {}
        while True:
            answer = self._client.list_comments(caseId=self.case_id, **more)
            bodies += [item.get("body", "") for item in answer["items"]]
            if not answer.get("nextToken"):
                return bodies
            more = {"nextToken": answer["nextToken"]}

    def _comment(self, *parts: str) -> bool:
        return any(all(part in body for part in parts) for body in self._comments())

    def _attachment(self, name: str) -> bytes:
        found = next(one for one in self._case()["caseAttachments"] if one["fileName"].startswith(name))
        answer = self._client.get_case_attachment_download_url(caseId=self.case_id, attachmentId=found["attachmentId"])
        return urllib3.request("GET", answer["attachmentPresignedUrl"]).data

    def _file(self, text: str) -> bytes:
        shared = self._message(text)["files"][0]["id"]  # a message may show a file with its id only
        token = {"Authorization": f"Bearer {self._cloud.slack_app.token}"}
        answer = urllib3.request("GET", f"{self._cloud.slack_api_base_url}files.info?file={shared}", headers=token)
        file = answer.json()["file"]
        return urllib3.request("GET", file["url_private_download"], headers=token).data

    # Requests to the webhook

    def _post(self, body: bytes, headers: dict[str, str]) -> int:
        now = str(int(time.time()))
        signature = sign(self._cloud.slack_app.signing_secret, now, body)
        return self._send(body, {"X-Slack-Request-Timestamp": now, "X-Slack-Signature": signature, **headers})

    def _send(self, body: bytes, headers: dict[str, str]) -> int:
        answer = urllib3.request(
            "POST", self._cloud.webhook_url, body=body, headers={"Content-Type": "application/json", **headers}
        )
        return answer.status
