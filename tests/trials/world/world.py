"""One AWS account and one Slack workspace: the clock, events in delivery, and the functions that receive them."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

import boto3

from ir_router import clock, handler
from ir_router.settings import settings
from ir_sandbox.security_ir import SecurityIrService
from ir_sandbox.slack import SlackWorkspace
from ir_sandbox.slack.model import App
from tests.trials.world import deployment, queues, snapshot
from tests.trials.world.deployment import ACCOUNT, DEPLOYMENTS
from tests.trials.world.invocations import Answer, Context, HttpAnswer, Payload, Retry
from tests.trials.world.organisation import Organisation
from tests.trials.world.role_sessions import RoleSessions
from tests.trials.world.trail import Trail
from tests.trials.world.unexpected import Unexpected, event_kind
from tests.trials.world.wire import FunctionDiedError, Wire

# Lambda retries an asynchronous invocation after one minute, then after two more.
_RETRY_SECONDS = (60.0, 120.0)
# The time of day (UTC) at which every simulator starts, in seconds: 10:01. At the machine's time, a run could meet a
# change of the minute, of the quarter of an hour or of the day, and count other calls or print another minute.
STARTS_AT = 36_060
# How far `settle` moves the clock to the next retry. It is less than the claim time of a dead sandbox.
_PATIENCE_SECONDS = 7200.0


class World:
    """The simulator. `offset` moves the clock, `invocations` lists the invocations, `wire` records the
    outbound calls.
    """

    app: App

    def __init__(self, environment: Mapping[str, str], *, enforce_rate_limits: bool = False) -> None:
        """Create an empty simulator. Use `running_world` for one with resources."""
        self.offset = (STARTS_AT - clock.now()) % 86_400
        self.environment = dict(environment)
        self.wire = Wire()
        self.unexpected = Unexpected()
        self.organisation = Organisation(self.wire)
        self.role_sessions = RoleSessions(self.wire, lambda: self.current, self.now, self.organisation)
        self.trail = Trail(self.wire, self.now, self.role_sessions.account_of)
        self.invocations: list[Answer] = []
        self.hints: list[dict[str, Any]] = []
        self.bus: list[dict[str, Any]] = []
        self.asynchronous: list[tuple[str, Any, int]] = []
        self.dead: list[tuple[str, Any]] = []
        # Further event sources to deliver in `settle`. Each returns whether it made progress.
        self.carriers: list[Callable[[], bool]] = []
        self.drop_native_events = False
        self.refuse_events = 0
        self.current = ""  # the deployment whose environment the process has
        self.slept = 0.0
        self._retries: list[Retry] = []
        self._real_now = clock.now
        self.workspace = SlackWorkspace(
            clock=self.now, delivery_workers=0, acknowledge_seconds=10, enforce_rate_limits=enforce_rate_limits
        )
        self.security_ir = SecurityIrService(
            publish=self._native,
            clock=lambda: datetime.fromtimestamp(self.now(), UTC),
            principals={"operator": f"arn:aws:iam::{ACCOUNT}:user/alice"},
            account_id=ACCOUNT,
            default_principal=f"arn:aws:sts::{ACCOUNT}:assumed-role/security-incident-sync/security-incident-sync",
            sleep=self.sleep,
        )

    def expect(self, *types: type[BaseException]) -> None:
        """Declare errors that functions must raise or log in this world: see `tests.trials.world.unexpected`."""
        self.unexpected.expect(*types)

    # Time

    def now(self) -> float:
        """Return the time of all components, in seconds since the epoch."""
        return self._real_now() + self.offset

    def use_clock(self, now: Callable[[], float]) -> None:
        """Start at the time of this clock, and let it pass as it does there."""
        self._real_now, self.offset = now, 0.0

    def advance(self, seconds: float) -> None:
        """Move the clock of all components forward."""
        self.offset += seconds

    def sleep(self, seconds: float) -> None:
        """Replace a function's sleep: move the clock."""
        self.slept += seconds
        self.offset += seconds

    # Set-up

    def build(self) -> None:
        """Create the resources of the Terraform configuration that moto supports, and connect the
        simulator to boto3.
        """
        hooks = boto3.DEFAULT_SESSION.events  # type: ignore[union-attr]
        hooks.register("before-call.events.PutEvents", self._put_events)
        hooks.register("before-call.lambda.Invoke", self._invoke_from_code)
        self.organisation.attach(hooks)
        self.role_sessions.attach(hooks)
        self.trail.attach(hooks)
        hooks.register("after-call", lambda **told: self.unexpected.answered(**told) if self.wire.is_invoking else None)
        self.app = self.workspace.create_app(deliver=self.request)
        snapshot.build(self.environment, self.now())
        self.configure_slack()

    def configure_slack(self) -> None:
        """Store the app's credentials in the parameters that the functions read."""
        deployment.put_parameters(self.app.token, self.app.signing_secret, self.workspace.team_id)

    # Invocations

    def invoke(self, name: str, event: Any) -> Any:
        """Call the entry point as one deployment. Its exceptions propagate; FunctionDiedError means
        that it was ended.
        """
        name, _, alias = name.partition(":")
        self.become(name)
        number = f"request-{len(self.invocations)}"
        context = Context(DEPLOYMENTS[name][1], f"security-incident-{name}", number, alias=alias)
        answer = Answer(name, event)
        self.invocations.append(answer)
        try:
            with self.wire.invocation(name):
                answer.value = handler.lambda_handler(json.loads(json.dumps(event)), context)
        except Exception as error:
            answer.error = error
            if isinstance(error, FunctionDiedError):
                deployment.forget_what_is_kept()
            raise
        return answer.value

    def try_invoke(self, name: str, event: Any) -> Answer:
        """Call the entry point; return its exception in the answer."""
        number = len(self.invocations)
        try:
            self.invoke(name, event)
        except Exception as error:  # noqa: BLE001 - the answer holds it
            self.unexpected.note(f"{name}: {event_kind(event)}", error)
            return self.invocations[number]
        return self.invocations[number]

    def poll(self) -> Any:
        """Run one scheduled poll."""
        return self.try_invoke("sync", {"task": "poll"}).value

    def verify_containments(self) -> Any:
        """Run one scheduled verification of the open containments."""
        return self.try_invoke("workflow", {"task": "verify_open_containments"}).value

    def request(self, headers: Mapping[str, str], body: bytes) -> tuple[int, dict[str, str], bytes]:
        """Send a request to API Gateway."""
        event = {
            "httpMethod": "POST",
            "path": "/slack/events",
            "headers": dict(headers),
            "body": body.decode("utf-8", "surrogateescape"),
            "isBase64Encoded": False,
            "requestContext": {"stage": "prod"},
        }
        try:
            answer = self.invoke("webhook", event)
        except Exception as error:
            self.unexpected.note("webhook", error)  # Slack sees a status of 502 and delivers again
            raise
        return answer["statusCode"], answer["headers"], answer["body"].encode()

    def become(self, name: str) -> None:
        """Set the environment of one deployment in this process."""
        self.current = name
        os.environ.update(self.environment | {"IR_ROUTES": DEPLOYMENTS[name][0]})
        settings.cache_clear()

    # Delivery of events

    def _native(self, event: Any) -> None:
        # The rule of terraform/events.tf sends no other events, such as those about memberships.
        if not self.drop_native_events and str(event["detail-type"]).startswith("Case "):
            self.hints.append(dict(event))

    def _put_events(self, params: Mapping[str, Any], **_: Any) -> Any:
        """Replace EventBridge's PutEvents and the rule that sends hints to `-sync`."""
        with self.wire.call("events", "PutEvents"):
            entries = [self._put_event(entry) for entry in json.loads(params["body"])["Entries"]]
        failed = sum("ErrorCode" in entry for entry in entries)
        answer = {"FailedEntryCount": failed, "Entries": entries, "ResponseMetadata": {"HTTPStatusCode": 200}}
        return HttpAnswer(200), answer

    def _put_event(self, entry: Mapping[str, Any]) -> dict[str, str]:
        if self.refuse_events > 0:
            self.refuse_events -= 1
            return {"ErrorCode": "ThrottlingException", "ErrorMessage": "refused on demand"}
        event = {"source": entry["Source"], "detail-type": entry["DetailType"], "detail": json.loads(entry["Detail"])}
        self.bus.append(event)
        if entry["Source"] == "security-ir":
            self.hints.append(event)
        return {"EventId": f"event-{len(self.bus)}"}

    def _invoke_from_code(self, params: Mapping[str, Any], **_: Any) -> Any:
        """Replace Lambda's Invoke."""
        self.wire.before("lambda", "Invoke")
        name = unquote(str(params["url_path"]).split("/")[3]).removeprefix("security-incident-")
        event = json.loads(params["body"])
        if params["headers"].get("X-Amz-Invocation-Type") == "Event":
            self.asynchronous.append((name, event, 0))
            self.wire.after()
            empty = {"StatusCode": 202, "ResponseMetadata": {"HTTPStatusCode": 202}, "Payload": Payload(b"")}
            return HttpAnswer(202), empty
        caller = os.environ["IR_ROUTES"]
        answer = self.try_invoke(name, event)
        os.environ["IR_ROUTES"] = caller
        settings.cache_clear()
        body: dict[str, Any] = {"StatusCode": 200, "ResponseMetadata": {"HTTPStatusCode": 200}}
        if answer.error is not None:
            body["FunctionError"] = "Unhandled"
            failure = {"errorType": type(answer.error).__name__, "errorMessage": str(answer.error)}
            body["Payload"] = Payload(json.dumps(failure).encode())
        else:
            body["Payload"] = Payload(json.dumps(answer.value).encode())
        self.wire.after()
        return HttpAnswer(200), body

    def settle(self, rounds: int = 400, *, patience: float = _PATIENCE_SECONDS) -> None:
        """Deliver all pending work until none is left. The clock moves on to the next retry.

        Retries are queue messages after their visibility timeout, and asynchronous invocations after Lambda's pause, if
        they are due within `patience` seconds. The schedule does not run; see `live`. Raises AssertionError if the work
        never ends.
        """
        until = self.now() + patience
        ours = (self.deliver, self._carry_asynchronous, self._run_hints, self._run_retries, self._run_queues)
        for _ in range(rounds):
            self.security_ir.events.wait_until_idle()
            if sum(carry() for carry in (*ours, *self.carriers)):  # call every carrier in each round
                continue
            due = self._next_due()
            if due is None or due > until:
                return
            self.advance(max(0.0, due - self.now()) + 0.01)
        raise AssertionError("the system does not come to rest")

    def live(self, minutes: int) -> None:
        """Let time pass: run both schedules each minute, and process the work that follows."""
        for _ in range(minutes):
            before = self.now()
            self.poll()
            self.verify_containments()
            if len(self.organisation.accounts) > 1:
                self.try_invoke("workflow", {"task": "read_member_activity"})
            self.settle(patience=max(0.0, before + 59 - self.now()))
            self.advance(max(1.0, before + 60 - self.now()))

    def _next_due(self) -> float | None:
        due = [retry.due for retry in self._retries]
        due += [at for name in ("slack-events", "files", queues.INTAKE) if (at := queues.due(name)) is not None]
        return min(due, default=None)

    def deliver(self) -> bool:
        """Let Slack make its due deliveries; return whether there were any."""
        return self.workspace.deliveries.deliver_due() > 0

    def _run_hints(self) -> bool:
        # A thread delivers the events of work that has just ended. Without this, its speed would decide their round.
        self.security_ir.events.wait_until_idle()
        pending, self.hints = self.hints, []
        for event in pending:
            self._invoke_with_retries("sync", event, 0)
        return bool(pending)

    def _carry_asynchronous(self) -> bool:
        pending, self.asynchronous = self.asynchronous, []
        for name, event, tries in pending:
            self._invoke_with_retries(name, event, tries)
        return bool(pending)

    def _run_asynchronous(self) -> None:
        """Run one attempt of each asynchronous invocation, for tests that check the state between Lambda's attempts."""
        pending, self.asynchronous = self.asynchronous, []
        for name, event, tries in pending:
            if self.try_invoke(name, event).error is None:
                continue
            if tries < len(_RETRY_SECONDS):
                self.asynchronous.append((name, event, tries + 1))
            else:
                self.dead.append((name, event))

    def _run_retries(self) -> bool:
        due = [retry for retry in self._retries if retry.due <= self.now()]
        for retry in due:
            self._retries.remove(retry)
            self._invoke_with_retries(retry.deployment, retry.event, retry.tries)
        return bool(due)

    def _invoke_with_retries(self, name: str, event: Any, tries: int) -> None:
        if self.try_invoke(name, event).error is None:
            return
        if tries < len(_RETRY_SECONDS):
            self._retries.append(Retry(self.now() + _RETRY_SECONDS[tries], name, event, tries + 1))
        else:
            self.dead.append((name, event))

    def _run_queues(self) -> bool:
        busy = self._run_queue("slack-events", "slack")
        busy = self._run_queue("files", "sync") or busy
        return self.run_intake() or busy

    def run_intake(self) -> bool:
        """Let Lambda take in one batch of the intake queue. Return whether there was one."""
        return self._run_queue(queues.INTAKE, "workflow")

    def _run_queue(self, name: str, deployed: str) -> bool:
        own = name == queues.INTAKE  # no function has its URL
        url = self.environment["INTAKE_QUEUE_URL" if own else f"IR_{name.replace('-', '_').upper()}_QUEUE_URL"]
        records = queues.receive(url, name, self.now())
        if not records:
            return False
        answer = self.try_invoke(deployed, {"Records": records})
        failed = {record["messageId"] for record in records}
        if answer.error is None:
            failed = {item["itemIdentifier"] for item in (answer.value or {}).get("batchItemFailures", [])}
        queues.done(url, records, failed)
        return True

    def record(self, name: str, body: Any, *, message_id: str = "m1", receive_count: int = 1) -> dict[str, Any]:
        """Return an SQS record of one of ir-router's queues, for tests that deliver it themselves."""
        attributes = {"ApproximateReceiveCount": str(receive_count), "MessageGroupId": "group"}
        return queues.record(name, json.dumps(body), message_id, f"{queues.DELIVERED_BY_TEST}{message_id}", attributes)

    def dead_letters(self, name: str) -> list[dict[str, Any]]:
        """Return the messages of a FIFO queue's dead-letter queue."""
        return queues.dead_letters(self.environment[f"DEAD_{name}"])

    # The state of the other side

    def create_case(self, **changes: Any) -> str:
        """Create a self-managed case with default fields, as alice; return its id."""
        fields: dict[str, Any] = {
            "title": "Suspicious API Activity Detected",
            "description": "Unusual API calls detected from unknown IP addresses",
            "engagementType": "Security Incident",
            "reportedIncidentStartDate": datetime.fromtimestamp(self.now(), UTC),
            "resolverType": "Self",
            "impactedAccounts": [ACCOUNT],
            "watchers": [],
            "tags": {"severity": "High"},
        }
        return self.security_ir.create_case_as(fields | changes, f"arn:aws:iam::{ACCOUNT}:user/alice")

    def channel_of(self, case_id: str) -> str:
        """Return the id of the case's channel, found by its name."""
        return self.workspace.channel(f"aws-security-incident-response-case-{case_id}").id

    def said(self, case_id: str) -> list[dict[str, Any]]:
        """Return the app's messages in the case's channel, oldest first."""
        messages = self.workspace.channel_messages(self.channel_of(case_id))
        return [message for message in messages if message.get("bot_id") and not message.get("subtype")]

    def comments(self, case_id: str) -> list[str]:
        """Return the texts of the case's comments, oldest first."""
        items: list[dict[str, Any]] = []
        more: dict[str, str] = {}
        while True:
            answer = self.security_ir.call("ListComments", {"caseId": case_id, "maxResults": 25, **more})
            items += answer.get("items", [])
            if not answer.get("nextToken"):
                break
            more = {"nextToken": answer["nextToken"]}
        items.reverse()  # newest first, so that comments of the same moment keep their order
        return [str(item["body"]) for item in sorted(items, key=lambda item: item["createdDate"])]
