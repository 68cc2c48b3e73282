"""The types that the states of the workflow pass to each other as JSON.

Principals are identified by ARN. For an IAM user or role, `name` is the parameter of IAM's operations.
"""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict

from ir_router.ledger.approvals import Via
from ir_router.ledger.creators import Offer
from ir_router.settings import ContainmentScope
from ir_router.workflow.outcomes import ContainmentOutcome, Decided, Repetition

PrincipalKind = Literal["user", "role", "root", "service", "account", "unknown"]
Action = Literal["log", "alert", "contain"]
# The principal that a detection contains. With `nobody` it only alerts.
Whom = Literal["key_owner", "caller", "target_user", "finding_principal", "nobody"]
# Events that only inform: a finding that an operator created as a sample, an event that AWS has closed.
Quiet = Literal["sample", "closed"]
# NONE: no detection matches.
Severity = Literal["NONE", "LOW", "MEDIUM", "HIGH", "CRITICAL"]

INSTEAD_OF = "ir_router_instead_of"
"""A field in the input of an execution that replaces a failed one: the failed execution's ARN."""


class Principal(TypedDict):
    """A principal in IAM. `arn` and `name` are empty if the event lacks them; `account` is 12 digits or empty.

    `id` is IAM's unique id (`AIDA...`, `AROA...`), from the event or from IAM. A name can move to another principal.
    `in_account` is the name and id of its account for people, in an organisation.
    """

    kind: PrincipalKind
    name: str
    arn: str
    account: str
    id: NotRequired[str]
    in_account: NotRequired[str]


class Actor(Principal):
    """The caller and its credentials. `caller_arn` is the ARN in the event, for example that of a session."""

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
    """Whether the event ends here because the caller or its address is allowlisted.

    `entry` without `allowlisted`: the entry stops the containment but not the alert, for the reason in `doubt` if it
    is not the kind of the event. `refused` lists the errors of ignored entries.
    """

    allowlisted: bool
    lookup_failed: bool
    entry: NotRequired[str]
    reason: NotRequired[str]
    doubt: NotRequired[str]
    refused: NotRequired[list[str]]


