"""One account and one workspace: time, events on their way, and the functions that they reach."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import boto3
from moto import mock_aws

from ir_local.security_ir import SecurityIrService
from ir_local.security_ir import serve as serve_security_ir
from ir_local.slack import SlackWorkspace
from ir_local.slack import serve as serve_slack
from ir_local.slack.model import App
from ir_local.world import deployment, moto_speed, queues, tables
from ir_local.world.deployment import ACCOUNT, DEPLOYMENTS, forget_everything
from ir_local.world.invocations import Answer, Context, HttpAnswer, Payload, Retry
from ir_local.world.wire import FunctionDiedError, Wire, connected
from ir_router import aws, clock, handler
from ir_router.settings import settings

# Lambda tries an asynchronous invocation again after one minute, then after two more.
_RETRY_SECONDS = (60.0, 120.0)
# How far `settle` moves the clock for what comes again by itself: less than the time that is kept for a dead sandbox.
_PATIENCE_SECONDS = 7200.0


class World:
    """`offset` moves everybody's clock; `invocations` has every call of the entry point; `wire` what left it."""

    app: App

    def __init__(self, environment: Mapping[str, str], *, enforce_rate_limits: bool = False) -> None:
        """Nothing is deployed yet: `running_world` does that."""
        self.offset = 0.0
        self.environment = dict(environment)
        self.wire = Wire()
        self.invocations: list[Answer] = []
        self.hints: list[dict[str, Any]] = []
        self.bus: list[dict[str, Any]] = []
        self.asynchronous: list[tuple[str, Any, int]] = []
        self.dead: list[tuple[str, Any]] = []
        # What else is carried while the world settles: each says whether it brought anything further.
        self.carriers: list[Callable[[], bool]] = []
        self.drop_native_events = False
        self.refuse_events = 0
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
        )

    # Time

    def now(self) -> float:
        """Everybody's time, in seconds since the epoch."""
        return self._real_now() + self.offset

    def advance(self, seconds: float) -> None:
        """Move everybody's clock forward."""
        self.offset += seconds

    def sleep(self, seconds: float) -> None:
        """What a function's sleep becomes."""
        self.slept += seconds
        self.offset += seconds

    # Set-up

    def build(self) -> None:
        """Make the resources that Terraform makes, as far as moto has them, and put the world's hooks into boto3."""
        hooks = boto3.DEFAULT_SESSION.events  # type: ignore[union-attr]
        hooks.register("before-call.events.PutEvents", self._put_events)
        hooks.register("before-call.lambda.Invoke", self._invoke_from_code)
        self.app = self.workspace.create_app(deliver=self.request)
        deployment.build(self.environment)
        self.configure_slack()

    def configure_slack(self) -> None:
        """Put the app's credentials where the functions read them."""
        deployment.put_parameters(self.app.token, self.app.signing_secret, self.workspace.team_id)

    # Invoking

    def invoke(self, name: str, event: Any) -> Any:
        """Call the entry point as one deployment; raises what it raises, FunctionDiedError if it was ended."""
        self.become(name)
        context = Context(DEPLOYMENTS[name][1], f"security-incident-{name}", f"request-{len(self.invocations)}")
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
        """Call the entry point; what it raises is in the answer."""
        number = len(self.invocations)
        try:
            self.invoke(name, event)
        except Exception:  # noqa: BLE001 - the answer holds it
            return self.invocations[number]
        return self.invocations[number]

    def poll(self) -> Any:
        """One tick of the schedule."""
        return self.try_invoke("sync", {"task": "poll"}).value

    def request(self, headers: Mapping[str, str], body: bytes) -> tuple[int, dict[str, str], bytes]:
        """A request at the API Gateway."""
        event = {
            "httpMethod": "POST",
            "path": "/slack/events",
            "headers": dict(headers),
            "body": body.decode("utf-8", "surrogateescape"),
            "isBase64Encoded": False,
            "requestContext": {"stage": "prod"},
        }
        answer = self.invoke("webhook", event)
        return answer["statusCode"], answer["headers"], answer["body"].encode()

    def become(self, name: str) -> None:
        """Tell this process what one deployment is told."""
        os.environ.update(self.environment | {"IR_ROUTES": DEPLOYMENTS[name][0]})
        settings.cache_clear()

    # Carrying events

    def _native(self, event: Any) -> None:
        if not self.drop_native_events:
            self.hints.append(dict(event))

    def _put_events(self, params: Mapping[str, Any], **_: Any) -> Any:
        """Stand in for EventBridge's PutEvents and the rule that takes hints to `-sync`."""
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
        """Stand in for Lambda's Invoke."""
        self.wire.before("lambda", "Invoke")
        name = str(params["url_path"]).split("/")[3].removeprefix("security-incident-")
        event = json.loads(params["body"])
        if params["headers"].get("X-Amz-Invocation-Type") == "Event":
            self.asynchronous.append((name, event, 0))
            self.wire.after()
            return HttpAnswer(202), {"StatusCode": 202, "ResponseMetadata": {"HTTPStatusCode": 202}}
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
        """Carry all that is under way until nothing is; the clock moves on to what comes again by itself.

        That is a queue's message after its visibility time and an asynchronous invocation after Lambda's pause, if
        they come within `patience` seconds; the schedule is not carried: see `live`.
        Raises AssertionError when the system does not come to rest.
        """
        until = self.now() + patience
        ours = (self.deliver, self._carry_asynchronous, self._run_hints, self._run_retries, self._run_queues)
        for _ in range(rounds):
            self.security_ir.events.wait_until_idle()
            if sum(carry() for carry in (*ours, *self.carriers)):  # all of them, each round
                continue
            due = self._next_due()
            if due is None or due > until:
                return
            self.advance(max(0.0, due - self.now()) + 0.01)
        raise AssertionError("the system does not come to rest")

    def live(self, minutes: int) -> None:
        """Let time pass: the schedule's poll each minute, and whatever comes of it."""
        for _ in range(minutes):
            before = self.now()
            self.poll()
            self.settle(patience=max(0.0, before + 59 - self.now()))
            self.advance(max(1.0, before + 60 - self.now()))

    def _next_due(self) -> float | None:
        due = [retry.due for retry in self._retries]
        due += [at for name in ("slack-events", "files") if (at := queues.due(name)) is not None]
        return min(due, default=None)

    def deliver(self) -> bool:
        """Let Slack make the deliveries that are due; whether there were any."""
        return self.workspace.deliveries.deliver_due() > 0

    def _run_hints(self) -> bool:
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
        """One attempt at each asynchronous invocation, for tests that look between Lambda's attempts."""
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
        return self._run_queue("files", "sync") or busy

    def _run_queue(self, name: str, deployed: str) -> bool:
        url = self.environment[f"IR_{name.replace('-', '_').upper()}_QUEUE_URL"]
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
        """A record as Lambda gets it of one of our queues, for tests that deliver one themselves."""
        attributes = {"ApproximateReceiveCount": str(receive_count), "MessageGroupId": "group"}
        return queues.record(name, json.dumps(body), message_id, f"handle-{message_id}", attributes)

    def dead_letters(self, name: str) -> list[dict[str, Any]]:
        """What is in a FIFO queue's dead-letter queue."""
        return queues.dead_letters(self.environment[f"DEAD_{name}"])

    # Looking at the other side

    def create_case(self, **changes: Any) -> str:
        """A self-managed case with sensible fields, made by alice; its id."""
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
        """The id of the case's channel, by its name in the workspace."""
        return self.workspace.channel(f"aws-security-incident-response-case-{case_id}").id

    def said(self, case_id: str) -> list[dict[str, Any]]:
        """The app's messages in the case's channel, oldest first."""
        messages = self.workspace.channel_messages(self.channel_of(case_id))
        return [message for message in messages if message.get("bot_id") and not message.get("subtype")]

    def comments(self, case_id: str) -> list[str]:
        """The texts of the case's comments, oldest first."""
        items: list[dict[str, Any]] = []
        more: dict[str, str] = {}
        while True:
            answer = self.security_ir.call("ListComments", {"caseId": case_id, "maxResults": 25, **more})
            items += answer.get("items", [])
            if not answer.get("nextToken"):
                break
            more = {"nextToken": answer["nextToken"]}
        items.reverse()  # newest first, so that those of one moment keep their order
        return [str(item["body"]) for item in sorted(items, key=lambda item: item["createdDate"])]


