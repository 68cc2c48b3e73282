"""API calls from CloudTrail records, reduced to the facts that a case shows. Pure.

Fields: https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal

from ir_router.cases import lasting_changes
from ir_router.cases.lasting_changes import Lasting

Result = Literal["succeeded", "denied", "failed"]

_DENIED = ("AccessDenied", "UnauthorizedOperation", "Client.UnauthorizedOperation", "Forbidden", "NotAuthorized")
_OPENS_SESSIONS = frozenset(
    {
        "AssumeRole",
        "AssumeRoleWithSAML",
        "AssumeRoleWithWebIdentity",
        "AssumeRoot",
        "GetFederationToken",
        "GetSessionToken",
    }
)
# A caller chooses its user agent and the names in a request.
_TEXT_LENGTH = 300
_ADDRESS_LENGTH = 100


@dataclass(frozen=True)
class Session:
    """Temporary credentials that a call returned: the access key id, and the account whose history has their calls.

    Without an account, it is that of the caller.
    """

    key: str
    account: str


@dataclass(frozen=True)
class TrailCall:
    """One call.

    Attributes:
        event_id: CloudTrail's id of the event.
        at: Time of the call in seconds since the epoch.
        region: The Region of the call.
        service: The first part of the event source, such as `iam`.
        name: The API action.
        error: The error code; empty if the call succeeded.
        address: The source address, or the AWS service that made the call.
        agent: The user agent.
        key: The access key id that signed the call.
        caller: The ARN of the caller.
        of: The ARN of the contained principal whose credentials made the call.
        lasting: Effects that a containment does not undo.
        removed: Names of lasting effects that the call removed.
        read: Secrets and parameters that the call returned.
    """

    event_id: str
    at: float
    region: str
    service: str
    name: str
    error: str
    address: str
    agent: str
    key: str
    caller: str
    of: str
    lasting: tuple[Lasting, ...] = ()
    removed: tuple[str, ...] = ()
    read: tuple[str, ...] = ()

    @property
    def result(self) -> Result:
        """Return whether the call succeeded, AWS denied it, or it failed for another reason."""
        if not self.error:
            return "succeeded"
        return "denied" if any(code in self.error for code in _DENIED) else "failed"


def of_record(record: Mapping[str, Any], principal: str) -> TrailCall | None:
    """Return the call of a record, or None for a record without id or time. `principal` is the contained one's ARN."""
    event_id, moment = str(record.get("eventID") or ""), _seconds(record.get("eventTime"))
    if not event_id or moment is None:
        return None
    identity = _mapping(record.get("userIdentity"))
    error, name = _text(record.get("errorCode")), _text(record.get("eventName"))
    service = _text(record.get("eventSource")).partition(".")[0]
    effects = lasting_changes.NONE
    if not error:
        asked, answered = _mapping(record.get("requestParameters")), _mapping(record.get("responseElements"))
        effects = lasting_changes.of(service, name, asked, answered, _text(identity.get("userName")))
    return TrailCall(
        event_id=event_id,
        at=moment,
        region=_text(record.get("awsRegion")),
        service=service,
        name=name,
        error=error,
        address=_text(record.get("sourceIPAddress"))[:_ADDRESS_LENGTH],
        agent=_text(record.get("userAgent")),
        key=_text(identity.get("accessKeyId")),
        caller=_text(identity.get("arn")),
        of=principal,
        lasting=effects.lasting,
        removed=effects.removed,
        read=effects.read,
    )


def opened_session(record: Mapping[str, Any]) -> Session | None:
    """Return the session that a call opened, or None."""
    if record.get("eventName") not in _OPENS_SESSIONS or record.get("errorCode"):
        return None
    answered = _mapping(record.get("responseElements"))
    key = _mapping(answered.get("credentials")).get("accessKeyId")
    owner = _mapping(answered.get("assumedRoleUser")).get("arn") or _mapping(answered.get("federatedUser")).get("arn")
    if record["eventName"] == "AssumeRoot":
        # https://docs.aws.amazon.com/IAM/latest/UserGuide/cloudtrail-track-privileged-tasks.html: an account or its ARN
        owner = _mapping(record.get("requestParameters")).get("targetPrincipal")
    return Session(_text(key), _account(_text(owner))) if key else None


def is_by_user(record: Mapping[str, Any], name: str) -> bool:
    """Return whether an IAM user with this name made the call. A session of a role can have the same name."""
    identity = _mapping(record.get("userIdentity"))
    return identity.get("userName") == name and identity.get("type") in (None, "IAMUser")


def to_row(call: TrailCall) -> dict[str, Any]:
    """Return the call as values for the ledger, without empty ones."""
    return {name: value for name, value in asdict(call).items() if value or name in ("event_id", "at")}


def from_row(row: Mapping[str, Any]) -> TrailCall:
    """Return the call from the ledger's values."""
    known = dict.fromkeys(("region", "service", "name", "error", "address", "agent", "key", "caller", "of"), "")
    lists = {name: tuple(row.get(name, ())) for name in ("removed", "read")}
    lasting = tuple(Lasting(**one) for one in row.get("lasting", ()))
    return TrailCall(**{**known, **row, **lists, "at": float(row["at"]), "lasting": lasting})


def _account(owner: str) -> str:
    """Return the account of an ARN, or of its own id; empty for another text."""
    account = owner if ":" not in owner else (owner.split(":") + [""] * 4)[4]
    return account if account.isdigit() else ""


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _text(value: object) -> str:
    return str(value)[:_TEXT_LENGTH] if value is not None else ""


def _seconds(value: object) -> float | None:
    try:
        return datetime.fromisoformat(str(value)).timestamp()
    except ValueError:
        return None
