"""Links to the AWS console. Pure."""

from __future__ import annotations

from urllib.parse import quote


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
