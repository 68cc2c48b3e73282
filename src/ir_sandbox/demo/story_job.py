"""The third job: an attack and its story. The calls of the intruder appear on the case, and the report is verified."""

from __future__ import annotations

import contextlib
import io
import json
import time
import uuid
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import urllib3

from ir_operator.__main__ import main as ir_router
from ir_sandbox import cloud_trail
from ir_sandbox.cloud.launcher import LocalCloud
from ir_sandbox.demo import report_pictures
from ir_sandbox.demo.report import Report
from ir_sandbox.slack.model import Json
from ir_sandbox.slack.people import Person

ACCOUNT = "000000000000"
FOLDER = Path("build") / "demo" / "report"
"""The attachments of the case: the report, and the calls of the intruder."""
ACTIVITY_WITHIN_SECONDS = 120


class StoryJob:
    """Acts as an intruder with a stolen key, and as the analyst; checks the case, its channel and the report."""

    def __init__(self, cloud: LocalCloud, report: Report) -> None:
        """Use the running cloud `cloud`; add the checks to `report`."""
        self._cloud, self._report = cloud, report
        self._iam, self._cases = cloud.client("iam"), cloud.client("security-ir")
        self._user = f"intruder-{uuid.uuid4().hex[:4]}"
        self._channel = self._case_id = ""

    def run(self) -> None:
        """Run the job: attack, containment, activity, decision, report."""
        self._report.title("An attack: contained, its calls on the case, and a report that proves itself")
        jane = self._cloud.slack.person("jane.smith")
        self._attack()
        if self._contained():
            self._activity()
            self._decided(jane)
            self._reported(jane)

    def _attack(self) -> None:
        """Use a key as an intruder does. Then the key's creation is detected."""
        self._iam.create_user(UserName=self._user)
        self._key = self._iam.create_access_key(UserName=self._user)["AccessKey"]["AccessKeyId"]
        identity = cloud_trail.user_identity(ACCOUNT, self._user, self._key)
        now = datetime.now(UTC)
        back = {"userName": "backup-admin"}
        calls: list[tuple[str, str, Json]] = [
            ("sts", "GetCallerIdentity", {}),
            ("iam", "ListUsers", {}),
            ("s3", "ListBuckets", {}),
            ("iam", "CreateUser", {"requestParameters": back}),
            ("iam", "AttachUserPolicy",
             {"requestParameters": {**back, "policyArn": "arn:aws:iam::aws:policy/AdministratorAccess"}}),
            ("secretsmanager", "GetSecretValue", {"requestParameters": {"secretId": "prod/database"}}),
            ("organizations", "DescribeOrganization", {"errorCode": "AccessDeniedException"}),
        ]  # fmt: skip
        self._put(
            *(
                cloud_trail.record(name, now - timedelta(seconds=60 - 5 * number), identity, service=service, **more)
                for number, (service, name, more) in enumerate(calls)
            )
        )
        by = cloud_trail.user_identity(ACCOUNT, "bert-jan", "AKIAEXAMPLEEXAMPLE00")
        self._put(cloud_trail.key_created(now, self._user, self._key, by=by))
        self._began = time.monotonic()

    def _contained(self) -> bool:
        check = self._report.check
        check("the stolen key is inactive", lambda: self._status() == ["Inactive"])
        self._began = time.monotonic()
        found = check("the approval request is in the channel of the case", self._request)
        if found is None:
            return False
        self._channel, self._request_ts = found
        self._case_id = self._cloud.slack.store.channels[self._channel].name.rpartition("-")[2]
        return True

    def _activity(self) -> None:
        check = self._report.check
        left = ACTIVITY_WITHIN_SECONDS - (time.monotonic() - self._began)
        check("within two minutes the channel shows the calls", lambda: self._message("credentials made"), within=left)
        check("it names the user that the containment does not undo", lambda: self._message("user backup-admin"))
        check("a comment on the case has the numbers", lambda: self._comment("Activity of the contained credentials"))
        check("the case has the addresses of the intruder", self._addresses)
        check("every call is attached as CSV and as page", lambda: self._attached("activity-1.csv", "activity-1.html"))

    def _decided(self, jane: Person) -> None:
        check = self._report.check
        jane.press(self._channel, self._request_ts, self._button("approval_approve"))
        view = check("Approve asks for a confirmation", lambda: next(iter(jane.views()), None))
        if view is not None:
            jane.submit(view.id, {})
        check("the stolen key is deleted", lambda: not self._status())

    def _reported(self, jane: Person) -> None:
        check = self._report.check
        check("the case follows: Post-incident Activities", lambda: self._case()["caseStatus"].startswith("Post"))
        jane.command(self._channel, "/security-ir", "report")
        found = check(
            "/security-ir report attaches page and JSON", lambda: self._attached("report-1.html", "report-1.json")
        )
        # AWS scans an attachment before it gives it away.
        if not found or not check("AWS has scanned both", self._saved):
            return
        report_pictures.write_scenes(FOLDER / "report-1.html")
        for name in ("report-1.html", "report-1.json"):
            file = FOLDER / name
            content = file.read_bytes()
            check(f"ir-router report verify {name}: unchanged", partial(_verified, file), within=0)
            changed = FOLDER / f"changed-{name}"
            place = len(content) // 2
            changed.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
            check("after one changed byte it is refused", partial(_refused, changed), within=0)
            changed.unlink()
        titles = ["Case in the AWS console", "Approval request", "Report"]
        check("the channel has three bookmarks", lambda: self._bookmarks() == titles)

    # Reading and writing

    def _put(self, *records: Json) -> None:
        entries: list[Any] = [
            {
                "Source": f"aws.{record['eventSource'].partition('.')[0]}",
                "DetailType": "AWS API Call via CloudTrail",
                "Detail": json.dumps(record),
            }
            for record in records
        ]
        self._cloud.client("events").put_events(Entries=entries)

    def _status(self) -> list[str]:
        return [key["Status"] for key in self._iam.list_access_keys(UserName=self._user)["AccessKeyMetadata"]]

    def _request(self) -> tuple[str, str] | None:
        for channel in list(self._cloud.slack.store.channels.values()):
            if not channel.name.startswith("aws-security-incident"):
                continue
            for message in self._cloud.slack.channel_messages(channel.id):
                if "approval_approve" in str(message) and self._user in str(message):
                    return channel.id, message["ts"]
        return None

    def _button(self, name: str) -> str:
        (message,) = (one for one in self._cloud.slack.channel_messages(self._channel) if one["ts"] == self._request_ts)
        elements = [element for block in message["blocks"] for element in block.get("elements") or []]
        return next(str(one["action_id"]) for one in elements if str(one.get("action_id")).startswith(name))

    def _message(self, part: str) -> bool:
        return any(part in str(message) for message in self._cloud.slack.channel_messages(self._channel))

    def _case(self) -> Any:
        return self._cases.get_case(caseId=self._case_id)

    def _comment(self, part: str) -> bool:
        return any(part in item.get("body", "") for item in self._cases.list_comments(caseId=self._case_id)["items"])

    def _addresses(self) -> bool:
        return any(one["ipAddress"] == "198.51.100.7" for one in self._case().get("threatActorIpAddresses", []))

    def _attached(self, *names: str) -> bool:
        return {*names} <= {one["fileName"] for one in self._case()["caseAttachments"]}

    def _bookmarks(self) -> list[str]:
        return [str(one["title"]) for one in self._cloud.slack.store.channels[self._channel].bookmarks]

    def _saved(self) -> bool:
        """Save the attachments of the case, and return whether all are there."""
        FOLDER.mkdir(parents=True, exist_ok=True)
        for one in self._case()["caseAttachments"]:
            answer = self._cases.get_case_attachment_download_url(
                caseId=self._case_id, attachmentId=one["attachmentId"]
            )
            content = urllib3.request("GET", answer["attachmentPresignedUrl"]).data
            (FOLDER / one["fileName"]).write_bytes(content)
        return True


def _verified(file: Path) -> bool:
    with contextlib.redirect_stdout(io.StringIO()):
        return ir_router(["report", "verify", str(file)]) == 0


def _refused(file: Path) -> bool:
    return not _verified(file)
