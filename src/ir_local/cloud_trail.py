"""CloudTrail's records of API calls, as EventBridge carries them in `detail`.

Fields: AWS CloudTrail user guide, "CloudTrail record contents" and "CloudTrail userIdentity element".
"""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any


def record(
    name: str, moment: datetime, identity: dict[str, Any], *, service: str = "iam", **changes: Any
) -> dict[str, Any]:
    """A record of the call `name` by `identity`; `changes` replace fields or add to them."""
    return {
        "eventVersion": "1.09",
        "userIdentity": identity,
        "eventTime": f"{moment:%Y-%m-%dT%H:%M:%SZ}",
        "eventSource": f"{service}.amazonaws.com",
        "eventName": name,
        "awsRegion": "us-east-1",
        "sourceIPAddress": "198.51.100.7",
        "userAgent": "aws-cli/2.27.0",
        "requestParameters": None,
        "responseElements": None,
        "requestID": str(uuid.uuid4()),
        "eventID": str(uuid.uuid4()),
        "readOnly": False,
        "eventType": "AwsApiCall",
        "managementEvent": True,
        "recipientAccountId": identity["accountId"],
        "eventCategory": "Management",
        **changes,
    }


def key_created(moment: datetime, user: str, key: str, *, by: dict[str, Any]) -> dict[str, Any]:
    """The record of CreateAccessKey: `by` made `key` for `user`."""
    created = {"accessKey": {"accessKeyId": key, "status": "Active", "userName": user}}
    return record("CreateAccessKey", moment, by, requestParameters={"userName": user}, responseElements=created)


def user_identity(account: str, name: str, key: str) -> dict[str, Any]:
    """A user who calls with a long-term key."""
    return {
        "type": "IAMUser",
        "principalId": "AIDAEXAMPLEEXAMPLE000",
        "arn": f"arn:aws:iam::{account}:user/{name}",
        "accountId": account,
        "accessKeyId": key,
        "userName": name,
    }
