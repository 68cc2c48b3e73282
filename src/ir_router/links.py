"""Links to the AWS console and to Slack. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import quote

_CONSOLES = {"aws": "aws.amazon.com", "aws-cn": "amazonaws.cn", "aws-us-gov": "amazonaws-us-gov.com"}
_KINDS = {"user": "users", "role": "roles"}


def case(case_id: str, region: str) -> str:
    """Return the URL of a case."""
    where = quote(case_id, safe="", errors="replace")
    return f"https://console.aws.amazon.com/security-ir/home?region={region}#/cases/{where}"


def execution(arn: str) -> str:
    """Return the URL of an execution of Step Functions; empty for anything that is not its ARN."""
    parts = arn.split(":")
    if len(parts) < 8 or parts[2] != "states" or parts[5] != "execution":
        return ""
    region = parts[3]
    where = quote(arn, safe=":", errors="replace")
    return f"https://{region}.console.aws.amazon.com/states/home?region={region}#/v2/executions/details/{where}"


def principal(arn: str) -> str:
    """Return the URL of an IAM user or role; empty for any other ARN."""
    parts = arn.split(":", 5)
    kind, _, path = parts[-1].partition("/")
    name = path.rpartition("/")[2]
    if len(parts) < 6 or parts[1] not in _CONSOLES or parts[2] != "iam" or kind not in _KINDS or not name:
        return ""
    where = quote(name, safe="", errors="replace")
    return f"https://console.{_CONSOLES[parts[1]]}/iam/home#/{_KINDS[kind]}/details/{where}"


def principals(arns: Iterable[str]) -> dict[str, str]:
    """Return the URLs of IAM users and roles by kind and name, as texts name them: `user backdoor-user`."""
    found = {}
    for arn in arns:
        if url := principal(arn):
            kind, _, path = arn.split(":", 5)[5].partition("/")
            found[f"{kind} {path.rpartition('/')[2]}"] = url
    return found


def slack_channel(channel_id: str) -> str:
    """Return the URL that opens a channel in Slack (https://docs.slack.dev/interactivity/deep-linking)."""
    return f"https://slack.com/app_redirect?channel={quote(channel_id, safe='')}"