@contextmanager
def running_world(
    set_clock: Callable[[Callable[[], float], Callable[[float], None]], None],
    *,
    enforce_rate_limits: bool = False,
) -> Iterator[World]:
    """A world for the length of a `with` block. `set_clock` replaces `clock.now` and `clock.sleep`."""
    before = dict(os.environ)
    world = World(deployment.environment(), enforce_rate_limits=enforce_rate_limits)
    try:
        with serve_security_ir(world.security_ir) as security_ir, serve_slack(world.workspace) as slack:
            world.environment["AWS_ENDPOINT_URL_SECURITY_IR"] = security_ir.url
            world.environment["SLACK_API_BASE_URL"] = f"{slack.url}/api/"
            os.environ.update(world.environment)
            with mock_aws(), tables.isolated(world.now), moto_speed.plain_rows(), queues.on_clock(world.now):
                aws.forget_session()
                aws.session().register_component("data_loader", moto_speed.models())
                boto3.setup_default_session(botocore_session=aws.session())
                forget_everything()
                set_clock(world.now, world.sleep)
                with connected(world.wire):
                    world.build()
                    yield world
    finally:
        world.workspace.close()
        world.security_ir.close()
        os.environ.clear()
        os.environ.update(before)
        forget_everything()


@contextmanager
def own_world(*, enforce_rate_limits: bool = False) -> Iterator[World]:
    """A world of its own outside a test, with the clock put back afterwards."""
    before = clock.now, clock.sleep

    def set_clock(now: Callable[[], float], sleep: Callable[[float], None]) -> None:
        # setattr, because mypy holds a parameter named `seconds` against a Callable without names.
        setattr(clock, "now", now)  # noqa: B010
        setattr(clock, "sleep", sleep)  # noqa: B010

    try:
        with running_world(set_clock, enforce_rate_limits=enforce_rate_limits) as world:
            yield world
    finally:
        clock.now, clock.sleep = before
