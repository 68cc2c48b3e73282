"""The lower line for containment: a function as one writes it by hand, without verification, record or way back."""

from __future__ import annotations

from typing import Any

import boto3

_iam = boto3.client("iam")


def lambda_handler(event: dict[str, Any], context: object) -> None:
    """Disable the new key and attach the deny policy to its user."""
    key = event["detail"]["responseElements"]["accessKey"]
    _iam.attach_user_policy(UserName=key["userName"], PolicyArn="arn:aws:iam::aws:policy/AWSDenyAll")
    _iam.update_access_key(UserName=key["userName"], AccessKeyId=key["accessKeyId"], Status="Inactive")
