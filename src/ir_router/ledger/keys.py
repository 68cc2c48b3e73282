"""The keys of the ledger's rows (see docs/architecture.md, "The ledger").

The first word of a partition key decides which deployment may touch the row (`dynamodb:LeadingKeys` in Terraform).
"""

from __future__ import annotations

from typing import NamedTuple

CASES_INDEX = "CASE#index"
OPEN_APPROVALS_INDEX = "APPROVAL#open"


class Key(NamedTuple):
    """Partition and sort key of a row."""

    pk: str
    sk: str


def case(case_id: str) -> Key:
    """What is known of a case as a whole: hints, lease, synced fields."""
    return Key(f"CASE#{case_id}", "META")


def poller() -> Key:
    """When the poller first ran, and where a poll of more than its budget of pages goes on."""
    return Key("CASE#poller", "META")


def comment(case_id: str, comment_id: str, part: int = 0) -> Key:
    """A comment of the case and its Slack message; `part` counts the messages that a long comment became."""
    return Key(f"CASE#{case_id}", f"COMMENT#{comment_id}" + (f"#{part}" if part else ""))


def attachment(case_id: str, attachment_id: str) -> Key:
    """An attachment of the case and its Slack file."""
    return Key(f"CASE#{case_id}", f"FILE#{attachment_id}")


def member(case_id: str, email: str) -> Key:
    """Somebody who belongs into the channel."""
    return Key(f"CASE#{case_id}", f"MEMBER#{email.lower()}")


def note(case_id: str, name: str) -> Key:
    """Something said once: the notice, a change, a warning."""
    return Key(f"CASE#{case_id}", f"NOTE#{name}")


def slack_change(case_id: str, command: str) -> Key:
    """Who set which field to what from Slack: the API knows only our own role. `command` "": the prefix of all."""
    return note(case_id, f"slack-change-{command}")


def slack_message(case_id: str, reference: str) -> Key:
    """A Slack message or file and what it became on the case; `reference` is `<ts>#<part>` or `<file id>#file`."""
    return Key(f"CASE#{case_id}", f"SLACK#{reference}")


def channel(channel_id: str) -> Key:
    """The case of a Slack channel."""
    return Key(f"CHANNEL#{channel_id}", "CASE")


def command(trigger_id: str) -> Key:
    """A slash command or form that was carried out."""
    return Key(f"COMMAND#{trigger_id}", "META")


def approval(approval_id: str) -> Key:
    """A decision asked of a person."""
    return Key(f"APPROVAL#{approval_id}", "META")


def token(approval_id: str) -> Key:
    """The task token of an approval: written by the workflow, read by the approval handler alone."""
    return Key(f"TOKEN#{approval_id}", "META")


def token_index(token_hash: str) -> Key:
    """Which approval a task token belongs to: a token given at the command line is found by its hash."""
    return Key(f"TOKEN#{token_hash}", "META")


def detection(name: str) -> Key:
    """Which execution handles an event; `name` is source, severity, containment mode and id of the event."""
    return Key(f"DETECTION#{name}", "META")


def containment(principal: str) -> Key:
    """The open incident of a principal, its recorded state and its lock."""
    return Key(f"CONTAINMENT#{principal}", "META")


def done(incident: str, principal: str) -> Key:
    """What was done about a principal when an incident ended, to be told again by whoever ended it."""
    return Key(f"CONTAINMENT#{principal}", f"DONE#{incident}")


def recently_contained() -> Key:
    """Which principals were contained in the last hour (at most as many as the limit allows)."""
    return Key("CONTAINMENT#recently", "META")


def allowlist(kind: str, value: str) -> Key:
    """An entry of the allowlist; `kind` is `ip` or `principal`."""
    return Key(f"ALLOWLIST#{kind.upper()}", value)


def audit_record(month: str, sequence: int) -> Key:
    """A record of the audit; `month` is `yyyy-mm`, the sequence begins with 1 in each month."""
    return Key(f"AUDIT#{month}", f"{sequence:012d}")


def audit_head() -> Key:
    """The newest record of the audit."""
    return Key("AUDIT#head", "META")


def audit_closing(month: str) -> Key:
    """The last record of a month that is over; kept for ever."""
    return Key("AUDIT#closing", month)


def audit_once(digest: str) -> Key:
    """That something was recorded, for records that are made once."""
    return Key(f"AUDIT#once#{digest}", "META")


def deduplication(name: str) -> Key:
    """Grouped alerts and back-offs."""
    return Key(f"DEDUP#{name}", "META")
