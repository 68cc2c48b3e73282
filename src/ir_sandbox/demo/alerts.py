"""The alerts and pages of the demo, as a subscriber of their topics receives them."""

from __future__ import annotations

import json

from ir_sandbox.cloud.launcher import LocalCloud
from ir_sandbox.demo.incidents import ACCOUNT
from ir_sandbox.slack.model import Json


class Alerts:
    """The messages of a topic, received through a subscribed queue."""

    def __init__(self, cloud: LocalCloud, topic_output: str = "alert_topic_arn") -> None:
        """Create the queue and subscribe it to the topic of this output."""
        self._sqs = cloud.client("sqs")
        topic = cloud.outputs[topic_output]
        name = f"demo-{topic.rpartition('-')[2]}"
        allowed = {
            "Effect": "Allow",
            "Principal": {"Service": "sns.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": "*",
            "Condition": {"ArnEquals": {"aws:SourceArn": topic}},
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
        self._queue = self._sqs.create_queue(QueueName=name, Attributes={"Policy": policy})["QueueUrl"]
        cloud.client("sns").subscribe(
            TopicArn=topic,
            Protocol="sqs",
            Endpoint=f"arn:aws:sqs:us-east-1:{ACCOUNT}:{name}",
        )
        self._texts: list[str] = []
        self.mails: list[Json] = []

    def seen(self, *parts: str) -> bool:
        """Return whether an alert so far contains all parts."""
        messages = self._sqs.receive_message(QueueUrl=self._queue, MaxNumberOfMessages=10).get("Messages", [])
        for message in messages:
            self._texts.append(message["Body"])
            self.mails.append(json.loads(message["Body"]))
            self._sqs.delete_message(QueueUrl=self._queue, ReceiptHandle=message["ReceiptHandle"])
        return any(all(part in text for part in parts) for text in self._texts)
