"""What the states of the workflow pass to one another: plain JSON, typed.

Principals are named by ARN. For an IAM user or role the name is what IAM's operations take.
"""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict

PrincipalKind = Literal["user", "role", "root", "service", "account", "unknown"]
Action = Literal["log", "alert", "contain"]


class Principal(TypedDict):
    """Somebody in IAM. `arn` and `name` may be empty when the event does not tell; `account` is 12 digits or empty.

    `id` is IAM's own (`AIDA...`, `AROA...`), when the event tells a user's or once IAM was asked: a name may pass to
    somebody else.
    """

    kind: PrincipalKind
    name: str
    arn: str
    account: str
    id: NotRequired[str]


class Actor(Principal):
    """Who made the call: the principal, and with what. `caller_arn` is the ARN in the event (a session's, say)."""

    caller_arn: str
    access_key_id: str | None
    identity_type: str


class Execution(TypedDict):
    """The Step Functions execution. `id` is its ARN, `started_at` ISO 8601."""

    id: str
    name: str
    started_at: str
    state_machine: str


class AllowlistAnswer(TypedDict):
    """Whether the event ends here because actor or address are expected to do this.

    `entry` without `allowlisted`: an entry matches, and stops the containment but not the alert. `refused` says what is
    wrong with entries that were not used.
    """

    allowlisted: bool
    lookup_failed: bool
    entry: NotRequired[str]
    reason: NotRequired[str]
    refused: NotRequired[list[str]]


class Facts(TypedDict):
    """What an event says. Times are ISO 8601 in UTC; `event_time` is None when the event has none.

    Of a call through a VPC endpoint (`vpc_endpoint_id`) `source_ip` is an address that the VPC's owner chose.
    `subject` is whose credentials are in danger: the owner of the key that the event names, else the actor.
    """

    event_id: str
    event_name: str
    event_source: str
    event_time: str | None
    region: str
    account: str
    read_only: bool
    error_code: str | None
    source_ip: str | None
    vpc_endpoint_id: str | None
    user_agent: str | None
    actor: Actor
    subject: Principal
    access_key_id: str | None


class Incident(Facts):
    """An event, read, and what the states found out about it. `band`: the gravest detection's severity, or NONE."""

    execution: Execution
    duplicate: bool
    band: str
    allowlist: NotRequired[AllowlistAnswer]
    severity: NotRequired[str]
    action: NotRequired[Action]
    title: NotRequired[str]
    detections: NotRequired[list[str]]


class ActionTaken(TypedDict):
    """One change in IAM. `verified`: reading back shows it. `principal` is the ARN of whom it was made."""

    what: str
    target: str
    verified: bool
    principal: NotRequired[str]
    error: NotRequired[str]


class PrincipalResult(TypedDict):
    """What became of one principal.

    `outcome`: contained, joined (an open incident has it), dry_run, off, refused, gone (nothing left to contain) or
    limit_reached. `why` says it in words for a person, with what to do where a person must act.
    """

    principal: Principal
    outcome: str
    why: str
    actions: list[ActionTaken]
    named_keys: list[str]
    recorded: dict[str, Any]
    sealed_keys: NotRequired[list[str]]
    joined_execution: NotRequired[str]
    case_id: NotRequired[str | None]
    approval_id: NotRequired[str]
    owner_tags: NotRequired[dict[str, str]]


class ContainmentResult(TypedDict):
    """What Immediate Containment answers. `outcome` is that of the principal that needs most attention.

    `owners` are the e-mail addresses of those who may not decide; `owner_tags` what the owner tag says, by ARN, or ""
    where there is none. Of an event that joined its principal's result has these.
    """

    outcome: str
    principals: list[PrincipalResult]
    owners: list[str]
    owner_tags: NotRequired[dict[str, str]]
    contained_at: str | None
    seconds_from_event: float | None
    seconds_from_arrival: float | None


class CaseResult(TypedDict):
    """The SIR case of the incident. `failed`: there should be one and there is not.

    `repetition`: an earlier event of the hour has told the same already, so that this one is only `counted`, or counted
    and `tells` the count at the end; `none` for all others.
    """

    case_id: str | None
    failed: bool
    repetition: Literal["none", "counted", "tells"]
    why: NotRequired[str]


class Analyst(TypedDict):
    """Who decided, as told by the caller of the approval function. `via` is `cli`, `slack` or `step_functions`."""

    name: str
    via: str
    slack_user_id: NotRequired[str]
    email: NotRequired[str]


class Decision(TypedDict):
    """What came out of a wait: approve, deny, timed_out or not_asked."""

    decision: str
    analyst: NotRequired[Analyst]
    notes: NotRequired[str]
    decided_at: NotRequired[str]
    receipt_failed: NotRequired[bool]
