"""The baseline of the webhook's cold start: a handler as in slackapi/bolt-python's examples/aws_lambda, with boto3.

It does the same work as the webhook: it reads secrets from SSM, checks Slack's signature, sends one message to the same
queue and answers 200. It uses the common form: an App with its defaults (which calls Slack's auth.test once) and
clients at module level.
"""

from __future__ import annotations

import json
import os
from typing import Any

import boto3
from slack_bolt import App
from slack_bolt.adapter.aws_lambda import SlackRequestHandler
from slack_sdk import WebClient

_ssm = boto3.client("ssm")
_sqs = boto3.client("sqs")


def _parameter(name: str) -> str:
    return str(_ssm.get_parameter(Name=f"/SecurityIncidentResponse/{name}", WithDecryption=True)["Parameter"]["Value"])


_client = WebClient(token=_parameter("slackBotToken"), base_url=os.environ["SLACK_API_BASE_URL"])
app = App(client=_client, signing_secret=_parameter("slackSigningSecret"), process_before_response=True)


@app.event("message")
def hand_over(body: dict[str, Any], event: dict[str, Any]) -> None:
    """Send the event to the queue."""
    _sqs.send_message(
        QueueUrl=os.environ["IR_SLACK_EVENTS_QUEUE_URL"],
        MessageBody=json.dumps({"event_id": body["event_id"], "event": event}),
        MessageGroupId=event["channel"],
        MessageDeduplicationId=body["event_id"],
    )


def lambda_handler(event: dict[str, Any], context: object) -> Any:
    """Answer an API Gateway proxy request."""
    return SlackRequestHandler(app).handle(event, context)  # type: ignore[no-untyped-call]
