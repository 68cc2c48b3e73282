"""The keys of the ledger's rows (see docs/architecture.md, "The ledger").

The first word of a partition key decides which function may access the row (`dynamodb:LeadingKeys` in Terraform).
"""

from __future__ import annotations

from typing import NamedTuple

INDEX = "index"
# The attributes that the index has next to its keys. The poller compares them. terraform/ledger.tf declares the same
# attributes. If you change them there, DynamoDB builds the index again.
INDEX_PROJECTION = (
    "channel_id",
    "closed",
    "due_at",
    "fingerprint",
    "hinted_at",
    "hints",
    "lease_until",
    "next_try",
    "row_digest",
    "severity",
    "synced_hints",
)
CASES_INDEX = "CASE#index"
OPEN_APPROVALS_INDEX = "APPROVAL#open"


class Key(NamedTuple):
    """The partition key and sort key of a row."""

    pk: str
    sk: str


def case(case_id: str) -> Key:
    """The case's own row: hints, lease and synchronised fields."""
    return Key(f"CASE#{case_id}", "META")


def poller() -> Key:
    """The poller's row: when it first ran, and the page where its next run continues."""
    return Key("CASE#poller", "META")


def watched() -> Key:
    """The differences of the deployment that were reported in the security channel."""
    return Key("CASE#poller", "WATCH")


def security_channel() -> Key:
    """The security channel that ir-router made itself: its claim, its id and the invited users."""
    return Key("CASE#poller", "SECURITY-CHANNEL")


def known_approvers() -> Key:
    """Who may decide about containments, as the last check found it."""
    return Key("CASE#poller", "APPROVERS")


def channel_pace() -> Key:
    """When the next channels may be created (`sync.channel_pace`)."""
    return Key("CASE#poller", "CHANNELS")


def comment(case_id: str, comment_id: str, part: int = 0) -> Key:
    """A comment of the case and its Slack message; `part` numbers the messages of a long comment."""
    return Key(f"CASE#{case_id}", f"COMMENT#{comment_id}" + (f"#{part}" if part else ""))


def attachment(case_id: str, attachment_id: str) -> Key:
    """An attachment of the case and its Slack file."""
    return Key(f"CASE#{case_id}", f"FILE#{attachment_id}")


def member(case_id: str, email: str) -> Key:
    """A watcher or response team member, who belongs in the channel."""
    return Key(f"CASE#{case_id}", f"MEMBER#{email.lower()}")


def note(case_id: str, name: str) -> Key:
    """A message that is posted once: the notice, a change, a warning."""
    return Key(f"CASE#{case_id}", f"NOTE#{name}")


def slack_change(case_id: str, command: str) -> Key:
    """A change from Slack with the user who made it, because AWS records only ir-router's role.

    An empty `command` gives the prefix of all changes.
    """
    return note(case_id, f"slack-change-{command}")


def slack_message(case_id: str, reference: str) -> Key:
    """A Slack message or file and its copy on the case; `reference` is `<ts>#<part>` or `<file id>#file`."""
    return Key(f"CASE#{case_id}", f"SLACK#{reference}")


def incident(case_id: str) -> Key:
    """The states of the approval requests of a case, and the statuses that ir-router set."""
    return Key(f"CASE#{case_id}", "INCIDENT")


def activity(case_id: str) -> Key:
    """The contained credentials of a case, and the progress of the reading of their calls."""
    return Key(f"CASE#{case_id}", "ACTIVITY")


def activity_page(case_id: str, name: str = "") -> Key:
    """A page of calls by contained credentials, in a partition that a case's synchronisation does not read."""
    return Key(f"CASE#{case_id}#activity", name)


def member_activity(case_id: str) -> Key:
    """The reading of the calls in member accounts. -workflow queries the partition, and -sync reads and writes rows."""
    return Key("DEDUP#ACTIVITY", case_id)


def report(case_id: str) -> Key:
    """The report about a case: who requested it, its versions, and the version in progress."""
    return Key(f"CASE#{case_id}", "REPORT")


def report_part(case_id: str, name: str = "") -> Key:
    """A part of a report in progress, in a partition that a case's synchronisation does not read."""
    return Key(f"CASE#{case_id}#report", name)


def channel(channel_id: str) -> Key:
    """The case of a Slack channel."""
    return Key(f"CHANNEL#{channel_id}", "CASE")


def shared_file(file_id: str) -> Key:
    """The case of a file that was shared in its channel. Slack names only the file when it is deleted."""
    return Key(f"CHANNEL#{file_id}", "FILE")