class Facts(TypedDict):
    """The facts of an event. Times are ISO 8601 in UTC; `event_time` is None if the event has none.

    For a call through a VPC endpoint (`vpc_endpoint_id`), the owner of the VPC chose `source_ip`. `subject` is the
    principal whose credentials are at risk: the owner of the key that the event names, else the actor. `details` are
    further lines for people. `addresses` are all addresses of a finding if `source_ip` is not the only one; they may
    contain a domain or a text for an endpoint without an address. `first_seen` is the time of a finding's first
    activity. `quiet` marks an event that only informs, `finding` an event of GuardDuty or AWS Health in contrast to an
    API call.
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
    details: NotRequired[list[str]]
    quiet: NotRequired[Quiet]
    finding: NotRequired[bool]
    first_seen: NotRequired[str | None]
    addresses: NotRequired[list[str]]


class CreatorRequest(TypedDict):
    """An analyst's request to contain the creator of a key (`workflow/creators.py`).

    `execution` and `case_id` are those of the key's incident, `creator` is the creator's id in its approval requests.
    """

    execution: str
    creator: str
    by: str
    via: Via
    case_id: str | None


class Unclaimed(TypedDict):
    """A claim of an event that the ledger could not store (`workflow/event_claims.py`)."""

    name: str
    content: dict[str, Any]


class EarlierState(TypedDict):
    """A principal before it was contained without the ledger. `at`: time of the state, in seconds since the epoch.

    `denied`, `policies` and `earlier` are those of `changes.State`.
    `unlisted`: the missing change, if IAM denied ir-router the list of the access keys. `keys` is empty then.
    """

    at: float
    keys: dict[str, str]
    denied: bool
    policies: list[str]
    earlier: NotRequired[bool]
    unlisted: NotRequired[ActionTaken]


class Incident(Facts):
    """The facts of an event and the results of the states. `band` is its detections' highest severity, or NONE.

    `requested`: an analyst requested this containment, so no detection and no allowlist entry decides about it.
    `also`: titles of the other matching detections above LOW.
    `unclaimed`: the ledger was unavailable when the event arrived. `in_account`: the name and id of the event's account
    for people, in an organisation. `spares_actor`: the call only removes rights, so its actor is not contained.
    """

    execution: Execution
    duplicate: bool
    band: Severity
    allowlist: NotRequired[AllowlistAnswer]
    severity: NotRequired[Severity]
    action: NotRequired[Action]
    title: NotRequired[str]
    detections: NotRequired[list[str]]
    also: NotRequired[list[str]]
    requested: NotRequired[CreatorRequest]
    unclaimed: NotRequired[Unclaimed]
    in_account: NotRequired[str]
    spares_actor: NotRequired[bool]


class ActionTaken(TypedDict):
    """One change in IAM. `verified`: IAM shows it. `principal` is the ARN of the changed principal.

    If IAM rejected it: `error`, `reason` and `retry` are those of `rejections.Rejection`. An execution of an earlier
    version has only `error`.
    """

    what: str
    target: str
    verified: bool
    principal: NotRequired[str]
    error: NotRequired[str]
    reason: NotRequired[str]
    retry: NotRequired[str]


class PrincipalResult(TypedDict):
    """The result for one principal.

    `outcome`: see the table in `workflow/outcomes.py`. `why` gives the reason and the required action in sentences.
    `undone`: the event that joined is a call that undid the containment. `added`: the principal is new in the incident
    of its actor. `scope` is `key` if only the keys that events named are disabled, and `still_active` are the owner's
    other active keys then. `limited`: the reason for that scope is the hourly limit. `keys_unknown`: IAM denied
    ir-router the list of the keys, so that only the deny policy is attached. `beyond_account`: the account whose hourly
    limit is reached.
    """

    principal: Principal
    outcome: ContainmentOutcome
    why: str
    actions: list[ActionTaken]
    named_keys: list[str]
    recorded: dict[str, Any]
    sealed_keys: NotRequired[list[str]]
    undone: NotRequired[bool]
    added: NotRequired[bool]
    scope: NotRequired[ContainmentScope]
    still_active: NotRequired[list[str]]
    limited: NotRequired[bool]
    keys_unknown: NotRequired[bool]
    beyond_account: NotRequired[str]
    joined_execution: NotRequired[str]
    case_id: NotRequired[str | None]
    approval_id: NotRequired[str]
    owner_tags: NotRequired[dict[str, str]]


class ContainmentResult(TypedDict):
    """The result of Immediate Containment. `outcome` is that of the principal that needs the most attention.

    `owners` are the e-mail addresses of the owners, who may not decide. `owner_tags` maps ARNs to the value of the
    owner tag, or "" without one. For an event that joined, the principal's own result has both. `creators` are creators
    of keys, by their id. `owners_apart`: the ledger has owners and tags (`workflow/owners.py`).
    """

    outcome: ContainmentOutcome
    principals: list[PrincipalResult]
    owners: list[str]
    owner_tags: NotRequired[dict[str, str]]
    owners_apart: NotRequired[bool]
    creators: NotRequired[dict[str, Offer]]
    contained_at: str | None
    seconds_from_event: float | None
    seconds_from_arrival: float | None


class CaseResult(TypedDict):
    """The SIR case of the incident. `failed`: the case is missing although there should be one.

    `repetition`: an earlier event of the hour already sent the same alert, so this event is `counted`, or is counted
    and `tells` the count at the end of the hour. `none` for all others. `for_readers` states in sentences why there is
    no case and what to do. `opened_later`: a quota is reached, and ir-router opens the case when there is room. `full`:
    an earlier event of the actor opened the case, and it has the comments of many others.
    """

    case_id: str | None
    failed: bool
    repetition: Repetition
    why: NotRequired[str]
    for_readers: NotRequired[str]
    opened_later: NotRequired[bool]
    full: NotRequired[bool]


class Analyst(TypedDict):
    """The analyst, as named by the caller of the approval function. `via` is `cli`, `slack` or `step_functions`.

    `first` is the other analyst of a decision by two people. `break_glass`: one decided for two.
    """

    name: str
    via: Via
    slack_user_id: NotRequired[str]
    email: NotRequired[str]
    first: NotRequired[Analyst]
    break_glass: NotRequired[bool]


class Decision(TypedDict):
    """The result of a wait: approve, deny, timed_out or not_asked."""

    decision: Decided
    analyst: NotRequired[Analyst]
    notes: NotRequired[str]
    decided_at: NotRequired[str]
    receipt_failed: NotRequired[bool]
