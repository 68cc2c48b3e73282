"""CloudTrail records of API calls, as in the `detail` of EventBridge events.

Fields: AWS CloudTrail user guide, "CloudTrail record contents" and "CloudTrail userIdentity element".
"""

from __future__ import annotations

import hashlib
import uuid
from datetime import datetime
from typing import Any


def record(
    name: str, moment: datetime, identity: dict[str, Any], *, service: str = "iam", **changes: Any
) -> dict[str, Any]:
    """Return the record of an API call.

    Args:
        name: The API action.
        moment: The time of the call.
        identity: The caller's `userIdentity`.
        service: The first part of the event source.
        changes: Fields that replace the defaults or are added.
    """
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
    """Return the record of CreateAccessKey: the identity `by` created `key` for `user`."""
    created = {"accessKey": {"accessKeyId": key, "status": "Active", "userName": user}}
    return record("CreateAccessKey", moment, by, requestParameters={"userName": user}, responseElements=created)


def user_identity(account: str, name: str, key: str) -> dict[str, Any]:
    """Return the identity of a user with a long-term access key."""
    digest = hashlib.sha256(f"{account}/{name}".encode()).hexdigest()
    return {
        "type": "IAMUser",
        "principalId": f"AIDA{digest[:17].upper()}",
        "arn": f"arn:aws:iam::{account}:user/{name}",
        "accountId": account,
        "accessKeyId": key,
        "userName": name,
    }