def command(trigger_id: str) -> Key:
    """A slash command or form that was carried out."""
    return Key(f"COMMAND#{trigger_id}", "META")


def approval(approval_id: str) -> Key:
    """An approval request."""
    return Key(f"APPROVAL#{approval_id}", "META")


def token(approval_id: str) -> Key:
    """The task token of an approval. The workflow writes it, and only the approval handler reads it."""
    return Key(f"TOKEN#{approval_id}", "META")


def token_index(token_hash: str) -> Key:
    """The approval that a task token belongs to. It finds the approval of a token from the command line."""
    return Key(f"TOKEN#{token_hash}", "META")


def detection(name: str) -> Key:
    """The execution that handles an event; `name` is source, severity, containment mode and id of the event."""
    return Key(f"DETECTION#{name}", "META")


def containment(principal: str) -> Key:
    """The open incident of a principal, its recorded state and its lock."""
    return Key(f"CONTAINMENT#{principal}", "META")


def done(incident: str, principal: str) -> Key:
    """The actions on a principal when an incident ended, so that a retry of the last state can report them."""
    return Key(f"CONTAINMENT#{principal}", f"DONE#{incident}")


def contained_name(unique_id: str) -> Key:
    """The ARN by which the ledger knows the principal with this unique id of IAM."""
    return Key(f"CONTAINMENT#id#{unique_id}", "META")


def recently_contained() -> Key:
    """The principals contained in the last hour, at most as many as the limit allows."""
    return Key("CONTAINMENT#recently", "META")


def execution_owners(execution: str) -> Key:
    """The owners of the principals of an execution, who may not decide."""
    return Key("CONTAINMENT#owners", execution)


def disabled_key(access_key_id: str) -> Key:
    """The newest call of another principal that disabled an access key."""
    return Key("CONTAINMENT#disabled-keys", access_key_id)


def held_keys(principal: str) -> Key:
    """The keys of a restored principal that stay disabled, since others restricted them."""
    return Key(f"CONTAINMENT#{principal}", "HELD")


def verification(principal: str) -> Key:
    """The next verification of a containment after its decision."""
    return Key("CONTAINMENT#verifications", principal)


def members() -> Key:
    """The members of the organisation, as they were last checked."""
    return Key("CONTAINMENT#members", "META")


def missing_case(execution: str) -> Key:
    """A case that AWS did not open because a quota is reached, until it is opened."""
    return Key("CONTAINMENT#missing-cases", execution)


def allowlist(kind: str, value: str) -> Key:
    """An entry of the allowlist; `kind` is `ip` or `principal`."""
    return Key(f"ALLOWLIST#{kind.upper()}", value)


def audit_record(month: str, sequence: int, chain: int = 0) -> Key:
    """A record of a chain of the audit; `month` is `yyyy-mm`, and the sequence starts at 1 in each month."""
    return Key(f"AUDIT#{month}{_of_chain(chain)}", f"{sequence:012d}")


def audit_head(chain: int = 0) -> Key:
    """The newest record of a chain of the audit."""
    return Key(f"AUDIT#head{_of_chain(chain)}", "META")


def audit_closing(month: str, chain: int = 0) -> Key:
    """The last sequence and hash of a chain in a past month, kept for ever."""
    return Key(f"AUDIT#closing{_of_chain(chain)}", month)


def audit_tied() -> Key:
    """The hashes of the other chains that the main chain ties already."""
    return Key("AUDIT#tied", "META")


def audit_once(digest: str) -> Key:
    """A mark that a fact was recorded, for records that are written once."""
    return Key(f"AUDIT#once#{digest}", "META")


def deduplication(name: str) -> Key:
    """Grouped alerts and back-offs."""
    return Key(f"DEDUP#{name}", "META")


def slack_alert(name: str) -> Key:
    """An alert for the security channel."""
    return Key(f"DEDUP#SLACK-ALERT#{name}", "META")


def slack_alert_message(name: str) -> Key:
    """The message of an alert in the security channel."""
    return Key(f"DEDUP#SLACK-ALERT#{name}", "MESSAGE")


def allowlisted_hour(hour: str, entry: str) -> Key:
    """The count of the events that an allowlist entry matched in an hour. Empty texts give the prefix of all hours."""
    return Key("DEDUP#ALLOWLISTED", f"{hour}#{entry}" if hour else "")


def configuration(name: str) -> Key:
    """A part of the configuration, which Terraform writes (terraform/detections.tf)."""
    return Key(f"CONFIG#{name}", "META")


def _of_chain(chain: int) -> str:
    """Return the suffix of a chain's keys. The main chain, 0, has none."""
    return f"#{chain:02d}" if chain else ""
